"""Trainings for ``benchmarks.search_loop``: live ones, and replays of a stored landscape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmarks.paper_store import Row
from benchmarks.search_landscape import (
    CELLS,
    GRID_SEED,
    HIDDEN_LAYERS,
    REPORT,
    SIGMA_A,
    SIGMA_P,
    TRUE_SEEDS,
    WIDTH,
    Landscape,
)
from benchmarks.search_loop import Found
from vi3nr.activations import family_of
from vi3nr.ensemble.interface import WORST_SCORE, Member, Progress
from vi3nr.signals import Signal
from workers.axes import SIGMA_A as AXIS_A
from workers.axes import SIGMA_P as AXIS_P
from workers.plan import BiasChoice, FamilyPlan, Network, Range
from workers.search_space import SearchSpace

__all__ = ["End", "Live", "Replay", "as_row", "found_row", "plane_space"]

NOISE = 0.25  # dB between seeds of one config (DESIGN: 0.05 to 0.5)
SHIVER = 0.08  # dB between neighbouring points of one curve


class End(NamedTuple):
    """What a training ends at in dB: at its very last step, as the grid's curves do, and smoothed, as the service's."""

    psnr: float
    smoothed: float


def plane_space(family: str, signal: Signal) -> SearchSpace:
    """The grid's own plane and rules: sigma_a, one sigma_p for all layers, zero bias."""
    plan = FamilyPlan(
        family,
        sigma_a=Range(float(SIGMA_A[0]), float(SIGMA_A[-1])),
        sigma_p=Range(float(SIGMA_P[0]), float(SIGMA_P[-1])),
        sigma_p_first="same",
        bias_first=BiasChoice("zero"),
    )
    return SearchSpace.for_family(plan, signal)


class Live:
    """Trains configs of one space on one signal, each as far as it is asked for.

    Args:
        train: trains a member to its ``until``; a hub's, within one of its jobs.
        width: of the hidden layers.
    """

    def __init__(
        self, space: SearchSpace, signal: Signal, train: Callable[[Member], Progress], width: int = WIDTH
    ) -> None:
        self._space, self._signal, self._train = space, signal, train
        self._family = space.plan.family
        self._widths = Network(width, HIDDEN_LAYERS).widths(signal.coordinates.shape[1], signal.values.shape[1])

    def start(self, params: Mapping[str, float], seed: int) -> _LiveTraining:
        """A training of these numbers."""
        try:
            config = self._space.config(
                params,
                self._widths,
                input_second_moment=self._signal.input_second_moment,
                method="analytic",
                seed=0,
            )
        except (ValueError, ArithmeticError):
            return _LiveTraining(self._train, None)  # no variance is left to the weights: the worst, as in the service
        return _LiveTraining(self._train, Member("live", config, seed, family_of(self._family).learning_rate, 0))


def found_row(found: Found, live: Live, steps: int) -> Row:
    """What a search came to, for a store: the config, its PSNR from the fixed seeds, and what it cost."""
    return {
        **as_row([live.start(found.params, seed).end(steps) for seed in TRUE_SEEDS]),
        "steps": found.steps, "confirm_steps": found.confirm_steps, "trials": found.trials, "pruned": found.pruned,
        "params": {name: float(f"{value:.5g}") for name, value in found.params.items()},
    }  # fmt: skip


def as_row(ends: Sequence[End]) -> Row:
    """The ends of one config's trainings, for a store."""
    return {
        "true_db": [round(end.psnr, 2) for end in ends],
        "smoothed_db": [round(end.smoothed, 2) for end in ends],
    }


class _LiveTraining:
    """``member`` is None where there is nothing to train, or no more."""

    def __init__(self, train: Callable[[Member], Progress], member: Member | None) -> None:
        self._train, self._member = train, member

    def to(self, step: int) -> float:
        """Train on from where the last call stopped; what the search sees there."""
        report = self._on(step)
        return WORST_SCORE if report is None else report.smoothed

    def end(self, step: int) -> End:
        """The same, of a training that ends there."""
        report = self._on(step)
        return End(WORST_SCORE, WORST_SCORE) if report is None else End(report.score, report.smoothed)

    def _on(self, step: int) -> Progress | None:
        """None where it diverges or has diverged."""
        if self._member is None:
            return None
        report = self._train(replace(self._member, until=step))
        self._member = None if report.diverged else replace(self._member, start=report.state)
        return None if report.diverged else report


class Replay:
    """Answers with a stored landscape's curves at the nearest cell, and noise drawn from the cell and the seed.

    A curve is one seed's; where the cell's true score is stored it is moved to end there.
    """

    def __init__(self, landscape: Landscape) -> None:
        cells = [(row, column) for row in range(CELLS) for column in range(CELLS)]
        self._curves = {cell: np.array(landscape.curve(*cell, GRID_SEED)) for cell in cells}
        for cell in landscape.best_cells():
            self._curves[cell] += landscape.true_score(*cell) - self._curves[cell][-1]
        self.best = landscape.best_true_score()

    def truth(self, params: Mapping[str, float]) -> float:
        """What the nearest cell comes to."""
        return float(self._curve(params)[-1])

    def start(self, params: Mapping[str, float], seed: int) -> _Replayed:
        """The nearest cell's curve from a seed."""
        generator = np.random.default_rng([seed, *_cell(params)])
        curve = self._curve(params)
        noise = NOISE * generator.normal() + SHIVER * generator.normal(size=len(curve))
        return _Replayed(curve + noise)

    @staticmethod
    def snap(params: Mapping[str, float]) -> dict[str, float]:
        """The nearest cell's own numbers."""
        row, column = _cell(params)
        return {AXIS_A: float(SIGMA_A[row]), AXIS_P: float(SIGMA_P[column])}

    def _curve(self, params: Mapping[str, float]) -> np.ndarray:
        return self._curves[_cell(params)]


def _cell(params: Mapping[str, float]) -> tuple[int, int]:
    """Row and column of the nearest cell, in the logarithms."""
    row = int(np.argmin(np.abs(np.log(SIGMA_A / params[AXIS_A]))))
    return row, int(np.argmin(np.abs(np.log(SIGMA_P / params[AXIS_P]))))


class _Replayed:
    def __init__(self, curve: np.ndarray) -> None:
        self._curve = curve

    def to(self, step: int) -> float:
        """The curve at a step, a report's or the nearest before it."""
        return float(self._curve[max(step // REPORT, 1) - 1])
