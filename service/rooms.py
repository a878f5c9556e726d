"""What the endpoints work with: the store, the blobs and the reader of one application."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import AwareDatetime, BeforeValidator

from service.answer_memory import AnswerMemory
from service.blobs import BlobStore
from service.cursors import BadCursorError
from service.keys import KeyRing
from service.pages.memory import ReportMemory
from service.problems import Problem, shown
from service.rate_limit import RateLimit
from service.reader import Reader
from service.runner_figures import Board
from service.settings import Settings
from service.store import Store
from service.surface_memory import SurfaceMemory
from service.turns import Turns
from service.watching import Watchers

__all__ = [
    "Cursor",
    "Limit",
    "Moment",
    "Rooms",
    "RoomsOf",
    "cursor_problem",
    "is_id",
    "not_found",
    "seconds_of",
]

ID = re.compile(r"[0-9a-f]{1,32}")


@dataclass(frozen=True)
class Rooms:
    """Made once by ``create_app``."""

    settings: Settings
    store: Store
    blobs: BlobStore
    reader: Reader
    keys: KeyRing
    board: Board
    watchers: Watchers
    surfaces: SurfaceMemory
    reports: ReportMemory
    answers: AnswerMemory
    rate_limit: RateLimit = field(default_factory=RateLimit)
    uploads: Turns = field(default_factory=Turns)


async def _rooms(request: Request) -> Rooms:
    rooms: Rooms = request.app.state.rooms
    return rooms


RoomsOf = Annotated[Rooms, Depends(_rooms)]
Limit = Annotated[int, Query(ge=1, le=200, description="items a page")]
Cursor = Annotated[str | None, Query(max_length=200, description="next_cursor of the page before")]


def _written_out(value: object) -> object:
    """Pydantic would take a bare number for seconds since 1970, which the document does not promise."""
    if isinstance(value, str) and "T" not in value.upper() and " " not in value.strip():
        raise ValueError("it must be a time with its zone, as 2026-01-31T12:00:00Z")
    return value


Moment = Annotated[
    AwareDatetime | None,
    BeforeValidator(_written_out),
    Query(description="a time with its zone: 2026-01-31T12:00:00Z"),
]


def seconds_of(moment: datetime | None) -> float | None:
    """Seconds since 1970 UTC."""
    return None if moment is None else moment.timestamp()


def is_id(word: str) -> bool:
    """Whether a word can be an id at all: the database need not see any other."""
    return ID.fullmatch(word) is not None


@contextmanager
def cursor_problem(cursor: str | None) -> Iterator[None]:
    """A cursor that no page gave out is the client's mistake."""
    try:
        yield
    except BadCursorError as error:
        raise Problem.of_field("cursor", cursor, str(error)) from None


def not_found(what: str, word: str) -> Problem:
    """404: there is no such thing."""
    return Problem(404, f"there is no {what} {shown(word)}")
