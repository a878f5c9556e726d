"""What clients get. Times are UTC; scores are in the unit of the study's objective."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from service.objectives import objective_of
from service.reading.kinds import KINDS
from service.states import StudyState
from vi3nr.activations import family_of
from workers.result import ProgressNote

if TYPE_CHECKING:  # clients read answers, and have no use for SQLAlchemy
    from service.records import Dataset, Study
    from service.trial_records import Trial

__all__ = [
    "DatasetAnswer",
    "Datasets",
    "Health",
    "Ready",
    "Studies",
    "StudyAnswer",
    "TrialAnswer",
    "Trials",
    "dataset_answer",
    "study_answer",
    "trial_answer",
]


class Health(BaseModel):
    """All is well."""

    status: str = "ok"


class Ready(BaseModel):
    """Requests can be served."""

    status: str = "ready"
    missing: list[str] = Field(description="what studies wait for, as sentences")


class Links(BaseModel):
    """Where to go on."""

    self: str
    trials: str | None = None
    best: str | None = None
    surface: str | None = None
    report: str | None = Field(default=None, description="for people, in a browser")
    reconstruction: str | None = Field(default=None, description="the signal as the winner gives it back, a file")
    export: str | None = Field(default=None, description="the answer as a file to load; ?format= chooses which")
    dataset: str | None = None


class SignalAnswer(BaseModel):
    """One signal of a dataset, and what was done to its upload."""

    name: str
    points: int
    shape: list[int]
    notes: list[str]


class DatasetAnswer(BaseModel):
    """Stored signals, and what was done to the uploads to make them; what is told of one is told of the first."""

    id: str
    name: str
    kind: str = Field(description=", ".join(KINDS))
    points: int
    in_dim: int
    out_dim: int
    shape: list[int] = Field(description="the grid, slowest axis first: an image's height, width")
    original_size: list[int] = Field(description="of the upload: an image's width, height; an array's grid")
    size: list[int] = Field(description="the same of what studies fit")
    max_points: int
    axes: list[str] = Field(description="names of a coordinate's entries: x, y; t; ...")
    coordinate_range: list[float] = Field(description="where the first and the last point of an axis lie")
    value_range: list[float] = Field(description="the upload's values that became -1 and 1")
    sample_rate: float | None = Field(description="of a sound, in Hz")
    notes: list[str] = Field(description="what was done on the way, as sentences")
    signals: list[SignalAnswer] = Field(description="in the order of the upload; studies name them by their place")
    created: datetime
    links: Links


class Datasets(BaseModel):
    """A page of datasets, newest first."""

    items: list[DatasetAnswer]
    next_cursor: str | None


class BestSoFar(BaseModel):
    """The best trial of the search so far: a score at the search horizon, from one seed."""

    family: str
    trial: int
    score: float


class StudyAnswer(BaseModel):
    """Where a study stands."""

    id: str
    dataset_id: str
    state: StudyState
    phase: str | None = Field(description="search, continue, confirm or done; null before it begins")
    progress: ProgressNote | None
    unit: str = Field(description="of the study's scores: dB or steps")
    best_so_far: BestSoFar | None
    seconds_left: float | None = Field(description="an estimate; null when there is none")
    warnings: list[str]
    error: str | None
    request: dict[str, Any]
    created: datetime
    started: datetime | None
    finished: datetime | None
    links: Links


class Studies(BaseModel):
    """A page of studies, newest first."""

    items: list[StudyAnswer]
    next_cursor: str | None


class TrialParameters(BaseModel):
    """What a trial tried; null where the search has not yet said."""

    sigma_a: float | None
    omega: float | None = Field(description="of waves: 1 / sigma_a")
    sigma_p: float | None
    sigma_p_first: float | None
    bias_first: str | None = Field(description="rule of the first layer's biases, with its share")


class TrialAnswer(BaseModel):
    """One init config trained to the search horizon."""

    family: str
    number: int
    state: str = Field(description="waiting, running, complete, pruned or failed")
    score: float | None = Field(description="in the objective's unit, at the search horizon or where it was pruned")
    parameters: TrialParameters
    searched: dict[str, float] = Field(description="the search's own axes, by the dashboard's names")
    attempt: int = Field(description="1, or more when a trainer was lost and the same trial began again")
    seconds: float | None = Field(description="of training")
    note: str | None
    started: datetime | None
    finished: datetime | None


class Trials(BaseModel):
    """A page of trials, in the order in which they were asked for."""

    items: list[TrialAnswer]
    next_cursor: str | None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _time_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else _time(seconds)


def dataset_answer(dataset: Dataset) -> DatasetAnswer:
    """A dataset as clients see it."""
    return DatasetAnswer(
        id=dataset.id,
        name=dataset.name,
        kind=dataset.kind,
        points=dataset.points,
        in_dim=dataset.in_dim,
        out_dim=dataset.out_dim,
        shape=list(dataset.shape),
        original_size=dataset.meta["original_size"],
        size=dataset.meta["size"],
        max_points=dataset.meta["max_points"],
        axes=dataset.meta.get("axes", ["x", "y"]),
        coordinate_range=dataset.meta.get("coordinate_range", [-1.0, 1.0]),
        value_range=dataset.meta.get("value_range", [0.0, 1.0]),
        sample_rate=dataset.meta.get("sample_rate"),
        notes=dataset.meta["notes"],
        signals=[
            SignalAnswer(name=one.name, points=one.points, shape=list(one.shape), notes=one.meta.get("notes", []))
            for one in dataset.signals
        ],
        created=_time(dataset.created),
        links=Links(self=f"/v1/datasets/{dataset.id}"),
    )


def _study_links(here: str, dataset_id: str) -> Links:
    places = ("trials", "best", "surface", "report", "reconstruction", "export")
    return Links(self=here, dataset=f"/v1/datasets/{dataset_id}", **{name: f"{here}/{name}" for name in places})


def study_answer(study: Study) -> StudyAnswer:
    """A study as clients see it."""
    note, here = study.progress, f"/v1/studies/{study.id}"
    best = None
    if note is not None and note.best_family is not None and note.best_trial is not None:
        best = BestSoFar(family=note.best_family, trial=note.best_trial, score=note.best_score or 0.0)
    return StudyAnswer(
        id=study.id,
        dataset_id=study.dataset_id,
        state=study.state,
        phase=None if note is None else note.phase,
        progress=note,
        unit=objective_of(study).unit,
        best_so_far=best,
        seconds_left=study.seconds_left,
        warnings=list(study.warnings),
        error=study.error,
        request=dict(study.request),
        created=_time(study.created),
        started=_time_or_none(study.started),
        finished=_time_or_none(study.finished),
        links=_study_links(here, study.dataset_id),
    )


def trial_answer(trial: Trial) -> TrialAnswer:
    """A trial as clients see it."""
    known = {**trial.parameters, **trial.attributes}
    sigma_a = known.get("sigma_a")
    omega = family_of(trial.family).aliases.get("omega")
    return TrialAnswer(
        family=trial.family,
        number=trial.number,
        state=trial.state,
        score=trial.score,
        parameters=TrialParameters(
            sigma_a=sigma_a,
            omega=None if omega is None or sigma_a is None else omega / sigma_a,
            sigma_p=known.get("sigma_p"),
            sigma_p_first=known.get("sigma_p_first"),
            bias_first=known.get("bias_first"),
        ),
        searched=trial.parameters,
        attempt=known.get("attempt", 1),
        seconds=known.get("seconds"),
        note=known.get("note"),
        started=trial.started,
        finished=trial.finished,
    )
