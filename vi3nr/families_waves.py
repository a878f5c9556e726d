# ruff: noqa: D102 - phi, slope and unit_moments are described once, by Activation
"""Waves other than the sine: FINER, HOSC and the exponential of a sine. Closed forms: docs/theory.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
import scipy  # its parts are loaded when they are first used

from vi3nr.families import ALL, Activation, UnitMoments

__all__ = ["ExpSin", "Finer", "Hosc"]

SMALL_PHASE = 0.03  # below it E sin^2 is summed as a power series: 1 - E cos would cancel
HARMONICS = np.arange(2, 26, 2)  # of exp(-2 sin u): I_26(2) is 1e-27


@dataclass(frozen=True)
class Finer(Activation):
    """sin(omega (abs(x) + 1) x), omega = 1 / sigma_a (Liu et al. 2024), whose factor abs(x) + 1 is held constant in the
    backward pass, as in the method's published training code.

    So ``derivative`` is omega (abs(x) + 1) cos(...), what autograd gives for ``value``, and not the true derivative,
    omega (2 abs(x) + 1) cos(...): ``gradient`` is ``detached``. The factor is in units of x, so phi changes with
    sigma_a: phi(u) = sin(u (1 + sigma_a abs(u))).
    """

    family = "finer"
    label = "FINER"
    formula = "sin(omega (abs(x) + 1) x), omega = 1 / sigma_a, abs(x) + 1 detached"
    customary_sigma_a = (1.0 / 30.0,)
    sigma_a_range = (1.0 / 200.0, 1.0 / 10.0)
    learning_rate = 5e-4
    gradient = "detached"
    scale_family = False
    closed_form = ALL
    unit_kinks = (0.0,)
    aliases = MappingProxyType({"omega": 1.0})

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.sin(u * self._factor(u, xp))

    def slope(self, u: Any, xp: ModuleType) -> Any:
        factor = self._factor(u, xp)
        return factor * xp.cos(u * factor)

    def _factor(self, u: Any, xp: ModuleType) -> Any:
        return 1.0 + self.sigma_a * abs(u if xp is np else u.detach())

    def unit_moments(self, rho: float) -> UnitMoments:
        a = self.sigma_a
        p, q = complex(0.5 / (rho * rho), -2.0 * a), 2j  # int exp(-p t^2 + q t) over t > 0 is E exp(2i theta)
        root = np.sqrt(p)
        j0 = complex(0.5 * math.sqrt(math.pi) / root * scipy.special.wofz(1.0 / root))
        j1 = (1.0 + q * j0) / (2.0 * p)
        j2 = (j0 + q * j1) / (2.0 * p)
        density = math.sqrt(2.0 / math.pi) / rho  # of abs(u) at 0
        second = (1.0 - density * j0.real) / 2.0
        if rho * (1.0 + a * rho) < SMALL_PHASE:
            second = _small_sine_squared(a, rho)
        flat = 1.0 + 2.0 * a * rho * math.sqrt(2.0 / math.pi) + (a * rho) ** 2  # E (1 + a abs(u))^2
        wave = density * (j0 + 2.0 * a * j1 + a * a * j2).real
        return UnitMoments(0.0, second, (flat + wave) / 2.0)


def _small_sine_squared(a: float, rho: float) -> float:
    """E sin^2(t + a t^2), t = abs(u), from the power series of sin^2 and the moments of t."""
    total = 0.0
    for k in range(1, 7):
        power = sum(math.comb(2 * k, j) * a**j * _absolute_moment(2 * k + j, rho) for j in range(2 * k + 1))
        total += (-1) ** (k + 1) * 2 ** (2 * k - 1) / math.factorial(2 * k) * power
    return total


def _absolute_moment(order: int, rho: float) -> float:
    """E abs(u)^order."""
    return (math.sqrt(2.0) * rho) ** order * math.gamma((order + 1) / 2.0) / math.sqrt(math.pi)


@dataclass(frozen=True)
class Hosc(Activation):
    """tanh(b sin(omega x)), omega = 1 / sigma_a (Serrano et al. 2024). ``b`` is chosen per domain; larger is squarer.

    Quadrature works on one period.
    """

    b: float = 1.0

    family = "hosc"
    label = "HOSC"
    formula = "tanh(b sin(x / sigma_a)) = tanh(b sin(omega x))"
    customary_sigma_a = (1.0 / 30.0,)
    sigma_a_range = (1.0 / 200.0, 1.0 / 10.0)
    learning_rate = 1e-4
    closed_form = ("mean",)
    unit_period = math.tau
    positive = ("sigma_a", "b")
    aliases = MappingProxyType({"omega": 1.0})

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.tanh(xp.sin(u) * self.b)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        t = xp.tanh(xp.sin(u) * self.b)
        return (1.0 - t * t) * xp.cos(u) * self.b

    @property
    def unit_feature(self) -> float:
        return min(1.0, 1.0 / self.b)

    def unit_moments(self, rho: float) -> UnitMoments:
        return UnitMoments(mean=0.0)


@dataclass(frozen=True)
class ExpSin(Activation):
    """exp(-sin(u)); ``a`` of exp(-sin(a x)) is 1 / sigma_a. Moments: Fourier series with Bessel coefficients."""

    family = "exp_sin"
    label = "exp-sine"
    formula = "exp(-sin(x / sigma_a))"
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.005, 2.0)
    learning_rate = 1e-4
    closed_form = ALL
    spellings = MappingProxyType({"a": (1.0, -1), "omega": (1.0, -1)})

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.exp(-xp.sin(u))

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return -xp.cos(u) * xp.exp(-xp.sin(u))

    def unit_moments(self, rho: float) -> UnitMoments:
        decay = 2.0 * np.where(HARMONICS % 4 == 2, -1.0, 1.0) * np.exp(-0.5 * np.square(HARMONICS * rho))
        return UnitMoments(*(float(first + decay @ rest) for first, rest in _exp_sin_coefficients()))


@cache
def _exp_sin_coefficients() -> tuple[tuple[float, np.ndarray], ...]:
    """Fourier coefficients, the constant one and those of HARMONICS, of phi, phi^2 and phi'^2."""
    k = np.array([0, *HARMONICS])
    iv = scipy.special.iv
    slope = iv(k, 2.0) / 2.0 - (iv(abs(k - 2), 2.0) + iv(k + 2, 2.0)) / 4.0  # of sin^2(v) exp(2 cos(v))
    return tuple((float(c[0]), c[1:]) for c in (iv(k, 1.0), iv(k, 2.0), slope))
