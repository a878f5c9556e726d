"""Webhooks that wait to be sent, in the database: a crash loses none, and several processes share the sending."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, Select, select, update
from sqlalchemy.orm import Session

from service.database import clock, writing
from service.models import StudyRow, WebhookRow
from service.states import FINISHED
from service.transactions import transact

__all__ = ["Letter", "Outbox"]

SENDING_SECONDS = 60.0  # after which another process may take over a message whose sender has said nothing


@dataclass(frozen=True)
class Letter:
    """A message that is due. ``attempt`` counts from 1; ``finished`` is in seconds since 1970 UTC."""

    id: int
    url: str
    secret: str
    attempt: int
    study_id: str
    state: str
    finished: float


class Outbox:
    """Over one engine of ``service.database.make_engine``."""

    def __init__(self, engine: Engine) -> None:
        self._reader, self._writer = engine, writing(engine)

    def take(self, limit: int = 8) -> list[Letter]:
        """Messages of studies that have ended and are due: this process is to send them within a minute."""
        if transact(self._reader, lambda session: session.scalar(_due().limit(1))) is None:
            return []  # an idle service only reads
        return transact(self._writer, lambda session: _take(session, limit))

    def delivered(self, letter: Letter) -> None:
        """The receiver has it."""
        self._settle(letter, next_attempt=None, delivered=clock(), error=None)

    def failed(self, letter: Letter, error: str, again_in: float | None) -> None:
        """It did not arrive; ``again_in`` seconds until the next attempt, None: it is given up."""
        self._settle(letter, next_attempt=None if again_in is None else clock() + again_in, error=error[:500])

    def _settle(self, letter: Letter, **values: object) -> None:
        mine = WebhookRow.attempts == letter.attempt  # else another process has taken it over
        settled = update(WebhookRow).where(WebhookRow.id == letter.id, mine).values(**values)
        transact(self._writer, lambda session: session.execute(settled))


def _due() -> Select[int]:
    return (
        select(WebhookRow.id)
        .join(StudyRow, StudyRow.id == WebhookRow.study_id)
        .where(WebhookRow.next_attempt <= clock(), StudyRow.state.in_([state.value for state in FINISHED]))
        .order_by(WebhookRow.next_attempt)
    )


def _take(session: Session, limit: int) -> list[Letter]:
    due = _due().limit(limit).with_for_update(skip_locked=True, of=WebhookRow)
    taken = []
    for webhook_id in session.scalars(due).all():
        row = session.get_one(WebhookRow, webhook_id)
        study = session.get_one(StudyRow, row.study_id)
        row.attempts += 1
        row.next_attempt = (session.scalar(select(clock())) or 0.0) + SENDING_SECONDS
        taken.append(
            Letter(row.id, row.url, row.secret, row.attempts, study.id, study.state, study.finished or study.created)
        )
    return taken
