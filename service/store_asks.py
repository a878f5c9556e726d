"""The SQL of asking for a study: quotas, Idempotency-Key, webhook and study in one transaction of the caller's.

Whoever asks under the same key waits for the other here, so that two requests at once cannot pass a quota together,
nor make two studies of one Idempotency-Key.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from service.database import clock
from service.models import IdempotencyRow, StudyRow, WebhookRow
from service.records import Study
from service.states import FINISHED
from service.store_studies import by_id

__all__ = ["KeyReusedError", "QuotaError", "Terms", "WebhookTarget", "attach", "check_quotas", "replayed", "wait_turn"]

REMEMBERED_SECONDS = 86_400.0  # that an Idempotency-Key counts


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


class QuotaError(Exception):
    """A key has as many studies as it may have. ``field`` names the limit, ``found`` is what there is."""

    def __init__(self, field: str, found: int, most: int) -> None:
        super().__init__(f"{field} is {most} for this key, and {found} are there")
        self.field, self.found, self.most = field, found, most


class KeyReusedError(Exception):
    """An Idempotency-Key came with another body than before."""


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


def wait_turn(session: Session, owner: str) -> None:
    """Until the end of this transaction nobody else asks under the same key."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite's writers queue anyway
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, 0))"), {"owner": owner})


def check_quotas(session: Session, terms: Terms) -> None:
    """Raises QuotaError when a key has as many studies as it may have."""
    mine = select(func.count()).select_from(StudyRow).where(StudyRow.owner == terms.owner)
    unfinished = mine.where(StudyRow.state.not_in([state.value for state in FINISHED]))
    for field, query, most in (
        ("max_queued", unfinished, terms.max_queued),
        ("max_studies", mine, terms.max_studies),
    ):
        if most is not None and (found := session.scalar(query) or 0) >= most:
            raise QuotaError(field, found, most)


def attach(session: Session, study_id: str, terms: Terms) -> None:
    """Note what belongs to a request for a study: its Idempotency-Key, and whom to tell at the study's end."""
    now = session.scalar(select(clock()))
    if terms.idempotency_key is not None:
        stale = IdempotencyRow.created <= clock() - REMEMBERED_SECONDS
        session.execute(delete(IdempotencyRow).where(IdempotencyRow.owner == terms.owner, stale))
        session.add(
            IdempotencyRow(
                owner=terms.owner, key=terms.idempotency_key, body_hash=terms.body_hash, study_id=study_id, created=now
            )
        )
    if terms.webhook is not None:
        target = terms.webhook
        session.add(WebhookRow(study_id=study_id, url=target.url, secret=target.secret, attempts=0, next_attempt=now))
