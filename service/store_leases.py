"""The SQL of the runner: claiming studies, keeping the lease, recording. Inside the caller's transaction.

A lease is a number that grows with every claim and a time by the database's clock. Every write of a runner
names the number: once another runner has claimed the study, the former one's writes find no row and raise
``LeaseLost``. A lease that has run out but that nobody has claimed still holds. The clock may jump: forwards ends
leases early, and a lease that ends further ahead than any can has been left behind by a clock that was put back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, Literal

from sqlalchemy import Connection, Update, and_, func, or_, select, update
from sqlalchemy.orm import Session

from service.database import clock
from service.models import DatasetRow, RunRow, StudyRow
from service.records import (
    ClaimedStudy,
    LeaseLost,
    claimed_of,
    config_json,
    progress_json,
    result_json,
    run_of,
)
from service.states import LONGEST_LEASE, StudyState
from service.store_studies import changed, transition
from workers.events import Run
from workers.result import ProgressNote, StudyResult

__all__ = [
    "cancelled",
    "claim",
    "complete",
    "fail",
    "fence",
    "record_progress",
    "record_run",
    "release",
    "renew",
    "runs",
]

HELD = (StudyState.RUNNING, StudyState.CANCELLING)
CLAIMS = {
    StudyState.QUEUED: "claim",
    StudyState.RUNNING: "reclaim",
    StudyState.CANCELLING: "reclaim_cancelling",
}


def claim(
    session: Session, owner: str, lease_seconds: float, only: str | None, but: Collection[str]
) -> ClaimedStudy | None:
    """Take the study that has waited longest: a queued one, or one whose lease has run out. None if there is
    none.
    """
    if lease_seconds > LONGEST_LEASE:
        raise ValueError(f"lease_seconds must be at most {LONGEST_LEASE:.0f}, got {lease_seconds!r}")
    let_go = or_(StudyRow.lease_until <= clock(), StudyRow.lease_until > clock() + LONGEST_LEASE)
    claimable = or_(StudyRow.state == StudyState.QUEUED, and_(StudyRow.state.in_(HELD), let_go))
    candidate = (
        select(StudyRow.id, StudyRow.state, StudyRow.lease_number)
        .where(claimable, StudyRow.id.not_in(but))
        .order_by(StudyRow.created, StudyRow.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # PostgreSQL; SQLite's writers queue
    )
    if only is not None:
        candidate = candidate.where(StudyRow.id == only)
    found = session.execute(candidate).first()
    if found is None:
        return None
    study_id, state, lease_number = found
    taken = (
        transition(CLAIMS[StudyState(state)], study_id)
        .where(StudyRow.lease_number == lease_number)
        .values(
            lease_number=lease_number + 1,
            lease_owner=owner,
            lease_until=clock() + lease_seconds,
            started=func.coalesce(StudyRow.started, clock()),
            paced_from=None,
            paced_steps=None,
        )
    )
    if not changed(session, taken):
        return None
    row = session.get_one(StudyRow, study_id)
    now = session.scalars(select(clock())).one()
    return claimed_of(row, session.get_one(DatasetRow, row.dataset_id), owner, now)


def renew(
    session: Session, study_id: str, lease_number: int, lease_seconds: float
) -> Literal["ok", "cancelling", "lost"]:
    """Hold on to a study, and hear whether its client wants it to end."""
    kept = (
        update(StudyRow)
        .where(StudyRow.id == study_id, StudyRow.lease_number == lease_number, StudyRow.state.in_(HELD))
        .where(StudyRow.lease_owner.is_not(None))  # one that was being cancelled and was given back keeps its number
        .values(lease_until=clock() + lease_seconds)
    )
    if not changed(session, kept):
        return "lost"
    state = session.scalar(select(StudyRow.state).where(StudyRow.id == study_id))
    return "cancelling" if state == StudyState.CANCELLING else "ok"


def fence(study_id: str, lease_number: int) -> Callable[[Connection], bool]:
    """What asks, inside a transaction of the trial storage, whether the lease holds, and locks the study's row until
    that ends: nobody can claim the study between the question and the write.
    """
    held = update(StudyRow).where(
        StudyRow.id == study_id, StudyRow.lease_number == lease_number, StudyRow.state.in_(HELD)
    )
    same = held.values(lease_number=lease_number)
    return lambda connection: bool(connection.execute(same).rowcount == 1)


def release(session: Session, study_id: str, lease_number: int) -> None:
    """Give a study back: a running one waits again, one that is being cancelled can be claimed at once."""
    waits: dict[str, Any] = {"lease_owner": None, "lease_until": clock(), "given_back": StudyRow.given_back + 1}
    if not changed(session, _held(transition("release", study_id), lease_number).values(waits)):
        _write(session, study_id, lease_number, waits)


def record_run(session: Session, study_id: str, lease_number: int, run: Run) -> bool:
    """Record a run once; False if it had been recorded before. What stands never changes."""
    if run.study_id != study_id:
        raise ValueError(f"the run belongs to study {run.study_id!r}, not to {study_id!r}")
    _require_finite(run)
    _write(session, study_id, lease_number, {"lease_number": lease_number})  # locks the row: one writer a study
    known = select(RunRow.id).where(
        RunRow.study_id == study_id,
        RunRow.family == run.family,
        RunRow.arm == run.arm,
        RunRow.replicate == run.replicate,
    )
    if session.scalar(known) is not None:
        return False
    session.add(
        RunRow(
            study_id=study_id,
            family=run.family,
            arm=run.arm,
            kind=run.kind,
            replicate=run.replicate,
            score=run.score,
            best_score=run.best_score,
            best_step=run.best_step,
            diverged=run.diverged,
            seconds=run.seconds,
            config=config_json(run.config),
            curve=[[step, score] for step, score in run.curve],
            lease_number=lease_number,
            recorded=session.scalar(select(clock())),
        )
    )
    return True


def runs(session: Session, study_id: str) -> list[Run]:
    """Every run of a study, in the order of recording."""
    return [run_of(row) for row in session.scalars(select(RunRow).filter_by(study_id=study_id).order_by(RunRow.id))]


def record_progress(session: Session, study_id: str, lease_number: int, note: ProgressNote) -> None:
    """Replace the note that says how far a study is."""
    fields = {
        "progress": progress_json(note),
        "progressed": clock(),
        "paced_from": func.coalesce(StudyRow.paced_from, clock()),
        "paced_steps": func.coalesce(StudyRow.paced_steps, note.member_steps_done),
    }
    _write(session, study_id, lease_number, fields)


def complete(session: Session, study_id: str, lease_number: int, result: StudyResult) -> None:
    """End a study with its answer; the answer's warnings join those of the request."""
    known = session.scalar(select(StudyRow.warnings).where(StudyRow.id == study_id)) or []
    warnings = list(dict.fromkeys([*known, *result.warnings]))
    _finish(session, "complete", study_id, lease_number, {"result": result_json(result), "warnings": warnings})


