"""What ``Engine.step`` returns: facts for the caller to record. Nothing here refers back to the engine."""

from __future__ import annotations

from dataclasses import dataclass

from vi3nr.config import InitConfig
from workers.exhibits import Exhibit
from workers.result import ProgressNote, StudyResult

__all__ = ["Event", "Run", "RunFinished", "StudyCompleted", "StudyFailed", "StudyProgressed", "TrialFinished"]


@dataclass(frozen=True)
class Run:
    """One training of one arm beyond the search. Unique by (study, arm, replicate); never changes once recorded.

    ``replicate`` is 0, 1, 2, ... for confirmation and -1 for the continuation of a finalist (which only ranks).
    """

    study_id: str
    family: str
    arm: str  # "gaussian trial 7", "gaussian PyTorch default, sigma_a 0.05"
    kind: str  # "finalist", "baseline" or "theory"
    replicate: int
    score: float  # of the study's objective at the full horizon
    best_score: float  # PSNR, dB
    best_step: int
    diverged: bool
    seconds: float
    config: InitConfig
    curve: tuple[tuple[int, float], ...]  # (step, PSNR) at each report


@dataclass(frozen=True)
class TrialFinished:
    """A trial of the search has ended; Optuna's storage holds it."""

    study_id: str
    family: str
    number: int
    state: str  # "complete", "pruned", "failed"
    score: float | None


@dataclass(frozen=True)
class RunFinished:
    """A run beyond the search has ended."""

    study_id: str
    run: Run


@dataclass(frozen=True)
class StudyProgressed:
    """Something of a study has changed."""

    study_id: str
    progress: ProgressNote


@dataclass(frozen=True)
class StudyCompleted:
    """A study has its answer; ``exhibits`` are for its report, ``devices`` the names of those that train then."""

    study_id: str
    result: StudyResult
    exhibits: tuple[Exhibit, ...] = ()
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyFailed:
    """A study cannot go on; ``error`` is a sentence for its owner."""

    study_id: str
    error: str


Event = TrialFinished | RunFinished | StudyProgressed | StudyCompleted | StudyFailed
