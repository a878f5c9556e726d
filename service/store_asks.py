"""The SQL of asking for a study: quotas, Idempotency-Key, webhook and study in one transaction of the caller's.

Whoever asks under the same key waits for the other here, so that two requests at once cannot pass a quota together,
nor make two studies of one Idempotency-Key or of one request. What a request refers to cannot be deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.database import clock
from service.models import DatasetRow, IdempotencyRow, StudyRow, WebhookRow
from service.records import Study
from service.states import FINISHED
from service.store_studies import add, by_id, same
from workers.plan import StudyPlan

__all__ = [
    "KeyReusedError",
    "QuotaError",
    "Request",
    "Terms",
    "UnknownDatasetError",
    "WebhookTarget",
    "ask",
    "join",
    "replayed",
]

REMEMBERED_SECONDS = 86_400.0  # that an Idempotency-Key counts
MOST_KEYS = 1000  # that are remembered of one study
MOST_WEBHOOKS = 16  # of one study: whoever joins a study is held up by no other quota
AT_ONCE = 0.0  # when a letter is due that was never tried, whatever the clock has been


@dataclass(frozen=True)
class WebhookTarget:
    """Whom to tell when a study ends."""

    url: str
    secret: str


@dataclass(frozen=True)
class Terms:
    """Who asks for a study, and under which conditions.

    Args:
        owner: the id of the key; empty where keys are off.
        max_queued: studies that may wait or run at a time; None: any number.
        max_studies: studies that may be kept; None: any number.
        idempotency_key: by which the same request is known again; None: it is not.
        body_hash: SHA-256 of the request, to tell the same from another.
        webhook: whom to tell at the end.
    """

    owner: str = ""
    max_queued: int | None = None
    max_studies: int | None = None
    idempotency_key: str | None = None
    body_hash: str = ""
    webhook: WebhookTarget | None = None


@dataclass(frozen=True)
class Request:
    """A study that is asked for.

    Args:
        plan: what is to be done.
        dataset_id: what it is about.
        asked: the client's own words, shown back to it.
        warnings: for the client.
        marks: fingerprint and kinship (``service.kinship``), by which it is found again.
        reuse: whether the study that the same fingerprint has made will do.
    """

    plan: StudyPlan
    dataset_id: str
    asked: Mapping[str, Any]
    warnings: Sequence[str]
    marks: tuple[str | None, str | None]
    reuse: bool


class QuotaError(Exception):
    """A key has as many studies as it may have. ``field`` names the limit, ``found`` is what there is."""

    def __init__(self, field: str, found: int, most: int) -> None:
        super().__init__(f"{field} is {most} for this key, and {found} are there")
        self.field, self.found, self.most = field, found, most


class KeyReusedError(Exception):
    """An Idempotency-Key came with another body than before."""


class UnknownDatasetError(Exception):
    """The dataset was deleted since it was looked up."""


def ask(session: Session, request: Request, terms: Terms) -> Study:
    """Queue a study, or give the one that the Idempotency-Key or, where it may be reused, the same request has made.

    Raises:
        QuotaError, KeyReusedError, UnknownDatasetError.
    """
    _wait_turn(session, terms.owner)
    study = replayed(session, terms)
    if study is not None:
        return study
    fingerprint = request.marks[0]
    if request.reuse and fingerprint is not None:
        study = same(session, fingerprint, terms.owner)
        if study is not None and _keep(session, StudyRow.id, study.id):
            _attach(session, study.id, terms)
            return study
    if not _keep(session, DatasetRow.id, request.dataset_id):
        raise UnknownDatasetError
    _check_quotas(session, terms)
    plan = _without_what_is_gone(session, request.plan)
    study = add(session, plan, request.dataset_id, request.asked, request.warnings, request.marks, terms.owner)
    _attach(session, study.id, terms)
    return study


def _without_what_is_gone(session: Session, plan: StudyPlan) -> StudyPlan:
    """The plan without studies to start from that were deleted since they were looked up; the others stay."""

    def there(study_id: str | None) -> bool:
        return study_id is not None and _keep(session, StudyRow.id, study_id)

    families = [
        replace(one, prior=tuple(filter(there, one.prior)), hint=one.hint if there(one.hint) else None)
        for one in plan.families
    ]
    return replace(plan, families=tuple(families))


def join(session: Session, study_id: str, terms: Terms) -> bool:
    """Note what belongs to a request that is answered with a study that was there; False if it is not any more."""
    _wait_turn(session, terms.owner)
    if not _keep(session, StudyRow.id, study_id):
        return False
    if replayed(session, terms) is None:
        _attach(session, study_id, terms)
    return True


def replayed(session: Session, terms: Terms) -> Study | None:
    """The study that this Idempotency-Key has made, None if there is none.

    Raises:
        KeyReusedError: the key was used with another request.
    """
    if terms.idempotency_key is None:
        return None
    known = session.scalar(
        select(IdempotencyRow).where(
            IdempotencyRow.owner == terms.owner,
            IdempotencyRow.key == terms.idempotency_key,
            IdempotencyRow.created > clock() - REMEMBERED_SECONDS,
        )
    )
    if known is None:
        return None
    if known.body_hash != terms.body_hash:
        raise KeyReusedError
    return by_id(session, known.study_id)


def _wait_turn(session: Session, owner: str) -> None:
    """Until the end of this transaction nobody else asks under the same key."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite's writers queue anyway
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, 0))"), {"owner": owner})


