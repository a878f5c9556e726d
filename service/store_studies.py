"""The SQL about studies as clients see them. Each function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CursorResult, Update, bindparam, func, select, update
from sqlalchemy.orm import Session, defer

from service.cursors import Position, page_of
from service.database import clock
from service.filters import StudyFilter, family_words, newest_first
from service.models import DatasetRow, StudyRow
from service.records import Page, Study, Title, plan_json, result_of, study_of
from service.states import TRANSITIONS, StudyState
from workers.plan import StudyPlan
from workers.result import StudyResult

__all__ = ["add", "by_id", "cancel", "changed", "counts", "kin", "page", "result", "same", "titles",
           "transition"]  # fmt: skip


def changed(session: Session, statement: Update) -> bool:
    """Whether an UPDATE of one row found its row."""
    outcome = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(outcome, CursorResult)  # every UPDATE's is; the type of execute() cannot tell
    return bool(outcome.rowcount == 1)


def transition(name: str, study_id: str) -> Update:
    """The conditional UPDATE of a transition: it finds no row if the study stands elsewhere."""
    step = TRANSITIONS[name]
    return update(StudyRow).where(StudyRow.id == study_id, StudyRow.state.in_(step.sources)).values(state=step.target)


def add(
    session: Session,
    plan: StudyPlan,
    dataset_id: str,
    request: Mapping[str, Any],
    warnings: Sequence[str],
    marks: tuple[str | None, str | None],
    owner: str = "",
) -> Study:
    """Insert a study that waits for a runner."""
    row = StudyRow(
        id=plan.study_id,
        owner=owner,
        families=family_words([family.family for family in plan.families]),
        dataset_id=dataset_id,
        state=StudyState.QUEUED.value,
        request=dict(request),
        plan=plan_json(plan),
        warnings=list(warnings),
        fingerprint=marks[0],
        kinship=marks[1],
        lease_number=0,
        created=session.scalar(select(clock())),
    )
    session.add(row)
    session.flush()
    return study_of(row)


def same(session: Session, fingerprint: str, owner: str) -> Study | None:
    """The newest study of this request by this owner that has its answer or is on its way to it."""
    alive = (StudyState.QUEUED, StudyState.RUNNING, StudyState.COMPLETED)
    found = (
        select(StudyRow)
        .where(StudyRow.fingerprint == fingerprint, StudyRow.owner == owner, StudyRow.state.in_(alive))
        .order_by(StudyRow.created.desc(), StudyRow.id.desc())
        .options(defer(StudyRow.result))
    )
    row = session.scalars(found.limit(1)).first()
    return None if row is None else study_of(row)


def kin(session: Session, kinship: str, owner: str, limit: int) -> list[Study]:
    """Completed studies of this owner whose trials can be compared, newest first."""
    found = (
        select(StudyRow)
        .where(StudyRow.kinship == kinship, StudyRow.owner == owner, StudyRow.state == StudyState.COMPLETED)
        .order_by(StudyRow.created.desc(), StudyRow.id.desc())
        .options(defer(StudyRow.result))
    )
    return [study_of(row) for row in session.scalars(found.limit(limit))]


BY_ID = select(StudyRow).where(StudyRow.id == bindparam("id")).options(defer(StudyRow.result))  # made once: asked most


def by_id(session: Session, study_id: str) -> Study | None:
    """The study, or None."""
    row = session.scalar(BY_ID, {"id": study_id})
    return None if row is None else study_of(row)


def result(session: Session, study_id: str) -> StudyResult | None:
    """The answer of a completed study, or None."""
    found = session.scalar(select(StudyRow.result).where(StudyRow.id == study_id))
    return None if found is None else result_of(found)


def titles(session: Session) -> dict[str, Title]:
    """Of all studies, by id: what a list of them says, without what they hold."""
    phase = StudyRow.progress["phase"].as_string()
    rows = select(StudyRow.id, DatasetRow.name, StudyRow.state, phase).join(
        DatasetRow, DatasetRow.id == StudyRow.dataset_id
    )
    return {key: Title(name, StudyState(state), at) for key, name, state, at in session.execute(rows)}


def page(session: Session, limit: int, after: Position | None, wanted: StudyFilter) -> Page[Study]:
    """Studies, newest first."""
    query = newest_first(StudyRow, select(StudyRow), after).where(*wanted.conditions()).limit(limit + 1)
    return page_of([study_of(row) for row in session.scalars(query.options(defer(StudyRow.result)))], limit)


def cancel(session: Session, study_id: str) -> Study | None:
    """Ask that a study end. A waiting one ends at once, a finished one stays as it is. None if there is
    none.
    """
    if not changed(session, transition("cancel_waiting", study_id).values(finished=clock())):
        changed(session, transition("cancel_running", study_id))
    return by_id(session, study_id)


def counts(session: Session) -> dict[str, int]:
    """Studies by state."""
    rows = session.execute(select(StudyRow.state, func.count()).group_by(StudyRow.state))
    return {str(state): int(count) for state, count in rows}
