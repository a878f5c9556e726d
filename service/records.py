"""What the store hands out: frozen records, detached from the database; and plain data to and from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from service.models import DatasetRow, RunRow, StudyRow
from service.states import StudyState
from vi3nr.config import InitConfig
from workers.events import Run
from workers.plan import StudyPlan
from workers.result import ProgressNote, StudyResult

__all__ = [
    "ClaimedStudy",
    "Dataset",
    "LeaseLost",
    "Page",
    "StoredSignal",
    "Study",
    "Title",
    "claimed_of",
    "dataset_of",
    "run_of",
    "study_of",
]
__all__ += ["config_json", "note_of", "plan_json", "progress_json", "result_json", "result_of"]

T = TypeVar("T")
_plan, _progress, _result = TypeAdapter(StudyPlan), TypeAdapter(ProgressNote), TypeAdapter(StudyResult)
_config = TypeAdapter(InitConfig)


class LeaseLost(RuntimeError):  # noqa: N818 -- it says what happened
    """A runner wrote to a study that it holds no more: drop the study, another runner has it or it has
    ended.
    """


@dataclass(frozen=True)
class StoredSignal:
    """One signal of a dataset: ``blob_key`` finds it in the blob store, ``meta`` is what was done to its upload."""

    name: str
    blob_key: str
    shape: tuple[int, ...]
    points: int
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class Dataset:
    """Stored signals of one kind; ``points`` of all together; ``created`` is in seconds since 1970 UTC."""

    id: str
    name: str
    kind: str
    points: int
    in_dim: int
    out_dim: int
    signals: tuple[StoredSignal, ...]
    created: float
    owner: str = ""  # the key that made it; empty where keys were off

    @property
    def fewest_points(self) -> int:
        """Of the smallest signal."""
        return min(signal.points for signal in self.signals)

    @property
    def blob_key(self) -> str:
        """Of the first signal."""
        return self.signals[0].blob_key

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first signal."""
        return self.signals[0].shape

    @property
    def meta(self) -> Mapping[str, Any]:
        """Of the first signal."""
        return self.signals[0].meta


@dataclass(frozen=True)
class Study:
    """A study as the API shows it. Times are in seconds since 1970 UTC, by the database's clock."""

    id: str
    dataset_id: str
    state: StudyState
    request: Mapping[str, Any]
    families: tuple[str, ...]
    warnings: tuple[str, ...]
    progress: ProgressNote | None
    seconds_left: float | None
    error: str | None
    created: float
    started: float | None
    finished: float | None
    owner: str = ""  # the key that asked for it; empty where keys were off


@dataclass(frozen=True)
class Title:
    """What a study is called and where it stands; ``phase`` is None before the first report."""

    dataset_name: str
    state: StudyState
    phase: str | None


@dataclass(frozen=True)
class ClaimedStudy:
    """A study that a runner has taken. Every later write names ``lease_number``.

    ``state`` is running; or cancelling when its former runner died before it could stop: say ``Store.cancelled`` now.
    """

    id: str
    plan: StudyPlan
    dataset: Dataset
    state: StudyState
    lease_number: int
    unreturned: int  # its leases that were not given back, this one included
    owner: str
    elapsed: float  # seconds since it was first claimed


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items and the cursor of the next page, None on the last one."""

    items: tuple[T, ...]
    next_cursor: str | None


def plan_json(plan: StudyPlan) -> dict[str, Any]:
    """A plan as JSON data."""
    return _finite(_plan.dump_python(plan, mode="json"))


def progress_json(note: ProgressNote) -> dict[str, Any]:
    """A progress note as JSON data."""
    return _finite(_progress.dump_python(note, mode="json"))


def result_json(result: StudyResult) -> dict[str, Any]:
    """A result as JSON data."""
    return _finite(_result.dump_python(result, mode="json"))


def note_of(data: dict[str, Any]) -> ProgressNote:
    """The progress note that ``progress_json`` wrote."""
    return _progress.validate_python(data)


def result_of(data: dict[str, Any]) -> StudyResult:
    """The result that ``result_json`` wrote."""
    return _result.validate_python(data)


def config_json(config: InitConfig) -> dict[str, Any]:
    """An init config as JSON data."""
    return _finite(_config.dump_python(config, mode="json"))


def _finite(data: dict[str, Any]) -> dict[str, Any]:
    """Refuse NaN and infinity before they reach a column: JSON has no word for them, PostgreSQL refuses
    them.
    """
    json.dumps(data, allow_nan=False)
    return data


def dataset_of(row: DatasetRow) -> Dataset:
    """The record of a row."""
    return Dataset(
        id=row.id,
        name=row.name,
        kind=row.kind,
        points=row.points,
        in_dim=row.in_dim,
        out_dim=row.out_dim,
        signals=tuple(StoredSignal(**{**signal, "shape": tuple(signal["shape"])}) for signal in row.signals),
        created=row.created,
        owner=row.owner,
    )


def study_of(row: StudyRow) -> Study:
    """The record of a row."""
    note = None if row.progress is None else note_of(row.progress)
    return Study(
        id=row.id,
        dataset_id=row.dataset_id,
        state=StudyState(row.state),
        request=row.request,
        families=tuple(family["family"] for family in row.plan["families"]),
        warnings=tuple(row.warnings),
        progress=note,
        seconds_left=_seconds_left(row, note),
        error=row.error,
        created=row.created,
        started=row.started,
        finished=row.finished,
        owner=row.owner,
    )


def _seconds_left(row: StudyRow, note: ProgressNote | None) -> float | None:
    """Member steps left, at the pace between the first and the last report since the study was last
    claimed.
    """
    if note is None or StudyState(row.state) is not StudyState.RUNNING:
        return None
    if row.progressed is None or row.paced_from is None or row.paced_steps is None:
        return None
    seconds, steps = row.progressed - row.paced_from, note.member_steps_done - row.paced_steps
    if seconds <= 0 or steps <= 0:
        return None
    return max(0.0, seconds / steps * (note.member_steps_total - note.member_steps_done))


def claimed_of(row: StudyRow, dataset: DatasetRow, owner: str, now: float) -> ClaimedStudy:
    """The record that the claiming runner gets at the time ``now``."""
    return ClaimedStudy(
        id=row.id,
        plan=_plan.validate_python(row.plan),
        dataset=dataset_of(dataset),
        state=StudyState(row.state),
        lease_number=row.lease_number,
        unreturned=row.lease_number - row.given_back,
        owner=owner,
        elapsed=max(0.0, now - (now if row.started is None else row.started)),
    )


def run_of(row: RunRow) -> Run:
    """The record of a row."""
    return Run(
        study_id=row.study_id,
        family=row.family,
        arm=row.arm,
        kind=row.kind,
        replicate=row.replicate,
        score=row.score,
        best_score=row.best_score,
        best_step=row.best_step,
        diverged=row.diverged,
        seconds=row.seconds,
        config=_config.validate_python(row.config),
        curve=tuple((int(step), float(score)) for step, score in row.curve),
    )
