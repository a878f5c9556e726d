"""What a study wants: a number to maximise, computed from a training's learning curve. Pure.

A curve is ``((step, psnr), ...)``: PSNR in dB at each report, over the points that the objective scores, as
``Objective.reading`` takes it from the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from vi3nr.ensemble.interface import SMOOTHED_SHARE, WORST_SCORE, Progress

__all__ = ["OBJECTIVES", "OWN_CURVE", "Curve", "Objective"]

Curve = Sequence[tuple[int, float]]
OBJECTIVES = ("fit", "held_out", "area", "steps_to_target")
OWN_CURVE = ("area", "steps_to_target")  # read off the whole learning curve, not off its end
SHARE_PER_DB = 0.1  # of the training's steps: what a dB that is missing from the target counts as


@dataclass(frozen=True)
class Objective:
    """One of ``OBJECTIVES``; of two scores the higher is the better one.

    ``fit``: PSNR at the end, smoothed (``Progress.smoothed``): that of the last step alone shakes by as much as seeds
    differ. ``held_out``: PSNR at the end over ``share`` of the points, which nothing trains on.
    ``area``: the mean of the PSNR over the steps. ``steps_to_target``: minus the steps until the PSNR reaches
    ``target`` dB, between two reports by the straight line; what reaches it before the first report counts from there,
    since nothing is known of step 0; where it never does, minus the curve's length and a tenth of the training for each
    dB that is missing.
    """

    name: str = "fit"
    target: float | None = None  # dB
    share: float | None = None  # of the points that are held out

    def __post_init__(self) -> None:
        if self.name not in OBJECTIVES:
            raise ValueError(f"objective {self.name!r} is unknown; choose one of {', '.join(OBJECTIVES)}")
        if (self.target is None) != (self.name != "steps_to_target"):
            raise ValueError(f"a target belongs to steps_to_target and to nothing else, got {self.target!r} dB")
        if (self.share is None) != (self.name != "held_out"):
            raise ValueError(f"a share belongs to held_out and to nothing else, got {self.share!r}")
        if self.share is not None and not 0.0 < self.share < 1.0:
            raise ValueError(f"the share of points that are held out must lie in (0, 1), got {self.share!r}")

    @property
    def unit(self) -> str:
        """Of scores and their differences: ``dB`` or ``steps``."""
        return "steps" if self.name == "steps_to_target" else "dB"

    @property
    def metric(self) -> str:
        """What a score is, in words."""
        if self.name == "held_out":
            return f"PSNR over the {self.share:.0%} of the points that were held out, in dB, data range 2"
        if self.name == "area":
            return "mean over the steps of the PSNR over all points, in dB, data range 2"
        if self.name == "steps_to_target":
            missed = f"{SHARE_PER_DB:.0%} of the training more for each dB that is missing at its end"
            return f"minus the steps until the PSNR over all points reaches {self.target:g} dB, {missed}; data range 2"
        return f"PSNR over all points in dB, mean over the last {SMOOTHED_SHARE:.0%} of the steps, data range 2"

    def reading(self, progress: Progress) -> float:
        """The PSNR in dB that a report adds to the curve; the worst one of a training that has diverged."""
        if progress.diverged:
            return WORST_SCORE
        return progress.smoothed if self.name == "fit" else progress.score

    def score(self, curve: Curve, steps: int) -> float:
        """The score of a training that has come as far as the curve.

        Args:
            curve: at least one report, in the order of steps.
            steps: of the full training, which a dB that is missing from the target is counted in.
        """
        step, psnr = curve[-1]
        if self.name == "area":
            return _mean(curve) if psnr > WORST_SCORE else WORST_SCORE
        if self.target is None:
            return psnr
        reached = _crossing(curve, self.target)
        return -reached if reached is not None else -(step + (self.target - psnr) * SHARE_PER_DB * steps)

    def in_units(self, decibels: float, steps: int) -> float:
        """A difference of PSNR as a difference of scores: what samplers need to know of the scale."""
        return decibels * SHARE_PER_DB * steps if self.name == "steps_to_target" else decibels


def _mean(curve: Curve) -> float:
    """The area under the straight lines through the reports; before the first one it is taken as constant."""
    first, psnr = curve[0]
    area = first * psnr + sum((b - a) * (low + high) / 2 for (a, low), (b, high) in pairwise(curve))
    return area / curve[-1][0]


def _crossing(curve: Curve, target: float) -> float | None:
    """The first step at which the curve reaches ``target``."""
    before = (0, float("-inf"))
    for step, psnr in curve:
        if psnr >= target:
            low = before[1]
            share = (target - low) / (psnr - low) if low > float("-inf") else 1.0
            return before[0] + share * (step - before[0])
        before = (step, psnr)
    return None
