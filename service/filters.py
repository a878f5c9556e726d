"""Which items a list shows: the conditions that its client gave, and the key that made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, tuple_

from service.cursors import Position
from service.models import DatasetRow, StudyRow
from service.states import StudyState

__all__ = ["DatasetFilter", "StudyFilter", "family_words"]

ROUNDED = 7e-7  # seconds: answers show whole microseconds, and what is shown is neither before nor after itself


@dataclass(frozen=True)
class DatasetFilter:
    """None and empty leave a condition out. ``owner``: the id of a key; times are seconds since 1970 UTC."""

    owner: str | None = None
    kind: str | None = None
    created_after: float | None = None
    created_before: float | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a WHERE."""
        found = _shared(DatasetRow, self)
        if self.kind is not None:
            found.append(DatasetRow.kind == self.kind)
        return found


@dataclass(frozen=True)
class StudyFilter:
    """None and empty leave a condition out; of several states any will do."""

    owner: str | None = None
    states: tuple[StudyState, ...] = ()
    dataset_id: str | None = None
    family: str | None = None
    created_after: float | None = None
    created_before: float | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a WHERE."""
        found = _shared(StudyRow, self)
        if self.states:
            found.append(StudyRow.state.in_([state.value for state in self.states]))
        if self.dataset_id is not None:
            found.append(StudyRow.dataset_id == self.dataset_id)
        if self.family is not None:
            found.append(StudyRow.families.contains(family_words([self.family]), autoescape=True))
        return found


def family_words(families: list[str]) -> str:
    """Families as the column holds them: each between two line ends, so that a part of a name finds nothing."""
    return "".join(f"\n{family}\n" for family in families)


def newest_first(row: type[DatasetRow] | type[StudyRow], query: Select[Any], after: Position | None) -> Select[Any]:
    """The order of every list, and where a page of it begins."""
    query = query.order_by(row.created.desc(), row.id.desc())
    if after is None:
        return query
    return query.where(tuple_(row.created, row.id) < tuple_(after.created, after.id))


def _shared(row: type[DatasetRow] | type[StudyRow], asked: DatasetFilter | StudyFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if asked.owner is not None:
        found.append(row.owner == asked.owner)
    if asked.created_after is not None:
        found.append(row.created > asked.created_after + ROUNDED)
    if asked.created_before is not None:
        found.append(row.created < asked.created_before - ROUNDED)
    return found
