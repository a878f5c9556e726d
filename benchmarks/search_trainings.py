"""Trainings for ``benchmarks.search_loop``: live ones on this machine's CPU, and replays of a stored landscape."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.search_landscape import (
    CELLS,
    GRID_SEED,
    HIDDEN_LAYERS,
    REPORT,
    SIGMA_A,
    SIGMA_P,
    WIDTH,
    Landscape,
)
from vi3nr.activations import family_of
from vi3nr.config import InitConfig
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import WORST_SCORE, Member, MemberState, Recipe
from vi3nr.signals import Signal
from workers.axes import SIGMA_A as AXIS_A
from workers.axes import SIGMA_P as AXIS_P
from workers.plan import BiasChoice, FamilyPlan, Network, Range
from workers.search_space import SearchSpace

__all__ = ["Live", "Replay", "plane_space"]

NOISE = 0.25  # dB between seeds of one config (DESIGN: 0.05 to 0.5)
SHIVER = 0.08  # dB between neighbouring points of one curve


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
    """Trains configs of one space on one signal, one after the other, as far as each is asked for."""

    def __init__(self, space: SearchSpace, signal: Signal, steps: int) -> None:
        self._space, self._signal = space, signal
        self._family = space.plan.family
        self._widths = Network(WIDTH, HIDDEN_LAYERS).widths(signal.coordinates.shape[1], signal.values.shape[1])
        self._ensemble = CpuEnsemble(signal, widths=self._widths, family=self._family, recipe=Recipe(steps), capacity=1)

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
            config = None  # the biases leave the weights no variance: the worst score, as in the service
        return _LiveTraining(self._ensemble, config, seed, family_of(self._family).learning_rate)


class _LiveTraining:
    def __init__(self, ensemble: CpuEnsemble, config: InitConfig | None, seed: int, rate: float) -> None:
        self._ensemble, self._config, self._seed, self._rate = ensemble, config, seed, rate
        self._state: MemberState | None = None

    def to(self, step: int) -> float:
        """Train on from where the last call stopped."""
        if self._config is None:
            return WORST_SCORE
        self._ensemble.admit(Member("one", self._config, self._seed, self._rate, step, self._state))
        while True:
            (report,) = self._ensemble.advance(REPORT)
            if report.diverged:
                self._config = None
                return WORST_SCORE
            if report.finished:
                self._state = report.state
                return report.score


class Replay:
    """Answers with a stored landscape's curves at the nearest cell, and noise drawn from the seed."""

    def __init__(self, landscape: Landscape) -> None:
        self._curves = {
            (row, column): landscape.curve(row, column, GRID_SEED) for row in range(CELLS) for column in range(CELLS)
        }

    @property
    def best(self) -> float:
        """The highest cell."""
        return max(curve[-1] for curve in self._curves.values())

    def truth(self, params: Mapping[str, float]) -> float:
        """What the nearest cell comes to."""
        return self._curve(params)[-1]

    def start(self, params: Mapping[str, float], seed: int) -> _Replayed:
        """The nearest cell's curve from a seed."""
        generator = np.random.default_rng(seed)
        curve = np.array(self._curve(params))
        noise = NOISE * generator.normal() + SHIVER * generator.normal(size=len(curve))
        return _Replayed(curve + noise)

    @staticmethod
    def snap(params: Mapping[str, float]) -> dict[str, float]:
        """The nearest cell's own numbers."""
        row, column = _cell(params)
        return {AXIS_A: float(SIGMA_A[row]), AXIS_P: float(SIGMA_P[column])}

    def _curve(self, params: Mapping[str, float]) -> list[float]:
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
