"""What the query of a list of studies may hold, and how a used-up quota is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Header, Query

from service.callers import Caller
from service.filters import StudyFilter
from service.problems import Kind, Problem
from service.records import Study
from service.rooms import Moment, Rooms, is_id, not_found, seconds_of
from service.schemas import StudyRequest
from service.settings import Settings
from service.states import StudyState
from service.store_asks import KeyReusedError, QuotaError, Terms, UnknownDatasetError
from service.webhook_targets import webhook_target

__all__ = ["IdempotencyKey", "Wanted", "asking_problems", "no_dataset", "terms_of", "visible_study"]

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, pattern=r"^[!-~]+$", description="any word of yours, new for each new study"),
]
QUOTAS: dict[str, tuple[Kind, str]] = {
    "max_queued": ("max-queued", "studies of this key wait or run already: wait for one to end, or cancel one"),
    "max_studies": ("max-studies", "studies of this key are kept already: delete one"),
    "webhook": ("max-webhooks", "addresses are told of this study already: leave the webhook out"),
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


def terms_of(caller: Caller, request: StudyRequest, idempotency_key: str | None, settings: Settings) -> Terms:
    """The terms of a request for a study. Raises Problem: 422 for a webhook that may not be."""
    asked = json.dumps(request.model_dump(mode="json"), sort_keys=True)  # escapes what UTF-8 cannot hold
    body = hashlib.sha256(asked.encode()).hexdigest()
    target = None if request.webhook is None else webhook_target(request.webhook, settings)
    return replace(caller.terms(), idempotency_key=idempotency_key, body_hash=body, webhook=target)


def visible_study(rooms: Rooms, caller: Caller, study_id: str) -> Study:
    """The study. Raises Problem: 404 where there is none that the caller may see."""
    study = rooms.store.study(study_id) if is_id(study_id) else None
    if study is None or not caller.sees(study.owner):
        raise not_found("study", study_id)
    return study


def no_dataset(dataset_id: str) -> Problem:
    """422: a request for a study names none that there is."""
    return Problem.of_field("dataset_id", dataset_id, "there is no such dataset")


@contextmanager
def asking_problems(settings: Settings, request: StudyRequest, key: str | None) -> Iterator[None]:
    """A used-up quota is a 429, with Retry-After where waiting helps; an Idempotency-Key used twice, and a dataset that
    is gone, are a 422.
    """
    try:
        yield
    except UnknownDatasetError:
        raise no_dataset(request.dataset_id) from None
    except KeyReusedError:
        message = "was used for another request: take a new one"
        raise Problem.of_field("Idempotency-Key", key, message, kind="idempotency-key-reused") from None
    except QuotaError as error:
        headers = {"Retry-After": str(settings.retry_after_seconds)} if error.field == "max_queued" else None
        kind, sentence = QUOTAS[error.field]
        message = f"the limit is {error.most}, and so many {sentence}"
        raise Problem.of_field(error.field, error.found, message, 429, headers=headers, kind=kind) from None
