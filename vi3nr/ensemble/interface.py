"""What an executor promises: many small INRs of one study train side by side, each as it would alone.

Axes: ``member``, ``point``, ``unit``. A *member* occupies a *slot* from ``admit`` until it reaches ``until`` (its slot
is then free at once) or is evicted. A diverged member is a value, not an exception: it is reported with
``WORST_SCORE`` and its slot is freed; its neighbours never notice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vi3nr.config import InitConfig

__all__ = ["MOST_SMOOTHED", "SMOOTHED_SHARE", "WORST_SCORE", "Ensemble", "Member", "MemberState", "Progress", "Recipe"]

SMOOTHED_SHARE, MOST_SMOOTHED = 0.1, 256  # of the steps so far, and so many at most, a score is smoothed over
WORST_SCORE = -100.0  # dB; what a diverged member scores: finite, so that samplers and databases can hold it


@dataclass(frozen=True)
class Recipe:
    """How every arm of a study is trained. ``steps`` is the full horizon, over which the schedule is defined."""

    steps: int
    optimizer: str = "adam"
    batch_size: int | None = None  # points a step; None: all of them
    schedule: str = "constant"  # or "cosine": lr * (1 + cos(pi step / steps)) / 2
    held_out: float | None = None  # share of the points that no step sees, and that alone are scored; None: all both


@dataclass(frozen=True)
class MemberState:
    """A member's training state at ``step``: enough to go on exactly as if it had never stopped."""

    step: int
    parameters: np.ndarray  # flat float32: weight (out, in) then bias (out) of each layer; complex numbers as pairs
    first_moment: np.ndarray  # Adam's m, same layout
    second_moment: np.ndarray  # Adam's v, same layout
    best_score: float
    best_step: int
    errors: tuple[float, ...] = ()  # mean squared ones before the latest steps, as many as a smoothed score needs


@dataclass(frozen=True)
class Member:
    """One init config to train: drawn from ``seed``, trained at ``learning_rate`` up to step ``until``."""

    key: str
    config: InitConfig
    seed: int
    learning_rate: float
    until: int
    start: MemberState | None = None  # continue from here instead of drawing new parameters


@dataclass(frozen=True)
class Progress:
    """Where a member stands after a segment. ``score`` is the PSNR over all points, in dB, unclipped.

    ``smoothed`` is the same over the last ``SMOOTHED_SHARE`` of the steps so far, at most ``MOST_SMOOTHED``: a single
    step's PSNR shakes by as much as seeds differ. It is the mean of the PSNRs of the errors that these steps begin with
    (the last one of the errors after it), which minibatches first average over a pass through the points. The errors
    are those of the training's own arithmetic. Where points are held out, whose error no step knows, it is ``score``.
    """

    key: str
    step: int
    score: float
    smoothed: float
    best_score: float
    best_step: int
    diverged: bool
    finished: bool  # reached ``until`` or diverged: its slot is free again
    seconds: float  # device time that the segment took for this member
    state: MemberState | None  # given when finished and not diverged


class Ensemble(ABC):
    """Trains members that share a signal, a network shape, an activation family and a recipe."""

    @property
    @abstractmethod
    def free_slots(self) -> int:
        """How many members can be admitted now."""

    @abstractmethod
    def admit(self, member: Member) -> None:
        """Place a member in a free slot. Raises ValueError if there is none, or its shape or family differs."""

    @abstractmethod
    def evict(self, keys: Iterable[str]) -> None:
        """Free the slots of these members without a report. Unknown keys are ignored."""

    @abstractmethod
    def advance(self, steps: int) -> list[Progress]:
        """Train every member ``steps`` steps further (or up to its ``until``) and report each."""
