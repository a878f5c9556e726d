"""The SQL about datasets. Each function works inside the caller's transaction (``service.store``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.cursors import Position, page_of
from service.database import BLOBS_LOCK, clock, exclude
from service.filters import DatasetFilter, newest_first
from service.models import DatasetRow
from service.records import Dataset, Page, dataset_of

__all__ = ["add", "by_content", "by_id", "count", "page"]


def by_id(session: Session, dataset_id: str) -> Dataset | None:
    """The dataset, or None."""
    row = session.get(DatasetRow, dataset_id)
    return None if row is None else dataset_of(row)


def by_content(session: Session, content_hash: str) -> Dataset | None:
    """The dataset that these bytes and options made, or None."""
    row = session.scalar(select(DatasetRow).where(DatasetRow.content_hash == content_hash))
    return None if row is None else dataset_of(row)


def add(session: Session, dataset_id: str, fields: Mapping[str, Any]) -> Dataset:
    """Insert a dataset. Whoever forgets blobs that none names (``service.store_deletes``) waits, or is waited for."""
    exclude(session, BLOBS_LOCK, shared=True)
    row = DatasetRow(id=dataset_id, created=session.scalar(select(clock())), **fields)
    session.add(row)
    session.flush()
    return dataset_of(row)


def count(session: Session, owner: str) -> int:
    """How many datasets an owner has."""
    return session.scalar(select(func.count()).select_from(DatasetRow).where(DatasetRow.owner == owner)) or 0


def page(session: Session, limit: int, after: Position | None, wanted: DatasetFilter) -> Page[Dataset]:
    """Datasets, newest first."""
    query = newest_first(DatasetRow, select(DatasetRow), after).where(*wanted.conditions()).limit(limit + 1)
    return page_of([dataset_of(row) for row in session.scalars(query)], limit)
