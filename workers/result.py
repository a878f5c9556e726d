"""The answer of a study, as plain frozen data. Its JSON form is what the service stores and returns."""

from __future__ import annotations

from dataclasses import dataclass

from vi3nr.config import InitConfig

__all__ = [
    "Arm",
    "CarryOver",
    "Comparison",
    "FamilyComparison",
    "FamilyResult",
    "Interval",
    "NetworkMetrics",
    "ProgressNote",
    "SignalGain",
    "StudyResult",
]


@dataclass(frozen=True)
class Interval:
    """Mean over ``n`` seeds and its 95 % Student t-interval; ``low`` and ``high`` are None for n < 2."""

    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Arm:
    """One line of the confirmation table: an init config trained to the full horizon from ``seeds`` fresh seeds."""

    name: str
    kind: str  # "finalist", "baseline" or "theory" (VI3NR as published: no usual rule, and nothing searched)
    family: str
    sigma_a: float
    sigma_p: float | None
    sigma_p_first: float | None
    bias_first: str  # the rule, and the share when it is one: "share 0.6"
    learning_rate: float
    score: Interval
    values: tuple[float, ...]  # score of replicate 0, 1, 2, ...
    diverged: int
    trial: int | None  # number of the trial that proposed it
    init_config: InitConfig
    per_signal: tuple[tuple[float, ...], ...] = ()  # of each replicate: its score on each signal, held-out ones last


@dataclass(frozen=True)
class Comparison:
    """The best found config against the best usual initialisation: paired differences over the same seeds."""

    baseline: str
    gain: Interval  # in the unit of the study's score
    verdict: str  # "better", "as_good" or "worse": the interval lies above zero, holds zero, lies below
    sentence: str
    customary: bool = True  # False: the baseline is a usual rule at a sigma_a or a rate that nobody uses by habit


@dataclass(frozen=True)
class SignalGain:
    """One held-out signal; ``signal`` is its place in the dataset, from 0. Means over the seeds."""

    signal: int
    found: float
    baseline: float
    gain: float


@dataclass(frozen=True)
class CarryOver:
    """The best found config against the best usual initialisation on the signals that the search never saw."""

    found: str
    baseline: str
    signals: tuple[SignalGain, ...]
    gain: Interval  # its mean is that over the signals
    over: str  # what the interval is over: "signals", or "seeds" where one signal was held out
    sentence: str


@dataclass(frozen=True)
class NetworkMetrics:
    """One trained network of an arm, drawn from ``seed``, on the signal at this place of the dataset: every metric of
    the signal's kind by name (``vi3nr.metrics_table``), null where one says nothing.
    """

    arm: str
    seed: int
    signal: int
    values: dict[str, float | None]


@dataclass(frozen=True)
class FamilyResult:
    """``winner`` is the arm with the highest mean, be it a usual one; ``arms`` are sorted by mean, best first."""

    family: str
    learning_rate: float  # the winner's
    winner: Arm
    comparison: Comparison | None  # None when no baseline was asked for
    arms: tuple[Arm, ...]
    trials: int
    stability_sigma_p: float | None
    stability_kind: str
    carry_over: CarryOver | None = None  # None when no signals were held out
    metrics: tuple[NetworkMetrics, ...] = ()  # of the networks that are kept: the winner's and what it is compared with


@dataclass(frozen=True)
class FamilyComparison:
    """The winners of the two best families: paired differences over the seeds that both were trained from."""

    best: str
    second: str
    gain: Interval  # of the best over the second, in the unit of the study's score
    verdict: str  # "better" or "as_good": the interval lies above zero, or does not
    sentence: str


@dataclass(frozen=True)
class StudyResult:
    """Families ranked by their winner's mean, best first; ``warnings`` are sentences."""

    objective: str  # "fit", "held_out", "area" or "steps_to_target"
    metric: str  # what a score is, in words
    unit: str  # of scores and gains: "dB" or "steps"
    steps: int
    search_steps: int
    search_ended_by: str  # the limit that was spent: "trials", "seconds" or "compute_seconds"
    points: int  # of the smallest signal
    families: tuple[FamilyResult, ...]
    warnings: tuple[str, ...]
    keepsake: str | None = None  # where the service keeps reconstructions, trained weights and versions; null: nowhere
    signals: int = 1  # that the search trained on: scores are means over them
    held_out_signals: int = 0
    family_comparison: FamilyComparison | None = None  # None for one family, and in results of older versions


@dataclass(frozen=True)
class ProgressNote:
    """Where a running study stands. Counts are over all families; ``best`` is the best search score so far."""

    phase: str  # "search", "continue", "confirm" or "done"
    trials_done: int
    trials_total: int
    runs_done: int
    runs_total: int  # continuation and confirmation; an estimate until the search has ended
    member_steps_done: int
    member_steps_total: int
    device_seconds: float
    best_family: str | None
    best_trial: int | None
    best_score: float | None
    unit: str = "dB"  # of the score, or "steps"
