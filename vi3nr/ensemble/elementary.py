"""exp, tanh, sine and cosine for compiled loops, in float32: no branch and no call, so that loops become vector code.

The polynomials are Chebyshev interpolants of the functions on the interval that is left after reducing the argument,
computed here, once, in float64. Errors stay near the rounding of float32, NaN stays NaN, and no argument is slow:
exponents are clamped before they underflow, and an angle is reduced in a few instructions whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
import scipy.special
from numba.extending import register_jitable

__all__ = ["HALF", "ONE", "TWO", "F", "exp", "inlined", "log1p", "normal_below", "polynomial", "sin_cos", "tanh"]

Function = TypeVar("Function", bound=Callable[..., Any])
F = np.float32  # a plain number would make the whole expression float64


def inlined(function: Function) -> Function:
    """Compiled into whatever loop calls it: a call would keep the loop from being vectorised."""
    return register_jitable(forceinline=True)(function)


def polynomial(function: Callable[[Any], Any], low: float, high: float, degree: int) -> tuple[Any, ...]:
    """Coefficients in float32, lowest power first, of the interpolant of ``function`` at Chebyshev's nodes."""
    fit = np.polynomial.Chebyshev.interpolate(function, degree, domain=[low, high])
    return tuple(F(c) for c in fit.convert(kind=np.polynomial.Polynomial).coef)


def _sin_rest(z: Any) -> Any:
    """(sin(x) / x - 1) / x^2, z = x^2: a sum, because the closed form cancels."""
    return -sum((-z) ** k / math.factorial(2 * k + 3) for k in range(9))


def _cos_rest(z: Any) -> Any:
    """(cos(x) - 1 + x^2 / 2) / x^4, z = x^2."""
    return sum((-z) ** k / math.factorial(2 * k + 4) for k in range(9))


def _exp_rest(r: Any) -> Any:
    """(exp(r) - 1 - r) / r^2."""
    return sum(r**k / math.factorial(k + 2) for k in range(15))


def _atanh_rest(z: Any) -> Any:
    """(atanh(w) / w - 1) / w^2, z = w^2."""
    return sum(z**k / (2 * k + 3) for k in range(40))


def _scaled_erfc(t: Any) -> Any:
    """Erfcx(x) / t for t = 1 / (1 + x / 2)."""
    return scipy.special.erfcx(2.0 * (1.0 / t - 1.0)) / t


EIGHTH: Final = math.pi / 4.0
S0, S1, S2 = polynomial(_sin_rest, 0.0, EIGHTH**2, 2)
C0, C1, C2 = polynomial(_cos_rest, 0.0, EIGHTH**2, 2)
E0, E1, E2, E3, E4 = polynomial(_exp_rest, -0.5 * math.log(2.0), 0.5 * math.log(2.0), 4)
A0, A1, A2, A3, A4 = polynomial(_atanh_rest, 0.0, 1.0 / 9.0, 4)
Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8, Q9 = polynomial(_scaled_erfc, 1e-6, 1.0, 9)

HALF, ONE, TWO = F(0.5), F(1.0), F(2.0)
NEAREST = F(1.5 * 2**23)  # adding it rounds to an integer, which then stands in the lowest bits of the float
LOG2_E = F(1.0 / math.log(2.0))
LN2_HIGH = F(0.693359375)  # ten bits: an integer times it is exact
LN2_LOW = F(math.log(2.0) - 0.693359375)
TWO_OVER_PI = F(2.0 / math.pi)
QUARTER_HIGH = F(math.pi / 2.0)
QUARTER_LOW = F(math.pi / 2.0 - float(QUARTER_HIGH))
WIDEST = F(EIGHTH * 1.01)  # a reduced angle; only where the argument has lost its meaning is it larger
LOWEST = F(-80.0)  # exp(-80) = 2e-35 is still a normal number; those below 1e-38 are slow
ROOT_HALF = F(math.sqrt(0.5))
FLAT = F(20.0)  # tanh(10) is 1 in float32


@inlined
def _expm1_and_power(x: Any) -> Any:
    """(q, s) with exp(x) = s (1 + q), s a power of two; x from -80 to 80."""
    shifted = F(x * LOG2_E + NEAREST)
    n = shifted - NEAREST
    r = x - n * LN2_HIGH - n * LN2_LOW
    q = ((((E4 * r + E3) * r + E2) * r + E1) * r + E0) * r * r + r
    bits = np.int32((shifted.view(np.int32) + np.int32(127)) << np.int32(23))
    return q, bits.view(np.float32)


@inlined
def exp(x: Any) -> Any:
    """The exponential of x, x at most 80; anything below -80 counts as -80."""
    q, s = _expm1_and_power(LOWEST if x < LOWEST else x)
    return q * s + s


@inlined
def sin_cos(x: Any) -> Any:
    """Sine and cosine. Up to |x| = 6e6 the angle is off by half a unit in its last place; beyond, both stay bounded."""
    shifted = F(x * TWO_OVER_PI + NEAREST)
    n = shifted - NEAREST
    r = x - n * QUARTER_HIGH - n * QUARTER_LOW
    r = WIDEST if r > WIDEST else r
    r = -WIDEST if r < -WIDEST else r
    z = r * r
    s = ((S2 * z + S1) * z + S0) * z * r + r
    c = ((C2 * z + C1) * z + C0) * z * z + (ONE - HALF * z)
    quarter = shifted.view(np.int32)
    odd = (quarter & np.int32(1)) != 0
    sine = c if odd else s
    cosine = s if odd else c
    sine = -sine if (quarter & np.int32(2)) != 0 else sine
    cosine = -cosine if ((quarter + np.int32(1)) & np.int32(2)) != 0 else cosine
    return sine, cosine


@inlined
def tanh(x: Any) -> Any:
    """By exp(2 |x|) - 1, so that small arguments keep their digits."""
    y = TWO * abs(x)
    q, s = _expm1_and_power(FLAT if y > FLAT else y)
    e = q * s + (s - ONE)
    t = e / (e + TWO)
    return -t if x < F(0.0) else t


@inlined
def log1p(y: Any) -> Any:
    """The logarithm of 1 + y, as 2 atanh(y / (2 + y)), for y from 0 to 1."""
    w = y / (TWO + y)
    z = w * w
    return TWO * (((((A4 * z + A3) * z + A2) * z + A1) * z + A0) * z * w + w)


@inlined
def normal_below(u: Any, y: Any) -> Any:
    """The normal distribution function at -|u|, given y = exp(-u^2 / 2)."""
    t = ONE / (ONE + abs(u) * (ROOT_HALF * HALF))
    q = ((((((((Q9 * t + Q8) * t + Q7) * t + Q6) * t + Q5) * t + Q4) * t + Q3) * t + Q2) * t + Q1) * t + Q0
    return HALF * q * t * y
