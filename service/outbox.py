"""Webhooks that wait to be sent, in the database: a crash loses none, and several processes share the sending."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, Select, and_, func, or_, select, update
from sqlalchemy.orm import Session

from service.database import clock, writing
from service.models import StudyRow, WebhookRow
from service.states import FINISHED
from service.transactions import transact

__all__ = ["Letter", "Outbox"]

AT_ONCE = 3  # messages that are taken together: each may take 20 s
LONGEST_PAUSE = 21_600.0  # seconds between two attempts
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

    def take(self, limit: int = AT_ONCE) -> list[Letter]:
        """Messages of studies that have ended and are due: this process is to send them within a minute.

        Each owner's first comes before anybody's second, so that nobody's many hold another's up.
        """
        anything = select(WebhookRow.id).join_from(WebhookRow, StudyRow).where(_due()).limit(1)
        if transact(self._reader, lambda session: session.scalar(anything)) is None:
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


def _due() -> ColumnElement[bool]:
    """Of a webhook and its study. What is further ahead than any pause was left there by a clock that was put back."""
    come = or_(WebhookRow.next_attempt <= clock(), WebhookRow.next_attempt > clock() + LONGEST_PAUSE)
    return and_(come, StudyRow.state.in_([state.value for state in FINISHED]))


def _in_turn() -> Select[int]:
    """Due ones: the first of each owner, then the second of each ... Between owners chance decides."""
    place = func.row_number().over(partition_by=StudyRow.owner, order_by=(WebhookRow.next_attempt, WebhookRow.id))
    lines = select(WebhookRow.id, place.label("place")).join_from(WebhookRow, StudyRow).where(_due()).subquery()
    return (
        select(WebhookRow.id)
        .join_from(WebhookRow, StudyRow)
        .join(lines, lines.c.id == WebhookRow.id)
        .where(_due())  # of one that another process took a moment ago it is false by now
        .order_by(lines.c.place, func.random())
    )


def _take(session: Session, limit: int) -> list[Letter]:
    due = _in_turn().limit(limit).with_for_update(skip_locked=True, of=WebhookRow)
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
