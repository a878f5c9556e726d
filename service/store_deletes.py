"""The SQL of deleting. Inside the caller's transaction.

A study's trials lie in Optuna's tables, which know no cascade: they are emptied here, children first. Its tables and
columns are declared in ``TABLES`` and pinned by a test against the installed Optuna.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Integer, Select, Text, cast, column, delete, inspect, select, table
from sqlalchemy.orm import Session

from service.models import DatasetRow, IdempotencyRow, RunRow, StudyRow, WebhookRow
from service.states import StudyState
from service.trial_records import STUDIES, TRIALS, optuna_name

__all__ = ["TABLES", "blob_used", "dataset", "study"]

HELD = (StudyState.RUNNING, StudyState.CANCELLING)
OF_A_TRIAL = tuple(
    table(name, column("trial_id", Integer))
    for name in (
        "trial_user_attributes", "trial_system_attributes", "trial_params", "trial_values",
        "trial_intermediate_values", "trial_heartbeats",
    )
)  # fmt: skip
OF_A_STUDY = tuple(
    table(name, column("study_id", Integer))
    for name in ("study_directions", "study_user_attributes", "study_system_attributes")
)
TABLES = (*OF_A_TRIAL, *OF_A_STUDY)


def study(session: Session, study_id: str) -> Literal["deleted", "unfinished", "unknown"]:
    """Delete a study with all that belongs to it, unless a runner holds it."""
    row = session.scalar(select(StudyRow).where(StudyRow.id == study_id).with_for_update())
    if row is None:
        return "unknown"
    if StudyState(row.state) in HELD:
        return "unfinished"
    _trials(session, [optuna_name(study_id, family["family"]) for family in row.plan["families"]])
    for child in (RunRow, IdempotencyRow, WebhookRow):
        session.execute(delete(child).where(child.study_id == study_id))
    session.execute(delete(StudyRow).where(StudyRow.id == study_id))
    return "deleted"


def dataset(session: Session, dataset_id: str) -> Literal["deleted", "used", "unknown"]:
    """Delete a dataset that no study refers to."""
    row = session.scalar(select(DatasetRow).where(DatasetRow.id == dataset_id).with_for_update())
    if row is None:
        return "unknown"
    if session.scalar(select(StudyRow.id).where(StudyRow.dataset_id == dataset_id).limit(1)) is not None:
        return "used"
    session.delete(row)
    return "deleted"


def blob_used(session: Session, blob_key: str) -> bool:
    """Whether a dataset, or a study's result, names a blob."""
    words = f"%{blob_key}%"
    dataset_names = select(DatasetRow.id).where(cast(DatasetRow.signals, Text).like(words))
    result_names = select(StudyRow.id).where(cast(StudyRow.result, Text).like(words))
    return any(session.scalar(query.limit(1)) is not None for query in (dataset_names, result_names))


def _trials(session: Session, names: list[str]) -> None:
    """Empty Optuna's tables of these studies; they are there once a runner has started."""
    there = set(inspect(session.connection()).get_table_names())
    if STUDIES.name not in there:
        return
    ids = list(session.scalars(select(STUDIES.c.study_id).where(STUDIES.c.study_name.in_(names))))
    trials: Select[tuple[int]] = select(TRIALS.c.trial_id).where(TRIALS.c.study_id.in_(ids))
    for child in OF_A_TRIAL:
        if child.name in there:
            session.execute(delete(child).where(child.c.trial_id.in_(trials)))
    for child in (TRIALS, *OF_A_STUDY, STUDIES):
        session.execute(delete(child).where(child.c.study_id.in_(ids)))
