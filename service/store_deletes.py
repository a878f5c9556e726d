"""The SQL of deleting. Inside the caller's transaction.

A study's trials lie in Optuna's tables, which know no cascade: they are emptied here, children first. Its tables and
columns are declared in ``TABLES`` and pinned by a test against the installed Optuna.

Blobs are shared: the same signal of two datasets is kept once. What nothing names any more is forgotten inside a
transaction during which no dataset is added, so that none can come to name it meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from sqlalchemy import JSON, Integer, Select, column, delete, func, inspect, select, table, true
from sqlalchemy.orm import Session

from service.database import BLOBS_LOCK, exclude
from service.models import DatasetRow, IdempotencyRow, RunRow, StudyRow, WebhookRow
from service.states import FINISHED, StudyState
from service.trial_records import STUDIES, TRIALS, optuna_name

__all__ = ["TABLES", "dataset", "keepsake_used", "study", "unused_signals"]

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


def study(session: Session, study_id: str) -> Literal["deleted", "unfinished", "needed", "unknown"]:
    """Delete a study with all that belongs to it, unless a runner holds it or another one, which has not ended, starts
    from its trials: that one would go on differently after a restart.
    """
    row = session.scalar(select(StudyRow).where(StudyRow.id == study_id).with_for_update())
    if row is None:
        return "unknown"
    if StudyState(row.state) in HELD:
        return "unfinished"
    going_on = session.scalars(select(StudyRow.plan).where(StudyRow.state.not_in(FINISHED)))
    starts = [family for plan in going_on for family in plan["families"]]
    if any(study_id in (*family.get("prior", ()), family.get("hint")) for family in starts):
        return "needed"
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


def unused_signals(session: Session, blob_keys: Collection[str]) -> set[str]:
    """Those of the blobs that no dataset names; until the end of the transaction none is added."""
    exclude(session, BLOBS_LOCK)
    elements = "json_array_elements" if session.get_bind().dialect.name == "postgresql" else "json_each"
    signal = getattr(func, elements)(DatasetRow.signals).table_valued(column("value", JSON))
    named = signal.c.value["blob_key"].as_string()
    found = select(named).select_from(DatasetRow).join(signal, true()).where(named.in_(blob_keys)).distinct()
    return set(blob_keys) - set(session.scalars(found))


def keepsake_used(session: Session, blob_key: str) -> bool:
    """Whether a study's result names a blob."""
    named = select(StudyRow.id).where(StudyRow.result["keepsake"].as_string() == blob_key)
    return session.scalar(named.limit(1)) is not None


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
