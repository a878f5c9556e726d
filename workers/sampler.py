"""Our sampler: expected improvement on a Gaussian process over the search's few smooth axes.

Behind Optuna's ``BaseSampler``. An ask takes milliseconds; running trials are believed at their predicted score, so
that several workers do not ask for the same point; pruned trials count with the score they would have reached.
Where the start points lie the optimum is believed to be: expected improvement is weighted with that belief, which
fades as trials come in (Hvarfner et al., ICLR 2022). Absolute axes are turned to the ratios in which the good region is
a box.
Deterministic: what it proposes depends on its seed, the start points and the recorded trials, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from workers.axes import turn_to_ratios
from workers.response import expected_finals
from workers.response_data import Observation
from workers.surface import DEPTH_DB, Surface, expected_improvement, fit_surface

__all__ = ["SurfaceSampler"]

WIDE, NEAR = 1024, 256  # random candidates over the cube, and around each of the best
MOST_POINTS = 200  # the best ones: fitting costs the cube of their number
BELIEF = 2.5  # trials until which the start points weigh more than the surface
TINY = 1e-300
SPREAD = 0.15  # std of that belief around each start point along each axis, as a share of its range


@dataclass(frozen=True)
class _Fitted:
    surface: Surface
    best: float  # what it expects of the best point tried
    leaders: np.ndarray  # the points tried that it expects most of, (leader, axis)


class SurfaceSampler(BaseSampler):
    """Proposes the candidate with the highest expected improvement.

    Args:
        space: every searched axis; floats, linear or logarithmic.
        seed: the same seed and recorded trials give the same proposal.
        decibel: what a difference of 1 dB is in units of the score.
        prior: finished trials of like studies, which count as if they were of this one.
        start: the points that are tried first, around which the optimum is believed to lie; without any, anywhere.
    """

    def __init__(
        self,
        space: Mapping[str, FloatDistribution],
        seed: int,
        decibel: float = 1.0,
        prior: Sequence[FrozenTrial] = (),
        start: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._space = dict(space)
        self._turn = turn_to_ratios({name: _width(axis) for name, axis in self._space.items()})
        self._start = np.array([self._unit(params) for params in start]) if start else None
        self._believed = None if self._start is None else self._start @ self._turn
        self._seed, self._depth = seed, DEPTH_DB * decibel
        known = [trial for trial in prior if trial.params.keys() == self._space.keys()]
        self._prior = [(self._unit(trial.params), _scores([trial]).get(trial.number)) for trial in known]

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every axis, from the first trial on."""
        return dict(self._space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next point."""
        if not self._space:
            return {}
        trials = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        counted = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)]
        generator = np.random.default_rng([self._seed, len(counted)])  # failed attempts change nothing
        return self._params(self._propose(trials, generator))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """An axis that the space does not name: never asked by our search."""
        raise ValueError(f"the axis {param_name!r} is not part of the search space {sorted(self._space)}")

    def expected_best(self, trials: Sequence[FrozenTrial]) -> float:
        """The score that the fitted surface expects of the best point tried; minus infinity without trials."""
        if not self._space:
            scores = list(_scores(trials).values())
            return float(np.mean(scores)) if scores else float("-inf")
        fitted = self._fit(trials)
        return float("-inf") if fitted is None else fitted.best

    def promise(self, trials: Sequence[FrozenTrial], best: float) -> float:
        """The improvement on ``best`` that is expected of the next proposal; infinite without trials, none where
        nothing is searched.
        """
        if not self._space:
            return 0.0
        fitted = self._fit(trials)
        if fitted is None:
            return float("inf")
        candidates = self._candidates(fitted, np.random.default_rng(self._seed))
        mean, std = fitted.surface.predict(candidates)
        return float(expected_improvement(mean, std, best).max())

    def _propose(self, trials: Sequence[FrozenTrial], generator: np.random.Generator) -> np.ndarray:
        fitted = self._fit(trials)
        if fitted is None:
            return self._blind(generator)
        candidates = self._candidates(fitted, generator)
        mean, std = fitted.surface.predict(candidates)
        worth = np.log(np.maximum(expected_improvement(mean, std, fitted.best), TINY))
        if self._believed is not None:
            worth += BELIEF / len(fitted.surface.points) * _log_belief(candidates @ self._turn, self._believed)
        return np.asarray(candidates[np.argmax(worth)])

    def _blind(self, generator: np.random.Generator) -> np.ndarray:
        """A point while nothing has finished: from around the start points, if there are any."""
        if self._start is None:
            return np.asarray(generator.random(len(self._space)))
        near = generator.choice(self._start) + SPREAD * generator.normal(size=len(self._space))
        return np.asarray(np.clip(near, 0.0, 1.0))

    def _fit(self, trials: Sequence[FrozenTrial]) -> _Fitted | None:
        """The surface through the finished trials, with the running ones believed."""
        scored = _scores(trials)
        seen = [(self._unit(t.params), scored[t.number]) for t in trials if t.number in scored and t.params]
        seen += [(place, score) for place, score in self._prior if score is not None and _inside(place)]
        if not seen or not self._space:
            return None
        seen = sorted(seen, key=lambda pair: -pair[1])[:MOST_POINTS]
        seen.sort(key=lambda pair: tuple(pair[0]))  # a retried trial has a later number: the order must not matter
        points = np.array([point for point, _ in seen])
        scores = np.array([score for _, score in seen])
        scores = np.maximum(scores, scores.max() - self._depth)
        surface = fit_surface(points, scores, self._turn)
        running = [self._unit(t.params) for t in trials if t.state == TrialState.RUNNING and t.params]
        if running:
            surface = surface.believing(np.array(running))
        expected, _ = surface.predict(points)
        return _Fitted(surface, float(expected.max()), points[np.argsort(expected)[-3:]])

    def _candidates(self, fitted: _Fitted, generator: np.random.Generator) -> np.ndarray:
        """Random points over the cube, and around the best ones, (candidate, axis)."""
        wide = generator.random((WIDE, len(self._space)))
        steps = generator.normal(size=(NEAR, 1, len(self._space))) * generator.choice([0.03, 0.1], (NEAR, 1, 1))
        near = np.clip((fitted.leaders + steps).reshape(-1, len(self._space)), 0.0, 1.0)
        return np.concatenate([wide, near])

    def _unit(self, params: Mapping[str, Any]) -> np.ndarray:
        """A point's place in the unit cube, (axis,)."""
        return np.array([_position(params[name], axis) for name, axis in self._space.items()])

    def _params(self, point: np.ndarray) -> dict[str, Any]:
        return {
            name: _value(float(place), axis) for place, (name, axis) in zip(point, self._space.items(), strict=True)
        }


def _width(axis: FloatDistribution) -> float:
    """Of a logarithmic axis, in natural logarithms; 0 of a linear one."""
    return float(np.log(axis.high / axis.low)) if axis.log else 0.0


def _log_belief(points: np.ndarray, believed: np.ndarray) -> np.ndarray:
    """Logarithm of equal Gaussians around the believed points, up to a constant, (point,)."""
    exponents = -0.5 * np.square((points[:, None, :] - believed) / SPREAD).sum(axis=-1)
    top = exponents.max(axis=1)
    return np.asarray(top + np.log(np.exp(exponents - top[:, None]).mean(axis=1)))


def _scores(trials: Sequence[FrozenTrial]) -> dict[int, float]:
    """Score by trial number: a finished trial's own, and what a pruned one would have reached."""
    ended = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    finals = expected_finals(
        [
            Observation(t.params, t.value if t.state == TrialState.COMPLETE else None, t.intermediate_values)
            for t in ended
        ]
    )
    return {trial.number: score for trial, score in zip(ended, finals, strict=True) if score is not None}


def _inside(place: np.ndarray) -> bool:
    """Whether a point of another study lies in this one's ranges."""
    return bool(np.all((place >= 0.0) & (place <= 1.0)))


def _position(value: float, axis: FloatDistribution) -> float:
    if axis.low == axis.high:
        return 0.5
    if axis.log:
        return float(np.log(value / axis.low) / np.log(axis.high / axis.low))
    return (value - axis.low) / (axis.high - axis.low)


def _value(place: float, axis: FloatDistribution) -> float:
    if axis.low == axis.high:
        return axis.low
    value = axis.low * (axis.high / axis.low) ** place if axis.log else axis.low + place * (axis.high - axis.low)
    return float(np.clip(value, axis.low, axis.high))
