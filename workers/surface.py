"""A Gaussian process over the unit cube: the fitted response surface of a search. NumPy and SciPy only.

The score of an init config is smooth in the logarithms of its scales, with a ridge (DESIGN: one grid step across it
costs 0 to 3 dB), noisy by a few tenths of a dB between seeds, and low-dimensional: what a GP is for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy  # its parts are loaded when they are first used
from threadpoolctl import ThreadpoolController

__all__ = ["DEPTH_DB", "Surface", "expected_improvement", "fit_surface"]

# Priors over the logarithms of the hyperparameters (mean, std), in units of the cube and of the standardised score.
LENGTH_PRIOR = (math.log(0.5), 0.7)
NOISE_PRIOR = (math.log(0.1), 0.7)
SIGNAL_PRIOR = (math.log(1.0), 0.5)
JITTER = 1e-8
DEPTH_DB = 6.0  # scores further than this below the best say only "bad": a cliff must not bend the surface


@dataclass(frozen=True)
class Surface:
    """A fitted posterior. ``points`` (observation, axis) in [0, 1], turned; scores are shifted and scaled as given."""

    points: np.ndarray
    turn: np.ndarray  # (axis, axis): what turns places in the cube to where the process sees them
    lengths: np.ndarray  # (axis,)
    signal: float
    noise: float
    shift: float
    scale: float
    targets: np.ndarray  # y: the scores less ``shift``, over ``scale``
    cholesky: np.ndarray
    weights: np.ndarray  # K^-1 y

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Posterior mean and std of the noise-free score at ``points`` (query, axis) of the cube."""
        cross = _kernel(points @ self.turn, self.points, self.lengths, self.signal)  # (query, observation)
        solved = scipy.linalg.solve_triangular(self.cholesky, cross.T, lower=True)
        variance = np.maximum(self.signal**2 - np.square(solved).sum(axis=0), 1e-12)
        return self.shift + self.scale * (cross @ self.weights), self.scale * np.sqrt(variance)

    def mean(self, points: np.ndarray) -> np.ndarray:
        """The posterior mean alone, which costs far less than its std."""
        cross = _kernel(points @ self.turn, self.points, self.lengths, self.signal)
        return np.asarray(self.shift + self.scale * (cross @ self.weights))

    def believing(self, points: np.ndarray) -> Surface:
        """The surface as it would be if scores at ``points`` (new, axis) came out as predicted.

        The mean stays, the uncertainty there goes. The hyperparameters stay too: a prediction is no evidence for them.
        """
        expected, _ = self.predict(points)
        targets = np.concatenate([self.targets, (expected - self.shift) / self.scale])
        return _posterior(self, np.concatenate([self.points, points @ self.turn]), targets)


def fit_surface(points: np.ndarray, scores: np.ndarray, turn: np.ndarray | None = None) -> Surface:
    """Fit by the maximum of the posterior of the hyperparameters.

    Args:
        points: (observation, axis) in [0, 1].
        scores: (observation,), finite; standardised inside.
        turn: (axis, axis), see ``workers.axes.turn_to_ratios``; None: the process sees the cube as it is.

    Raises:
        ValueError: without observations, or with scores that are not finite.
    """
    if len(points) == 0 or not np.all(np.isfinite(scores)):
        raise ValueError(f"a surface needs at least one observation and finite scores, got {scores!r}")
    shift, scale = float(scores.mean()), float(scores.std()) or 1.0
    targets = (scores - shift) / scale
    axes = points.shape[1]
    turn = np.eye(axes) if turn is None else turn
    points = points @ turn
    start = np.array([LENGTH_PRIOR[0]] * axes + [SIGNAL_PRIOR[0], NOISE_PRIOR[0]])
    with _linear_algebra().limit(limits=1, user_api="blas"):  # matrices this small only wait for a second thread
        found = scipy.optimize.minimize(
            _negative_log_posterior, start, args=(_squares(points), targets), jac=True, method="L-BFGS-B",
            bounds=[(math.log(0.05), math.log(10.0))] * axes + [(math.log(0.1), math.log(10.0)), (math.log(0.01), 0.0)],
            options={"maxiter": 50},
        )  # fmt: skip
    lengths, signal, noise = np.exp(found.x[:axes]), math.exp(found.x[axes]), math.exp(found.x[axes + 1])
    none = np.empty(0)
    return _posterior(Surface(points, turn, lengths, signal, noise, shift, scale, none, none, none), points, targets)


def _posterior(surface: Surface, points: np.ndarray, targets: np.ndarray) -> Surface:
    """With a surface's hyperparameters, given these standardised scores."""
    covariance = _kernel(points, points, surface.lengths, surface.signal)
    covariance[np.diag_indices(len(points))] += surface.noise**2 + JITTER
    cholesky = scipy.linalg.cholesky(covariance, lower=True)
    weights = scipy.linalg.cho_solve((cholesky, True), targets)
    return replace(surface, points=points, targets=targets, cholesky=cholesky, weights=weights)


@cache
def _linear_algebra() -> ThreadpoolController:
    """NumPy's and SciPy's linear algebra, whose threads can be counted."""
    return ThreadpoolController()


def expected_improvement(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """``E max(f - best, 0)`` for ``f ~ N(mean, std^2)``, in the unit of the score."""
    z = (mean - best) / std
    return np.asarray(std * (z * scipy.special.ndtr(z) + np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)))


def _kernel(left: np.ndarray, right: np.ndarray, lengths: np.ndarray, signal: float) -> np.ndarray:
    """Squared exponential with a length per axis, (left, right)."""
    apart = np.square((left[:, None, :] - right[None, :, :]) / lengths).sum(axis=-1)
    return np.asarray(signal**2 * np.exp(-0.5 * apart))


def _squares(points: np.ndarray) -> np.ndarray:
    """Squared distances along each axis, (axis, observation times observation)."""
    return np.asarray(np.square(points.T[:, :, None] - points.T[:, None, :]).reshape(points.shape[1], -1))


def _negative_log_posterior(logs: np.ndarray, squares: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient in the logarithms of (lengths, signal, noise)."""
    axes, count = len(squares), len(targets)
    shrink = np.exp(-2.0 * logs[:axes])  # one over the lengths' squares
    signal, noise = math.exp(logs[axes]), math.exp(logs[axes + 1])
    smooth = signal**2 * np.exp(-0.5 * (shrink @ squares)).reshape(count, count)
    covariance = smooth.copy()
    covariance[np.diag_indices(count)] += noise**2 + JITTER
    cholesky = scipy.linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
    weights = scipy.linalg.cho_solve((cholesky, True), targets, check_finite=False)
    value = 0.5 * targets @ weights + np.log(np.diag(cholesky)).sum()
    below, _ = scipy.linalg.lapack.dpotri(cholesky, lower=1)  # the lower triangle of the inverse
    inverse = np.tril(below) + np.tril(below, -1).T
    outer = inverse - np.outer(weights, weights)  # gradient of the value is 0.5 tr(outer dK)
    pulls = (outer * smooth).ravel()
    slopes = np.concatenate([0.5 * shrink * (squares @ pulls), [pulls.sum(), noise**2 * np.trace(outer)]])
    means = np.array([LENGTH_PRIOR[0]] * axes + [SIGNAL_PRIOR[0], NOISE_PRIOR[0]])
    stds = np.array([LENGTH_PRIOR[1]] * axes + [SIGNAL_PRIOR[1], NOISE_PRIOR[1]])
    z = (logs - means) / stds
    return float(value + 0.5 * z @ z), slopes + z / stds
