"""The bookkeeping that executors share: who may enter, who sits where, and what a report says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np

from vi3nr.config import InitConfig
from vi3nr.ensemble.interface import MOST_SMOOTHED, SMOOTHED_SHARE, WORST_SCORE, Member, MemberState, Progress, Recipe
from vi3nr.metrics import psnr_from_mse
from vi3nr.signals import Signal

__all__ = ["Seat", "Slots", "parameter_count", "score_of", "state_size"]

Trainee = TypeVar("Trainee")

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]  # parameters, first and second moment, flat


def score_of(mean_squared_error: float) -> float:
    """PSNR in dB, kept finite: an error of 0 counts as the smallest float, one beyond all bounds as the worst score."""
    if not math.isfinite(mean_squared_error):
        return WORST_SCORE
    return max(WORST_SCORE, psnr_from_mse(max(mean_squared_error, float(np.finfo(np.float64).tiny))))


def parameter_count(widths: tuple[int, ...]) -> int:
    """Weights and biases of a network with these widths."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(widths))


def state_size(config: InitConfig) -> int:
    """Length of the arrays of a ``MemberState``: real numbers in weights and biases; complex ones count as two."""
    halves = [2 if config.complex_weights and index > 0 else 1 for index in range(len(config.layers))]
    return sum((layer.fan_in + 1) * layer.fan_out * count for layer, count in zip(config.layers, halves, strict=True))


@dataclass
class Seat(Generic[Trainee]):
    """A member in its slot: where it stands, and the executor's own hold on it."""

    member: Member
    trainee: Trainee
    step: int
    best_score: float
    best_step: int
    pass_steps: int | None  # that see all points once; None where other points are scored than steps see
    errors: list[float]  # mean squared ones before the latest steps

    def ahead(self, steps: int) -> int:
        """How many of ``steps`` are left until the member's end."""
        return max(0, min(steps, self.member.until - self.step))

    def report(
        self, steps: int, errors: Sequence[float], finite: bool, seconds: float, arrays: Callable[[], Arrays]
    ) -> Progress:
        """Absorb a segment of ``steps`` steps; ``arrays`` gives parameters and moments.

        ``errors`` are mean squared ones: before each of the segment's latest steps, over the points that the step
        saw, and after the last, over all points that are scored.
        """
        self.step += steps
        mse = errors[-1]
        diverged = not (finite and math.isfinite(mse))
        score = WORST_SCORE if diverged else score_of(mse)
        if score > self.best_score or self.best_step < 0:
            self.best_score, self.best_step = score, self.step
        finished = diverged or self.step >= self.member.until
        smoothed = self._smoothed(errors)
        state = None
        if finished and not diverged:
            state = MemberState(self.step, *arrays(), self.best_score, self.best_step, tuple(self.errors))
        return Progress(
            key=self.member.key,
            step=self.step,
            score=score,
            smoothed=WORST_SCORE if diverged else smoothed,
            best_score=self.best_score,
            best_step=self.best_step,
            diverged=diverged,
            finished=finished,
            seconds=seconds,
            state=state,
        )

    def _smoothed(self, errors: Sequence[float]) -> float:
        """The mean of the PSNRs of the latest passes through the points, as far back as it goes."""
        if self.pass_steps is None:
            return score_of(errors[-1])
        count = min(max(round(SMOOTHED_SHARE * self.step), 1), MOST_SMOOTHED)
        self.errors = [*self.errors, *errors[:-1]][-count:]
        latest = [*self.errors, errors[-1]][-count:]
        passes = max(len(latest) // self.pass_steps, 1)
        means = np.reshape(latest[-passes * self.pass_steps :], (passes, -1)).mean(axis=1)
        return sum(score_of(float(mean)) for mean in means) / passes


class Slots(Generic[Trainee]):
    """The seats of one ensemble, in order of arrival, and the rules of admission."""

    def __init__(self, signal: Signal, widths: tuple[int, ...], family: str, recipe: Recipe, capacity: int) -> None:
        check_shape(signal, widths)
        check_recipe(recipe)
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._widths = tuple(widths)
        self._family = family
        self._capacity = capacity
        self._seats: dict[str, Seat[Trainee]] = {}
        points = len(signal.values)
        self._pass_steps = None if recipe.held_out else max(points // (recipe.batch_size or points), 1)

    @property
    def free(self) -> int:
        """How many seats are empty."""
        return self._capacity - len(self._seats)

    @property
    def taken(self) -> list[Seat[Trainee]]:
        """The occupied seats; a copy, so that seats may be vacated on the way."""
        return list(self._seats.values())

    def check(self, member: Member) -> None:
        """Raise ValueError if this member cannot be seated now."""
        if self.free < 1:
            raise ValueError(f"member {member.key!r} finds no free slot: all {self._capacity} are taken")
        if member.key in self._seats:
            raise ValueError(f"member {member.key!r} has a slot already")
        family, widths = member.config.family, member.config.widths
        if family != self._family:
            raise ValueError(f"member {member.key!r} is of family {family!r}, the ensemble's is {self._family!r}")
        if widths != self._widths:
            raise ValueError(f"member {member.key!r} has widths {widths}, the ensemble's are {self._widths}")
        count = state_size(member.config)
        if member.start is not None and member.start.parameters.shape != (count,):
            raise ValueError(
                f"the start of member {member.key!r} must hold {count} parameters in one axis, "
                f"got shape {member.start.parameters.shape}"
            )

    def take(self, member: Member, trainee: Trainee) -> None:
        """Seat a member that has passed ``check``."""
        start = member.start
        step, best_score, best_step, errors = (
            (0, WORST_SCORE, -1, ()) if start is None else (start.step, start.best_score, start.best_step, start.errors)
        )
        self._seats[member.key] = Seat(
            member, trainee, step, best_score, best_step, pass_steps=self._pass_steps, errors=list(errors)
        )

    def vacate(self, keys: Iterable[str]) -> None:
        """Empty these seats; unknown keys are ignored."""
        for key in list(keys):
            self._seats.pop(key, None)


def check_shape(signal: Signal, widths: tuple[int, ...]) -> None:
    """Raise ValueError unless a network of these widths maps the signal's coordinates to its values."""
    expected = (signal.coordinates.shape[1], signal.values.shape[1])
    if len(widths) < 3 or min(widths) < 1:
        raise ValueError(f"widths must name at least one hidden layer and be positive, got {widths}")
    if (widths[0], widths[-1]) != expected:
        raise ValueError(f"widths {widths} do not fit a signal from {expected[0]} to {expected[1]} dimensions")


def check_recipe(recipe: Recipe) -> None:
    """Raise ValueError for a recipe that no executor knows."""
    if recipe.optimizer != "adam":
        raise ValueError(f"optimizer {recipe.optimizer!r} is unknown; the choice is adam")
    if recipe.schedule not in ("constant", "cosine"):
        raise ValueError(f"schedule {recipe.schedule!r} is unknown; choose constant or cosine")
    if recipe.batch_size is not None and recipe.batch_size < 1:
        raise ValueError(f"batch_size must be at least 1 or None, got {recipe.batch_size}")
    if recipe.held_out is not None and not 0.0 < recipe.held_out < 1.0:
        raise ValueError(f"held_out must lie in (0, 1) or be None, got {recipe.held_out}")
    if recipe.steps < 1:
        raise ValueError(f"steps must be at least 1, got {recipe.steps}")
