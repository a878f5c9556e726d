"""Trials, read from Optuna's tables by our own paged SELECTs: Optuna itself would load every trial of a
study.

Nothing here writes: the runner's ask and tell are the only writers. The columns that are relied upon are
declared below and pinned by a test against the installed Optuna. Optuna's tables appear when a runner first
starts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from weakref import WeakSet

from sqlalchemy import (
    DateTime,
    Engine,
    Float,
    Integer,
    Row,
    Select,
    String,
    bindparam,
    cast,
    column,
    func,
    inspect,
    select,
    table,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

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
TOLD = ("attempt", "bias_first", "note", "order", "seconds", "sigma_a", "sigma_p", "sigma_p_first")  # of the attributes
MOST_OBSERVED = 400  # trials that a surface is fitted through: the newest


class _Spelled(FunctionElement[str]):
    """An SQL function that each database has under another name."""

    type = String()
    spellings: ClassVar[dict[str, str]]


@compiles(_Spelled)
def _spell(element: _Spelled, compiler: SQLCompiler, **options: Any) -> str:
    return element.spellings[compiler.dialect.name].format(compiler.process(element.clauses, **options))


class object_of(_Spelled):  # noqa: N801 -- it reads as the SQL function that it is
    """A JSON object of all keys and values of a group."""

    inherit_cache = True
    spellings: ClassVar[dict[str, str]] = {"sqlite": "json_group_object({})", "postgresql": "json_object_agg({})"}


class exact(_Spelled):  # noqa: N801 -- likewise
    """A number as a text that is read as the same number: in JSON SQLite would round it to 15 digits."""

    inherit_cache = True
    spellings: ClassVar[dict[str, str]] = {"sqlite": "printf('%!.17g', {})", "postgresql": "CAST({} AS TEXT)"}


@dataclass(frozen=True)
class Trial:
    """One trial of one family. ``attributes`` are what the search wrote down with it, of what is ``TOLD``.

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


def _page() -> Select[Any]:
    """The SELECT of a page, made once: its trials with their values and, as two texts, their parameters and attributes,
    for a page has a thousand of these.

    All that belongs to a trial is looked up trial by trial: a join may read what all trials have. The page is told by a
    few bound values: a list of all its ids takes longer to write than to find.
    """
    chosen = (
        select(TRIALS, STUDIES.c.study_name)
        .join(STUDIES, STUDIES.c.study_id == TRIALS.c.study_id)
        .where(STUDIES.c.study_name.in_(bindparam("names", expanding=True)), TRIALS.c.trial_id > bindparam("after"))
        .order_by(TRIALS.c.trial_id)
        .limit(bindparam("count"))
        .subquery()
    )
    searched = select(object_of(PARAMS.c.param_name, exact(PARAMS.c.param_value)))
    words = select(object_of(ATTRIBUTES.c.key, ATTRIBUTES.c.value_json)).where(ATTRIBUTES.c.key.in_(TOLD))
    texts = [
        cast(found.where(of.c.trial_id == chosen.c.trial_id).scalar_subquery(), String).label(name)
        for name, found, of in (("searched", searched, PARAMS), ("words", words, ATTRIBUTES))
    ]
    value = select(VALUES.c.value).where(VALUES.c.trial_id == chosen.c.trial_id, VALUES.c.objective == 0)
    return select(chosen, value.scalar_subquery().label("value"), *texts).order_by(chosen.c.trial_id)


PAGE = _page()


def optuna_name(study_id: str, family: str) -> str:
    """What Optuna and its dashboard call the search of one family."""
    return f"{study_id} {family}"


def page(session: Session, study: Study, limit: int, cursor: str | None) -> Page[Trial]:
    """Trials of all families in the order in which they were asked for."""
    after = _after(cursor)
    if not _begun(session):
        return Page((), None)
    names = {optuna_name(study.id, family): family for family in study.families}
    rows = session.execute(PAGE, {"names": list(names), "after": after, "count": limit + 1}).all()
    shown = rows[:limit]
    told = zip(shown, _objects(row.searched for row in shown), _told([row.words for row in shown]), strict=True)
    items = tuple(_trial(row, names[row.study_name], searched, words) for row, searched, words in told)
    return Page(items, _cursor(shown[-1].trial_id) if len(rows) > limit else None)


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


def _objects(texts: Iterable[str | None]) -> list[dict[str, str]]:
    """Objects of JSON, read at once."""
    found: list[dict[str, str]] = json.loads(f"[{','.join(text or '{}' for text in texts)}]")
    return found


def _told(words: list[str | None]) -> list[dict[str, Any]]:
    """The attributes of a page's trials, given objects of JSON in JSON; read at once too."""
    objects = _objects(words)
    values = iter(json.loads(f"[{','.join(value for each in objects for value in each.values())}]"))
    return [{key: next(values) for key in each} for each in objects]


def _trial(row: Row[Any], family: str, searched: dict[str, str], attributes: dict[str, Any]) -> Trial:
    return Trial(
        family=family,
        number=row.number,
        state=_word(row.state),
        score=row.value,
        parameters={name: float(text) for name, text in searched.items()},
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
