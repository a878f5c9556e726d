"""Moments of f and its derivatives for complex pre-activations: circular normal z, E z = E z^2 = 0. No torch.

In a network with complex weights only the first layer's pre-activations are real; ``vi3nr.moments`` is for those. For
WIRE, ``exp(i omega z - s^2 |z|^2)``, the integrals are known and referee this module: with ``q = E|z|^2 = sigma_p^2``
and ``t = q / (1 + 2 s^2 q)``, ``E|f|^2 = exp(omega^2 t) / (1 + 2 s^2 q)``, and both derivatives' moduli together have
``E|f|^2 (omega^2 (1 - 2 s^2 t + 2 s^4 t^2) + 2 s^4 t)``: under the density times |f|^2, Im z has the mean ``-omega t``
and |z|^2 the mean ``t + omega^2 t^2``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from vi3nr.families import Activation

__all__ = ["circular_expectation", "circular_second_moment", "circular_slope_second_moment"]

REACH = 10.0  # of the grid, in standard deviations of the real part
FINEST = 3.0  # steps of the coarse grid per standard deviation, or per sigma_a if that is smaller; the fine has twice
MOST_STEPS = 1000  # of the coarse grid, from 0 along one axis
TOLERANCE = 1e-9  # relative, between the whole grid and every second node of it


@lru_cache(maxsize=256)
def circular_second_moment(activation: Activation, sigma_p: float) -> float:
    """E|f(z)|^2 by the trapezoid rule over the plane, which converges exponentially for smooth f.

    Args:
        activation: f; it must take complex arguments.
        sigma_p: sqrt(E|z|^2), > 0. Its ratio to ``sigma_a`` must not be beyond 47.

    Raises:
        ValueError: a family that is not complex.
        ArithmeticError: if the rule does not reach its tolerance, or would need too many nodes.
    """
    return circular_expectation(activation, sigma_p, lambda z: np.abs(activation.value(z, np)) ** 2)


@lru_cache(maxsize=256)
def circular_slope_second_moment(activation: Activation, sigma_p: float) -> float:
    """E(|df/dz|^2 + |df/dconj(z)|^2), by which a gradient's E|g|^2 grows on its way back through f.

    Backpropagation makes ``conj(f_z) g + f_zbar conj(g)`` of g, and where g is circular, as it is behind circular
    weights, the mixed term ``E g^2`` is 0. Arguments and errors as for ``circular_second_moment``.
    """

    def squares(z: np.ndarray) -> np.ndarray:
        along, across = activation.derivative(z, np), activation.conjugate_derivative(z, np)
        return np.asarray(np.abs(along) ** 2 + np.abs(across) ** 2)

    return circular_expectation(activation, sigma_p, squares)


def circular_expectation(activation: Activation, sigma_p: float, function: Callable[[np.ndarray], np.ndarray]) -> float:
    """E function(z) of a positive function made of f or its derivatives. Errors as for ``circular_second_moment``."""
    if not activation.complex:
        raise ValueError(f"{activation!r} is a real activation; its moments are those of vi3nr.moments")
    std = sigma_p / math.sqrt(2.0)  # of the real part
    steps = math.ceil(REACH * FINEST * max(1.0, std / activation.sigma_a))
    if steps > MOST_STEPS:
        raise ArithmeticError(f"the complex moments of {activation!r} at sigma_p {sigma_p!r} need too fine a grid")
    nodes = np.linspace(-REACH, REACH, 4 * steps + 1)
    weights = np.exp(-0.5 * nodes * nodes)
    rows = np.empty_like(nodes)
    with np.errstate(over="ignore", invalid="ignore"):
        for index, imaginary in enumerate(nodes):  # a row of the plane at a time, so that memory stays small
            rows[index] = _trapezoid(function(std * (nodes + 1j * imaginary)), weights)
    fine, coarse = _trapezoid(rows, weights), _trapezoid(rows[::2], weights[::2])
    if not (math.isfinite(fine) and fine > 0.0 and abs(fine - coarse) <= TOLERANCE * fine):
        raise ArithmeticError(f"the complex moments of {activation!r} at sigma_p {sigma_p!r} did not converge")
    return fine


def _trapezoid(values: np.ndarray, weights: np.ndarray) -> float:
    return float((values * weights).sum() / weights.sum())
