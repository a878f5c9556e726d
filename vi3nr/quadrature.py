"""Expectations under a normal distribution, by quadrature that checks its own error.

Gauss-Hermite is unsafe here: its nodes know the distribution's width but not the activation's, and on a narrow bump
they err without notice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Quadrature", "SharedNodes", "normal_expectation", "periodic_expectations"]

REACH = 12.0  # integrate over +-12 std: the tail beyond holds 1e-32 of the mass
NODES = 16  # Gauss-Legendre nodes on a panel; a panel is checked against its two halves
TOLERANCE = 1e-13  # of the integral of the absolute value, per panel
FAR_OFF = 1e-9  # relative error beyond which it did not converge after all: a pole, or growth as fast as exp(z^2)
MOST_POINTS = 4_000_000
MOST_SAMPLES = 1 << 14  # of one period
HALVINGS = 3
SHARED_TOLERANCE = 1e-9  # relative, of a shared rule against its halves, which then err by 2^-16 of that
_X, _W = np.polynomial.legendre.leggauss(NODES)


@dataclass(frozen=True)
class Quadrature:
    """``values[k]`` = E g_k and ``errors[k]``, an estimate of the absolute error. ``converged``: all panels passed."""

    values: np.ndarray
    errors: np.ndarray
    points: int
    converged: bool


def normal_expectation(
    g: Callable[[np.ndarray], np.ndarray],
    std: float,
    *,
    kinks: tuple[float, ...] = (),
    feature: float = 1.0,
    most_points: int = MOST_POINTS,
) -> Quadrature:
    """E g(z), z ~ N(0, std^2), for several functions at once, to a relative error of about 1e-12.

    The line is split at 0, at the kinks, and at distances that double from the narrower of ``std`` and ``feature`` up
    to the reach; panels on which one Gauss-Legendre rule and the sum over its two halves differ are halved again.

    Args:
        g: maps nodes ``(node,)`` to values ``(function, node)``; smooth between the kinks.
        std: standard deviation, > 0.
        kinks: points where g or a derivative jumps.
        feature: the width of g's narrowest feature near 0 or a kink; a hint that nothing narrow is missed.
        most_points: evaluations after which it gives up, as it does at once where g is not finite.
    """
    edges = _edges(std, kinks, feature)
    low, high = edges[:-1], edges[1:]
    coarse = _panels(g, std, low, high)  # (function, panel)
    total, error, size = np.zeros(len(coarse)), np.zeros(len(coarse)), np.zeros(len(coarse))
    points = NODES * len(low)
    while len(low):
        if points > most_points or not np.isfinite(coarse).all():
            return Quadrature(total + coarse.sum(axis=1), error + np.abs(coarse).sum(axis=1), points, False)
        middle = 0.5 * (low + high)
        halves = _panels(g, std, np.concatenate([low, middle]), np.concatenate([middle, high]))
        points += 2 * NODES * len(low)
        left, right = halves[:, : len(low)], halves[:, len(low) :]
        fine = left + right
        gap = np.abs(fine - coarse)
        scale = np.maximum(np.abs(total), np.abs(fine).sum(axis=1))
        passed = (gap <= TOLERANCE * scale[:, None]).all(axis=0) | (high - low < 1e-12 * std)
        total += fine[:, passed].sum(axis=1)
        error += gap[:, passed].sum(axis=1)
        size += np.abs(fine[:, passed]).sum(axis=1)
        again = ~passed
        low, high = np.concatenate([low[again], middle[again]]), np.concatenate([middle[again], high[again]])
        coarse = np.concatenate([left[:, again], right[:, again]], axis=1)
    ends = np.array([edges[0], edges[-1]])
    tails = np.abs(g(ends)).max(axis=1) * math.exp(-0.5 * REACH**2) * REACH  # the tails may weigh more than the middle
    return Quadrature(total, error, points, bool((np.maximum(error, tails) <= FAR_OFF * size).all()))


def _edges(std: float, kinks: tuple[float, ...], feature: float) -> np.ndarray:
    """Panel edges from -reach to reach, denser toward 0 and the kinks."""
    reach = REACH * std
    narrow = 0.5 * min(std, feature)
    return _dense(reach, narrow, kinks)


def _dense(reach: float, narrow: float, kinks: tuple[float, ...]) -> np.ndarray:
    steps = narrow * 2.0 ** np.arange(0, math.ceil(math.log2(2.0 * reach / narrow)) + 1)
    centres = np.array([0.0, *(kink for kink in kinks if abs(kink) < reach)])
    around = (centres[:, None] + np.concatenate([-steps, steps])).ravel()
    edges = np.concatenate([np.array([-reach, reach]), centres, around])
    return np.unique(edges[np.abs(edges) <= reach])


def _panels(g: Callable[[np.ndarray], np.ndarray], std: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Gauss-Legendre sums of g times the normal density, ``(function, panel)``."""
    half = 0.5 * (high - low)
    z = (0.5 * (low + high))[:, None] + half[:, None] * _X  # (panel, node)
    density = np.exp(-0.5 * np.square(z / std)) / (std * math.sqrt(2.0 * math.pi))
    values = g(z.ravel()).reshape(-1, *z.shape)  # (function, panel, node)
    sums: np.ndarray = np.einsum("fpn,pn,n->fp", values, density, _W, optimize=True) * half
    return sums


