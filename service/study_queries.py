"""What the query of a list of studies may hold, and how a used-up quota is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Query

from service.filters import StudyFilter
from service.problems import Problem
from service.rooms import Moment, seconds_of
from service.settings import Settings
from service.states import StudyState
from service.store_asks import QuotaError

__all__ = ["Wanted", "quota_problem"]

QUOTAS = {
    "max_queued": "studies of this key wait or run already: wait for one to end, or cancel one",
    "max_studies": "studies of this key are kept already: delete one",
}


async def _wanted(
    state: Annotated[list[StudyState] | None, Query(max_length=6, description="only in one of these states")] = None,
    dataset_id: Annotated[str | None, Query(max_length=32, description="only of this dataset")] = None,
    family: Annotated[str | None, Query(max_length=64, description="only with this activation family")] = None,
    created_after: Moment = None,
    created_before: Moment = None,
) -> StudyFilter:
    return StudyFilter(
        states=tuple(state or ()),
        dataset_id=dataset_id,
        family=family,
        created_after=seconds_of(created_after),
        created_before=seconds_of(created_before),
    )


Wanted = Annotated[StudyFilter, Depends(_wanted)]


@contextmanager
def quota_problem(settings: Settings) -> Iterator[None]:
    """A used-up quota is a 429: with Retry-After where waiting helps."""
    try:
        yield
    except QuotaError as error:
        headers = {"Retry-After": str(settings.retry_after_seconds)} if error.field == "max_queued" else None
        message = f"the limit is {error.most}, and so many {QUOTAS[error.field]}"
        raise Problem.of_field(
            error.field, error.found, message, 429, headers=headers, kind=error.field.replace("_", "-")
        ) from None
