"""The moments that decide an initialisation: E f(z), E f(z)^2 and E f'(z)^2 for z ~ N(0, sigma_p^2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vi3nr.families import Activation, require_activation
from vi3nr.monte_carlo import sampled_expectation
from vi3nr.quadrature import SharedNodes, normal_expectation, periodic_expectations
from vi3nr.scalars import positive_number

__all__ = ["METHODS", "MomentTable", "Moments", "moments"]

METHODS = ("analytic", "quadrature", "monte_carlo")
SAMPLES = 1_000_000  # the authors' number
MOST_POINTS = 4_000_000
QUICK_POINTS = 40_000  # for one entry of a table that the shared nodes do not resolve
WIDE = 0.2  # rho over a period from which quadrature works on one period


@dataclass(frozen=True)
class Moments:
    """``mean`` = E f, ``second_moment`` = E f^2, ``slope_second_moment`` = E f'^2 (per squared unit of x).

    For a complex activation the last two are those of the moduli.

    ``methods`` says of each, in this order, how it was computed: ``closed_form``, ``quadrature`` or ``monte_carlo``.
    ``standard_errors`` are those of a Monte Carlo estimate, None for the exact methods.
    """

    mean: float
    second_moment: float
    slope_second_moment: float
    methods: tuple[str, str, str]
    standard_errors: tuple[float, float, float] | None = None


def moments(
    activation: Activation,
    sigma_p: float,
    *,
    method: str = "analytic",
    samples: int = SAMPLES,
    generator: np.random.Generator | None = None,
) -> Moments:
    """Moments of an activation under a normal pre-activation.

    Args:
        activation: f.
        sigma_p: std of the pre-activation, in units of x, > 0.
        method: ``analytic`` takes the closed forms and falls back to quadrature where there is none; ``quadrature``
            uses it throughout; ``monte_carlo`` samples.
        samples: number of samples for ``monte_carlo``.
        generator: for ``monte_carlo``; None: a fresh generator with seed 0, so that the result is reproducible.

    Returns:
        The three moments, and of each how it was computed.

    Raises:
        ValueError: an unknown method, a sigma_p that is not positive and finite, fewer than two samples.
        ArithmeticError: if the quadrature does not reach its tolerance, or E f^2 underflows to 0.
    """
    require_activation(activation)
    if method not in METHODS:
        raise ValueError(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}")
    sigma_p = positive_number("sigma_p", sigma_p)
    rho, scale = sigma_p / activation.sigma_a, activation.sigma_a
    if method == "monte_carlo":
        generator = np.random.default_rng(0) if generator is None else generator
        estimate = sampled_expectation(_integrands(activation), rho, samples, generator=generator)
        mean_error, second_error, slope_error = map(float, estimate.standard_errors)
        errors = (mean_error, second_error, slope_error / scale / scale)
        return _moments(activation, sigma_p, estimate.values, (method,) * 3, errors)
    closed = activation.unit_moments(rho)
    exact = [closed.mean, closed.second_moment, closed.slope_second_moment]
    if method == "quadrature" or None in exact:
        integrals = _integrate(activation, rho)
    if method == "quadrature":
        return _moments(activation, sigma_p, integrals, (method,) * 3, None)
    values = [integrals[k] if value is None else value for k, value in enumerate(exact)]
    names = ["quadrature" if value is None else "closed_form" for value in exact]
    return _moments(activation, sigma_p, values, (names[0], names[1], names[2]), None)


def _integrands(activation: Activation) -> Callable[[np.ndarray], np.ndarray]:
    """Maps u to the rows phi, phi^2, phi'^2."""

    def rows(u: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):  # what overflows is not finite, and told
            value, slope = activation.phi(u, np), activation.slope(u, np)
            if activation.complex:
                return np.stack([value.real, abs(value) ** 2, abs(slope) ** 2])
            return np.stack([value, value * value, slope * slope])  # (function, node)

    return rows


@np.errstate(all="ignore")  # what overflows does not converge
def _integrate(activation: Activation, rho: float, most_points: int = MOST_POINTS) -> np.ndarray:
    g, period = _integrands(activation), activation.unit_period
    if period is not None and rho > WIDE * period:
        values, converged = periodic_expectations(g, np.array([rho]), period)
        values = values[:, 0]
    else:
        feature = activation.unit_feature
        found = normal_expectation(g, rho, kinks=activation.unit_kinks, feature=feature, most_points=most_points)
        values, converged = found.values, found.converged
    if not converged:
        raise ArithmeticError(f"the quadrature for {activation!r} at rho {rho!r} did not reach its tolerance")
    return values


def _moments(
    activation: Activation,
    sigma_p: float,
    unit: Sequence[float] | np.ndarray,
    methods: tuple[str, str, str],
    errors: tuple[float, float, float] | None,
) -> Moments:
    """From the unit function's moments to those of f: slopes scale with 1 / sigma_a^2."""
    mean, second, slope = (float(value) for value in unit)
    slope = slope / activation.sigma_a / activation.sigma_a
    if not (0.0 < second < math.inf and math.isfinite(slope)):
        raise ArithmeticError(f"the moments of {activation!r} at sigma_p {sigma_p!r} leave the range of float64")
    return Moments(mean, second, slope, methods, errors)


class MomentTable:
    """E phi^2 and E phi'^2 for many rho, quickly: for root finding.

    Closed forms where there are both. Else phi is evaluated once, on nodes that all rho between ``low`` and ``high``
    share, and a rho that those do not resolve is integrated by itself.
    """

    @np.errstate(all="ignore")  # what overflows is not finite, and so not resolved
    def __init__(self, activation: Activation, low: float, high: float) -> None:
        self._activation = activation
        self._closed = {"second_moment", "slope_second_moment"} <= set(activation.closed_form)
        if not self._closed:
            rows, kinks, feature = _integrands(activation), activation.unit_kinks, activation.unit_feature
            self._nodes = SharedNodes(lambda u: rows(u)[1:], low, high, kinks=kinks, feature=feature)

    @np.errstate(all="ignore")
    def at(self, rho: Sequence[float]) -> np.ndarray:
        """Rows E phi^2 and E phi'^2, ``(2, rho)``; NaN where neither way reaches its tolerance."""
        if self._closed:
            found = [self._activation.unit_moments(each) for each in rho]
            return np.array([[m.second_moment for m in found], [m.slope_second_moment for m in found]], dtype=float)
        stds = np.asarray(rho)
        table, resolved = np.zeros((2, len(stds))), np.zeros(len(stds), dtype=bool)
        period = self._activation.unit_period or math.inf
        wide = stds > WIDE * period
        table[:, ~wide], resolved[~wide] = self._nodes.expectations(stds[~wide])
        if wide.any():
            values, resolved[wide] = periodic_expectations(_integrands(self._activation), stds[wide], period)
            table[:, wide] = values[1:]
        out_of_reach = math.inf
        for place in np.flatnonzero(~resolved):
            try:
                if stds[place] > out_of_reach:
                    raise ArithmeticError("a smaller rho was too hard already")
                table[:, place] = _integrate(self._activation, float(stds[place]), QUICK_POINTS)[1:]
            except ArithmeticError:
                table[:, place] = np.nan
                if (
                    table[0, :place] > 0.0
                ).any():  # else it may be the smallest rho that are hard: they see nothing of f
                    out_of_reach = stds[place]
        return table