def periodic_expectations(
    g: Callable[[np.ndarray], np.ndarray], stds: np.ndarray, period: float
) -> tuple[np.ndarray, bool]:
    """E g(z), z ~ N(0, std^2), ``(function, std)``, for g of this period; and whether it converged.

    From the Fourier series: ``E cos(k w z) = exp(-(k w std)^2 / 2)``. The coefficients are the discrete transform of
    equidistant samples, doubled until nothing changes; for smooth g that converges faster than any power. Use it where
    std is not small against the period.
    """
    previous: np.ndarray = np.full(1, np.inf)
    samples = 32
    while samples <= MOST_SAMPLES:
        values = g(np.arange(samples) * (period / samples))  # (function, sample)
        coefficients = np.fft.rfft(values, axis=1).real / samples
        coefficients[:, 1:-1] *= 2.0  # the last, of samples / 2 waves, stands once
        waves = np.arange(samples // 2 + 1) * (math.tau / period)
        found: np.ndarray = np.einsum("fk,ks->fs", coefficients, np.exp(-0.5 * np.square(np.outer(waves, stds))))
        if (np.abs(found - previous) <= TOLERANCE * np.abs(values).mean(axis=1)[:, None]).all():
            return found, True
        previous, samples = found, 2 * samples
    return previous, False


class SharedNodes:
    """Nodes at which g is evaluated once for every std from ``low`` to ``high``.

    Panels double in width away from 0 and the kinks, so that they resolve the normal density of any such std; whether
    they resolve g is seen by halving them, up to ``HALVINGS`` times. Arguments as in ``normal_expectation``.
    """

    def __init__(
        self,
        g: Callable[[np.ndarray], np.ndarray],
        low: float,
        high: float,
        *,
        kinks: tuple[float, ...] = (),
        feature: float = 1.0,
    ) -> None:
        self._g = g
        self._edges = _dense(REACH * high, 0.5 * min(low, feature), kinks)
        self._rules = [self._rule()]  # squares of the nodes (node), weighted values (function, node); coarse to fine

    def expectations(self, stds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """E g ``(function, std)``, and whether the nodes resolve it, ``(std)``."""
        values = self._sums(0, stds)
        resolved = np.zeros(len(stds), dtype=bool)
        for level in range(1, HALVINGS + 1):
            left = np.flatnonzero(~resolved)
            if not len(left):
                break
            fine = self._sums(level, stds[left])
            resolved[left] = (np.abs(fine - values[:, left]) <= SHARED_TOLERANCE * np.abs(fine)).all(axis=0)
            values[:, left] = fine
        return values, resolved

    def _sums(self, level: int, stds: np.ndarray) -> np.ndarray:
        if level == len(self._rules):
            self._edges = np.sort(np.concatenate([self._edges, 0.5 * (self._edges[:-1] + self._edges[1:])]))
            self._rules.append(self._rule())
        square, rows = self._rules[level]
        exponent = np.multiply.outer(square, -0.5 / np.square(stds))  # (node, std)
        within = exponent > -REACH * REACH  # 17 std; below it come denormal numbers, which are slow
        density = np.exp(exponent, where=within, out=np.zeros_like(exponent))
        sums: np.ndarray = np.einsum("fn,ns->fs", rows, density)  # not BLAS, whose threads wait for busy cores
        return sums / (stds * math.sqrt(2.0 * math.pi))

    def _rule(self) -> tuple[np.ndarray, np.ndarray]:
        half = 0.5 * np.diff(self._edges)
        z = ((0.5 * (self._edges[:-1] + self._edges[1:]))[:, None] + half[:, None] * _X).ravel()
        return np.square(z), self._g(z) * (half[:, None] * _W).ravel()
