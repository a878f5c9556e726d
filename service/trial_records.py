"""Trials, read from Optuna's tables by our own paged SELECTs: Optuna itself would load every trial of a
study.

Nothing here writes: the runner's ask and tell are the only writers. The columns that are relied upon are
declared below and pinned by a test against the installed Optuna. Optuna's tables appear when a runner first
starts.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from weakref import WeakSet

from sqlalchemy import (
    DateTime,
    Engine,
    Float,
    Integer,
    Row,
    Select,
    String,
    Subquery,
    TableClause,
    cast,
    column,
    func,
    inspect,
    select,
    table,
)
from sqlalchemy.orm import Session

from service.cursors import BadCursorError
from service.records import Page, Study
from workers.response_data import AxisRange, Observation

__all__ = ["TABLES", "Trial", "counts", "observed", "optuna_name", "page"]

STUDIES = table("studies", column("study_id", Integer), column("study_name", String))
TRIALS = table(
    "trials",
    column("trial_id", Integer),
    column("number", Integer),
    column("study_id", Integer),
    column("state", String),
    column("datetime_start", DateTime),
    column("datetime_complete", DateTime),
)
STATE = cast(TRIALS.c.state, String)  # PostgreSQL has a type of its own for it, which compares with no text
VALUES = table("trial_values", column("trial_id", Integer), column("objective", Integer), column("value", Float))
PARAMS = table(
    "trial_params",
    column("trial_id", Integer),
    column("param_name", String),
    column("param_value", Float),
    column("distribution_json", String),
)
ATTRIBUTES = table(
    "trial_user_attributes", column("trial_id", Integer), column("key", String), column("value_json", String)
)
REPORTS = table(
    "trial_intermediate_values",
    column("trial_id", Integer),
    column("step", Integer),
    column("intermediate_value", Float),
)
TABLES = (STUDIES, TRIALS, VALUES, PARAMS, ATTRIBUTES, REPORTS)
_BEGUN: WeakSet[Engine] = WeakSet()  # engines of databases where they have been seen
MOST_OBSERVED = 400  # trials that a surface is fitted through: the newest


@dataclass(frozen=True)
class Trial:
    """One trial of one family. ``attributes`` are what the search wrote down with it.

    Optuna records times in the local time of the runner; they are read as the local time of this process.
    """

    family: str
    number: int
    state: str  # waiting, running, complete, pruned or failed
    score: float | None
    parameters: dict[str, float] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    started: datetime | None = None
    finished: datetime | None = None
    trial_id: int = 0


def optuna_name(study_id: str, family: str) -> str:
    """What Optuna and its dashboard call the search of one family."""
    return f"{study_id} {family}"


def page(session: Session, study: Study, limit: int, cursor: str | None) -> Page[Trial]:
    """Trials of all families in the order in which they were asked for."""
    after = _after(cursor)
    if not _begun(session):
        return Page((), None)
    names = {optuna_name(study.id, family): family for family in study.families}
    chosen = _chosen(tuple(names), after, limit + 1)
    rows = session.execute(_with_values(chosen)).all()
    shown = rows[:limit]
    ids = [row.trial_id for row in shown]
    parameters: dict[int, dict[str, float]] = defaultdict(dict)  # a trial asked for since the first SELECT is in it too
    for trial_id, name, value in session.execute(_of(chosen, PARAMS, "param_name", "param_value")).all():
        parameters[trial_id][name] = value
    attributes: dict[int, dict[str, Any]] = defaultdict(dict)
    words = session.execute(_of(chosen, ATTRIBUTES, "key", "value_json")).all()
    told = json.loads(f"[{','.join(word for _, _, word in words)}]")  # at once: there are a thousand on a page
    for (trial_id, key, _), value in zip(words, told, strict=True):
        attributes[trial_id][key] = value
    items = tuple(
        _trial(row, names[row.study_name], parameters[row.trial_id], attributes[row.trial_id]) for row in shown
    )
    return Page(items, _cursor(ids[-1]) if len(rows) > limit else None)


def observed(session: Session, study: Study, family: str) -> tuple[tuple[AxisRange, ...], tuple[Observation, ...]]:
    """The searched axes of a family and its finished trials, in their order; both empty before a runner began."""
    if not _begun(session):
        return (), ()
    ended = (
        select(TRIALS.c.trial_id, TRIALS.c.state, VALUES.c.value)
        .join(STUDIES, STUDIES.c.study_id == TRIALS.c.study_id)
        .join(VALUES, (VALUES.c.trial_id == TRIALS.c.trial_id) & (VALUES.c.objective == 0))
        .where(STUDIES.c.study_name == optuna_name(study.id, family), STATE.in_(("COMPLETE", "PRUNED")))
        .order_by(TRIALS.c.trial_id.desc())
        .limit(MOST_OBSERVED)
    )
    rows = session.execute(ended).all()[::-1]
    ids = [row.trial_id for row in rows]
    axes: dict[str, AxisRange] = {}
    parameters: dict[int, dict[str, float]] = {trial_id: {} for trial_id in ids}
    for row in session.execute(select(PARAMS).where(PARAMS.c.trial_id.in_(ids))):
        parameters[row.trial_id][row.param_name] = row.param_value
        bounds = json.loads(row.distribution_json)["attributes"]
        axes[row.param_name] = AxisRange(row.param_name, bounds["low"], bounds["high"], bounds["log"])
    reports: dict[int, dict[int, float]] = {trial_id: {} for trial_id in ids}
    for row in session.execute(select(REPORTS).where(REPORTS.c.trial_id.in_(ids))):
        reports[row.trial_id][row.step] = row.intermediate_value
    return tuple(axes[name] for name in sorted(axes)), tuple(
        Observation(parameters[row.trial_id], row.value if row.state == "COMPLETE" else None, reports[row.trial_id])
        for row in rows
        if parameters[row.trial_id].keys() == axes.keys()
    )


def counts(session: Session) -> dict[str, int]:
    """Trials by state, of all studies."""
    if not _begun(session):
        return {}
    rows = session.execute(select(TRIALS.c.state, func.count()).group_by(TRIALS.c.state))
    return {_word(state): count for state, count in rows}


def _begun(session: Session) -> bool:
    """Whether Optuna's tables are there; once they are, nobody asks again."""
    connection = session.connection()
    if connection.engine not in _BEGUN and inspect(connection).has_table(VALUES.name):
        _BEGUN.add(connection.engine)
    return connection.engine in _BEGUN