def fail(session: Session, study_id: str, lease_number: int, error: str) -> None:
    """End a study that cannot go on; ``error`` is a sentence for its client."""
    _finish(session, "fail", study_id, lease_number, {"error": error})


def cancelled(session: Session, study_id: str, lease_number: int) -> None:
    """End a study whose client asked for it."""
    _finish(session, "cancelled", study_id, lease_number, {})


def _require_finite(run: Run) -> None:
    numbers = {"score": run.score, "best_score": run.best_score, "seconds": run.seconds}
    numbers |= {f"curve at step {step}": score for step, score in run.curve}
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise ValueError(f"a run's {name} must be finite, got {value!r} from {run.arm!r}")


def _held(statement: Update, lease_number: int) -> Update:
    return statement.where(StudyRow.lease_number == lease_number)


def _finish(session: Session, name: str, study_id: str, lease_number: int, fields: dict[str, Any]) -> None:
    ended = {"lease_owner": None, "lease_until": None, "finished": clock()}
    if not changed(session, _held(transition(name, study_id), lease_number).values({**fields, **ended})):
        raise LeaseLost(f"study {study_id!r} is not held under lease {lease_number}, or its state forbids {name!r}")


def _write(session: Session, study_id: str, lease_number: int, fields: dict[str, Any]) -> None:
    held = update(StudyRow).where(StudyRow.id == study_id, StudyRow.state.in_(HELD))
    if not changed(session, _held(held, lease_number).values(fields)):
        raise LeaseLost(f"study {study_id!r} is not held under lease {lease_number}")