def _keep(session: Session, column: InstrumentedAttribute[str], wanted: str) -> bool:
    """Whether a row is there; it then is until the end of this transaction."""
    query = select(column).where(column == wanted).with_for_update(read=True, key_share=True)
    return session.scalar(query) is not None


def _check_quotas(session: Session, terms: Terms) -> None:
    """Raises QuotaError when a key has as many studies as it may have."""
    mine = select(func.count()).select_from(StudyRow).where(StudyRow.owner == terms.owner)
    unfinished = mine.where(StudyRow.state.not_in([state.value for state in FINISHED]))
    for field, query, most in (
        ("max_queued", unfinished, terms.max_queued),
        ("max_studies", mine, terms.max_studies),
    ):
        if most is not None and (found := session.scalar(query) or 0) >= most:
            raise QuotaError(field, found, most)


def _attach(session: Session, study_id: str, terms: Terms) -> None:
    """Note what belongs to a request for a study: its Idempotency-Key, and whom to tell at the study's end."""
    if terms.idempotency_key is not None:
        _remember(session, study_id, terms.idempotency_key, terms)
    if terms.webhook is not None:
        _address(session, study_id, terms.webhook)


def _remember(session: Session, study_id: str, key: str, terms: Terms) -> None:
    """That a key made a study, or was answered with it. Of very many keys the same request finds the study anyway."""
    stale = IdempotencyRow.created <= clock() - REMEMBERED_SECONDS
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.owner == terms.owner, stale))
    noted = select(func.count()).select_from(IdempotencyRow).where(IdempotencyRow.study_id == study_id)
    if (session.scalar(noted) or 0) < MOST_KEYS:
        now = session.scalar(select(clock()))
        row = IdempotencyRow(owner=terms.owner, key=key, body_hash=terms.body_hash, study_id=study_id, created=now)
        session.add(row)


def _address(session: Session, study_id: str, target: WebhookTarget) -> None:
    """One letter for each address; asked for again, one that has been sent is sent again, under the same id."""
    known = session.scalars(select(WebhookRow).where(WebhookRow.study_id == study_id)).all()
    row = next((row for row in known if row.url == target.url), None)
    if row is None:
        if len(known) >= MOST_WEBHOOKS:
            raise QuotaError("webhook", len(known), MOST_WEBHOOKS)
        row = WebhookRow(study_id=study_id, url=target.url)
        session.add(row)
    row.secret = target.secret
    if row.next_attempt is None:
        row.attempts, row.next_attempt, row.delivered = 0, AT_ONCE, None
