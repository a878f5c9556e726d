# ruff: noqa: ARG001 - all families take the same two numbers
"""Every real family as one compiled loop in float32: activation and derivative in a single pass over a tile.

A family is a function ``(u, p) -> (phi, dphi/du)`` of numbers, ``p`` its further parameter (``PARAMETER``), and
``forward`` makes a loop of it. ``backward`` serves all families and both types.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Final, cast

import numpy as np
from numba import float32, from_dtype, njit, void

from vi3nr.activations import Activation
from vi3nr.ensemble.elementary import HALF, ONE, TWO, F, exp, inlined, log1p, normal_below, sin_cos, tanh

__all__ = ["FUNCTIONS", "PARAMETER", "backward", "compiled", "forward", "parameter_of"]

OPTIONS: Final[dict[str, Any]] = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True}
DENSITY = F(math.sqrt(0.5 / math.pi))  # of the normal distribution at 0
BLOCK = 4096  # numbers: 16 KB, of a nearest cache of 32 KB or more
NEAR = F(0.5)  # |u| where sinc' cancels and is summed as a series


@inlined
def _gaussian(u: Any, p: Any) -> Any:
    y = exp(u * u * -HALF)
    return y, -u * y


@inlined
def _super_gaussian(u: Any, p: Any) -> Any:
    y = exp(u * u * (-HALF * p))
    return y, u * y * -p


@inlined
def _laplacian(u: Any, p: Any) -> Any:
    y = exp(-abs(u))
    slope = -y if u > F(0.0) else y
    return y, F(0.0) if u == F(0.0) else slope


@inlined
def _quadratic(u: Any, p: Any) -> Any:
    y = ONE / (u * u + ONE)
    return y, u * y * y * -TWO


@inlined
def _multi_quadratic(u: Any, p: Any) -> Any:
    y = ONE / F(math.sqrt(u * u + ONE))
    return y, -u * y * y * y


@inlined
def _gabor(u: Any, p: Any) -> Any:
    s, c = sin_cos(u * p)
    y = exp(u * u * -HALF)
    return c * y, -(s * p + u * c) * y


@inlined
def _sine(u: Any, p: Any) -> Any:
    return sin_cos(u)


@inlined
def _finer(u: Any, p: Any) -> Any:
    factor = ONE + p * abs(u)
    s, c = sin_cos(u * factor)
    return s, factor * c


@inlined
def _hosc(u: Any, p: Any) -> Any:
    s, c = sin_cos(u)
    t = tanh(s * p)
    return t, (ONE - t * t) * c * p


@inlined
def _exp_sin(u: Any, p: Any) -> Any:
    s, c = sin_cos(u)
    y = exp(-s)
    return y, -c * y


@inlined
def _sinc(u: Any, p: Any) -> Any:
    s, c = sin_cos(u)
    near = abs(u) < NEAR
    v = ONE if near else u
    z = u * u
    y_near = ONE + z * (F(-1 / 6) + z * (F(1 / 120) + z * (F(-1 / 5040) + z * F(1 / 362880))))
    slope_near = u * (F(-1 / 3) + z * (F(1 / 30) + z * (F(-1 / 840) + z * F(1 / 45360))))
    y = y_near if near else s / v
    return y, slope_near if near else (c - y) / v


@inlined
def _plain_tanh(u: Any, p: Any) -> Any:
    t = tanh(u)
    return t, ONE - t * t


@inlined
def _sigmoid(u: Any, p: Any) -> Any:
    t = tanh(u * HALF)
    return t * HALF + HALF, (ONE - t * t) * F(0.25)


@inlined
def _silu(u: Any, p: Any) -> Any:
    s, slope = _sigmoid(u, p)
    return u * s, s + u * slope


@inlined
def _softplus(u: Any, p: Any) -> Any:
    s, _ = _sigmoid(u, p)
    return (u + abs(u)) * HALF + log1p(exp(-abs(u))), s


@inlined
def _gelu(u: Any, p: Any) -> Any:
    y = exp(u * u * -HALF)
    below = normal_below(u, y)
    distribution = ONE - below if u > F(0.0) else below
    return u * distribution, distribution + u * y * DENSITY


@inlined
def _relu(u: Any, p: Any) -> Any:
    return F(0.0) if u <= F(0.0) else u, ONE if u > F(0.0) else F(0.0)


@inlined
def _leaky_relu(u: Any, p: Any) -> Any:
    slope = ONE if u > F(0.0) else p
    return u * slope, slope


FUNCTIONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "gaussian": _gaussian,
    "super_gaussian": _super_gaussian,
    "laplacian": _laplacian,
    "quadratic": _quadratic,
    "multi_quadratic": _multi_quadratic,
    "gabor": _gabor,
    "sine": _sine,
    "finer": _finer,
    "hosc": _hosc,
    "exp_sin": _exp_sin,
    "sinc": _sinc,
    "tanh": _plain_tanh,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "softplus": _softplus,
    "gelu": _gelu,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
}
PARAMETER: Final[dict[str, Callable[[Any], float]]] = {
    "super_gaussian": lambda family: family.b,
    "gabor": lambda family: family.omega * family.sigma_a,
    "finer": lambda family: family.sigma_a,
    "hosc": lambda family: family.b,
    "leaky_relu": lambda family: family.negative_slope,
}


def parameter_of(family: Activation) -> float:
    """The ``p`` of the family's function; 0 where it has none."""
    return PARAMETER.get(family.family, lambda _: 0.0)(family)


@cache
def forward(family: str) -> Callable[..., None]:
    """The compiled loop ``(z, bias, scale, p, a)`` over a tile ``(point, unit)``, u = scale * (z + bias).

    ``a`` becomes phi(u), and then ``z`` becomes dphi/dz. The biases go in block by block, while a block is in the
    nearest cache; the family's function then sees one long row, whatever the width.
    """
    function = FUNCTIONS[family]

    def loop(z: Any, bias: Any, scale: Any, p: Any, a: Any) -> None:
        points, units = z.shape
        rows = max(1, BLOCK // units)
        for start in range(0, points, rows):
            stop = min(start + rows, points)
            for i in range(start, stop):
                for j in range(units):
                    z[i, j] = scale * (z[i, j] + bias[j])
            flat_z, flat_a = z[start:stop].reshape(-1), a[start:stop].reshape(-1)
            for k in range(flat_z.size):
                y, slope = function(flat_z[k], p)
                flat_a[k] = y
                flat_z[k] = scale * slope

    return compiled(loop, float32[:, ::1], float32[::1], float32, float32, float32[:, ::1])


@cache
def backward(dtype: np.dtype[Any]) -> Callable[..., None]:
    """The compiled loop ``(g, slope, total, bias)``: g ``(point, unit)`` times the slope; its sum over points to bias.

    ``total`` is scratch: the sum of a tile is added as one number, which rounds less.
    """
    number = from_dtype(dtype)

    def loop(g: Any, slope: Any, total: Any, bias: Any) -> None:
        total[:] = 0.0
        for i in range(g.shape[0]):
            for j in range(g.shape[1]):
                h = g[i, j] * slope[i, j]
                g[i, j] = h
                total[j] += h
        for j in range(bias.size):
            bias[j] += total[j]

    return compiled(loop, number[:, ::1], number[:, ::1], number[::1], number[::1])


def compiled(loop: Callable[..., None], *arguments: Any) -> Callable[..., None]:
    """Compiled now for these types, not at the first call: that one is timed."""
    return cast(Callable[..., None], njit(void(*arguments), **OPTIONS)(loop))
