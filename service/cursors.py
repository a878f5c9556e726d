"""Keyset cursors: an opaque word that says after which item the next page begins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from service.records import Page

__all__ = ["BadCursorError", "Position", "page_of", "position"]


class BadCursorError(ValueError):
    """A cursor that no page gave out."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"cursor {cursor!a} is none that this service gave out")


class _Placed(Protocol):
    @property
    def created(self) -> float: ...

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Placed)


@dataclass(frozen=True)
class Position:
    """The last item of a page, in an order by ``(created, id)``."""

    created: float
    id: str


def page_of(items: Sequence[T], limit: int) -> Page[T]:
    """A page of ``limit`` from a query that asked for one item more."""
    shown = tuple(items[:limit])
    if len(items) <= limit:
        return Page(shown, None)
    word = json.dumps([shown[-1].created, shown[-1].id])  # floats survive JSON exactly
    return Page(shown, base64.urlsafe_b64encode(word.encode()).decode())


def position(cursor: str | None) -> Position | None:
    """What a cursor says.

    Raises:
        BadCursorError: if the word is none that ``page_of`` gave out.

    """
    if cursor is None:
        return None
    try:
        created, item_id = json.loads(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        created, item_id = None, None
    if not isinstance(created, float) or not isinstance(item_id, str) or not item_id.isalnum():
        raise BadCursorError(cursor)
    return Position(created, item_id)