def _word(state: str) -> str:
    return "failed" if state == "FAIL" else state.lower()


def _chosen(names: tuple[str, ...], after: int, limit: int) -> Subquery:
    """The trials of a page, by a few bound values: a list of all their ids takes longer to write than to find."""
    return (
        select(TRIALS, STUDIES.c.study_name)
        .join(STUDIES, STUDIES.c.study_id == TRIALS.c.study_id)
        .where(STUDIES.c.study_name.in_(names), TRIALS.c.trial_id > after)
        .order_by(TRIALS.c.trial_id)
        .limit(limit)
        .subquery()
    )


def _with_values(chosen: Subquery) -> Select[Any]:
    """The page first, its values then: joined the other way round, every trial of the study may be looked up."""
    return (
        select(chosen, VALUES.c.value)
        .outerjoin(VALUES, (VALUES.c.trial_id == chosen.c.trial_id) & (VALUES.c.objective == 0))
        .order_by(chosen.c.trial_id)
    )


def _of(chosen: Subquery, several: TableClause, name: str, value: str) -> Select[Any]:
    """``(trial_id, name, value)`` of a page's trials, from a table that has several of these for each."""
    columns = (several.c[which] for which in ("trial_id", name, value))
    return select(*columns).join(chosen, chosen.c.trial_id == several.c.trial_id)


def _trial(row: Row[Any], family: str, parameters: dict[str, float], attributes: dict[str, Any]) -> Trial:
    return Trial(
        family=family,
        number=row.number,
        state=_word(row.state),
        score=row.value,
        parameters=parameters,
        attributes=attributes,
        started=_utc(row.datetime_start),
        finished=_utc(row.datetime_complete),
        trial_id=row.trial_id,
    )


def _utc(local: datetime | None) -> datetime | None:
    return None if local is None else local.astimezone(UTC)


def _cursor(trial_id: int) -> str:
    return base64.urlsafe_b64encode(f"t{trial_id}".encode()).decode()


def _after(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        word = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
        if word[:1] != "t" or not word[1:].isdecimal() or len(word) > 18:
            raise ValueError(word)
    except ValueError:
        raise BadCursorError(cursor) from None
    return int(word[1:])
