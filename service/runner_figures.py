"""What runners say of themselves, through the database: any API process can tell it, wherever the runners are."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.database import clock, writing
from service.models import RunnerRow
from service.transactions import transact
from workers.events import Event, StudyCompleted, StudyFailed, TrialFinished

__all__ = ["Board", "Figures", "RunnerSeen"]

EVERY_SECONDS = 5.0
GONE_SECONDS = 60.0  # without a sign of life a runner counts no more
FORGOTTEN_SECONDS = 86_400.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunnerSeen:
    """A runner that was seen lately."""

    name: str
    silent_for: float  # seconds
    figures: Mapping[str, Any]


class Board:
    """Where the figures hang, over one engine of ``service.database.make_engine``."""

    def __init__(self, engine: Engine) -> None:
        self._reader, self._writer = engine, writing(engine)

    def pin(self, name: str, figures: Mapping[str, Any]) -> None:
        """Replace a runner's figures; those of runners gone since a day are taken down."""

        def work(session: Session) -> None:
            now = session.scalar(select(clock())) or 0.0
            row = session.get(RunnerRow, name)
            if row is None:
                session.execute(delete(RunnerRow).where(RunnerRow.seen < now - FORGOTTEN_SECONDS))
                row = RunnerRow(name=name, started=now)
                session.add(row)
            row.seen, row.figures = now, dict(figures)

        transact(self._writer, work)

    def runners(self) -> list[RunnerSeen]:
        """The runners that gave a sign of life within the last minute."""

        def work(session: Session) -> list[RunnerSeen]:
            now = session.scalar(select(clock())) or 0.0
            lately = RunnerRow.seen.between(now - GONE_SECONDS, now + GONE_SECONDS)  # the clock may be put back
            alive = select(RunnerRow).where(lately).order_by(RunnerRow.name)
            return [RunnerSeen(row.name, max(0.0, now - row.seen), row.figures) for row in session.scalars(alive)]

        return transact(self._reader, work)


class Figures:
    """One runner's counters. ``pool`` gives what the trainers add to them."""

    def __init__(self, board: Board, name: str, pool: Callable[[], Mapping[str, Any]]) -> None:
        self._board, self._name, self._pool = board, name, pool
        self._trials: Counter[str] = Counter()
        self._studies: Counter[str] = Counter()
        self._due = 0.0

    def note(self, event: Event) -> None:
        """Count what the engine returned."""
        match event:
            case TrialFinished():
                self._trials[event.state] += 1
            case StudyCompleted():
                self._studies["completed"] += 1
            case StudyFailed():
                self._studies["failed"] += 1

    def tell(self, held: int) -> None:
        """Every few seconds, write them down; ``held`` studies are worked on. A database that is away costs figures."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY_SECONDS
        counted = {"studies_held": held, "trials": dict(self._trials), "studies_ended": dict(self._studies)}
        figures = {**counted, **self._pool()}
        if not held:
            figures["slots_in_use"] = 0  # a study that was cancelled leaves its slots with the next one's first turn
        try:
            self._board.pin(self._name, figures)
        except SQLAlchemyError:
            log.warning("the runner's figures cannot be written now")
