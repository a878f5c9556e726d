# ruff: noqa: D102 - phi, slope and unit_moments are described once, by Activation
"""Bumps other than the Gaussian: laplacian, quadratic, multi-quadratic, super-Gaussian, and Gabor's, real and complex.

The first four are those of Ramasinghe and Lucey 2022 ("Beyond Periodicity"), the Gabor wavelets those of Saragadam et
al. 2023 (WIRE). Their letters are accepted beside ``sigma_a``. The closed forms are derived in docs/theory.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
import scipy  # its parts are loaded when they are first used

from vi3nr.families import ALL, S_OF_GAUSSIAN, SLOWEST_EXPONENT, Activation, UnitMoments

__all__ = ["Gabor", "Laplacian", "MultiQuadratic", "Quadratic", "SuperGaussian", "Wire"]

NARROW = 8.0  # 1 / (2 rho^2) beyond which the recurrence in _rational cancels
_T, _V = np.polynomial.hermite.hermgauss(48)  # exact to rounding where the distribution is that narrow


@dataclass(frozen=True)
class Laplacian(Activation):
    """exp(-abs(x) / sigma_a)."""

    family = "laplacian"
    label = "Laplacian"
    formula = "exp(-abs(x) / sigma_a)"
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.005, 2.0)
    learning_rate = 1e-4
    even = True
    closed_form = ALL
    unit_kinks = (0.0,)
    spellings = MappingProxyType({"a": (1.0, 1)})

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.exp(xp.clip(-abs(u), SLOWEST_EXPONENT, None))

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return -xp.sign(u) * self.phi(u, xp)

    def unit_moments(self, rho: float) -> UnitMoments:
        square = float(scipy.special.erfcx(math.sqrt(2.0) * rho))
        return UnitMoments(float(scipy.special.erfcx(math.sqrt(0.5) * rho)), square, square)


@dataclass(frozen=True)
class Quadratic(Activation):
    """1 / (1 + u^2); ``a`` of 1 / (1 + (a x)^2) is 1 / sigma_a."""

    family = "quadratic"
    label = "quadratic"
    formula = "1 / (1 + (x / sigma_a)^2)"
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.005, 2.0)
    learning_rate = 1e-4
    even = True
    closed_form = ALL
    spellings = MappingProxyType({"a": (1.0, -1)})

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return 1.0 / (u * u + 1.0)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        inverse = self.phi(u, xp)
        return u * inverse * inverse * -2.0

    def unit_moments(self, rho: float) -> UnitMoments:
        return UnitMoments(_rational(0, 1, rho), _rational(0, 2, rho), 4.0 * _rational(1, 4, rho))


@dataclass(frozen=True)
class MultiQuadratic(Activation):
    """(1 + u^2)^(-1/2); ``a`` of (1 + (a x)^2)^(-1/2) is 1 / sigma_a."""

    family = "multi_quadratic"
    label = "multi-quadratic"
    formula = "(1 + (x / sigma_a)^2)^(-1/2)"
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.005, 2.0)
    learning_rate = 1e-4
    even = True
    closed_form = ALL
    spellings = MappingProxyType({"a": (1.0, -1)})

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return 1.0 / xp.sqrt(u * u + 1.0)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        inverse = self.phi(u, xp)
        return -u * inverse * inverse * inverse

    def unit_moments(self, rho: float) -> UnitMoments:
        mean = float(scipy.special.k0e(0.25 / (rho * rho))) / (math.sqrt(2.0 * math.pi) * rho)
        return UnitMoments(mean, _rational(0, 1, rho), _rational(1, 3, rho))


def _rational(power: int, order: int, rho: float) -> float:
    """E u^(2 power) / (1 + u^2)^order, power 0 or 1.

    ``e_n = E (1 + u^2)^-n`` obeys ``2 n e_{n+1} = (2 n - 1 - 2 b) e_n + 2 b e_{n-1}``, b = 1 / (2 rho^2), from e_0 = 1
    and ``e_1 = sqrt(pi b) erfcx(sqrt b)``. For large b that cancels; there the distribution is much narrower than the
    function, and 48 Gauss-Hermite nodes are exact to rounding.
    """
    b = 0.5 / (rho * rho)
    if b > NARROW:
        square = 2.0 * rho * rho * _T * _T
        return float(_V @ (square**power / (1.0 + square) ** order)) / math.sqrt(math.pi)
    e = [1.0, math.sqrt(math.pi * b) * float(scipy.special.erfcx(math.sqrt(b)))]
    for n in range(1, order):
        e.append(((2 * n - 1 - 2.0 * b) * e[n] + 2.0 * b * e[n - 1]) / (2 * n))
    return e[order] if power == 0 else e[order - 1] - e[order]


@dataclass(frozen=True)
class SuperGaussian(Activation):
    """exp(-u^2 / 2)^b: a Gaussian of width sigma_a / sqrt b."""

    b: float = 1.0

    family = "super_gaussian"
    label = "super-Gaussian"
    formula = "exp(-x^2 / (2 sigma_a^2))^b"
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.005, 2.0)
    learning_rate = 1e-4
    even = True
    closed_form = ALL
    positive = ("sigma_a", "b")
    spellings = MappingProxyType({"a": (1.0, 1)})

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.exp(xp.clip(u * u * (-0.5 * self.b), SLOWEST_EXPONENT, None))

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return u * self.phi(u, xp) * -self.b

    @property
    def unit_feature(self) -> float:
        return 1.0 / math.sqrt(self.b)

    def unit_moments(self, rho: float) -> UnitMoments:
        r = self.b * rho * rho
        wide = 1.0 + 2.0 * r
        return UnitMoments(1.0 / math.sqrt(1.0 + r), 1.0 / math.sqrt(wide), self.b * (r / wide) / math.sqrt(wide))


@dataclass(frozen=True)
class Gabor(Activation):
    """cos(omega x) exp(-x^2 / (2 sigma_a^2)); ``s`` of exp(-(s x)^2) is sigma_a = 1 / (s sqrt 2).

    ``omega``, in radians per unit of x, is a scale of its own: the moments depend on ``kappa = omega sigma_a`` too.
    """

    omega: float = 10.0

    family = "gabor"
    label = "Gabor"
    formula = "cos(omega x) exp(-x^2 / (2 sigma_a^2))"
    customary_sigma_a = (S_OF_GAUSSIAN / 10.0,)
    sigma_a_range = (0.005, 0.3)
    learning_rate = 5e-3
    even = True
    scale_family = False
    closed_form = ALL
    positive = ("sigma_a", "omega")
    spellings = MappingProxyType({"s": (S_OF_GAUSSIAN, -1)})

    @property
    def unit_feature(self) -> float:
        return min(1.0, 1.0 / (self.omega * self.sigma_a))

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.cos(u * (self.omega * self.sigma_a)) * xp.exp(xp.clip(u * u * -0.5, SLOWEST_EXPONENT, None))

    def slope(self, u: Any, xp: ModuleType) -> Any:
        kappa = self.omega * self.sigma_a
        envelope = xp.exp(xp.clip(u * u * -0.5, SLOWEST_EXPONENT, None))
        return -(xp.sin(u * kappa) * kappa + u * xp.cos(u * kappa)) * envelope

    def unit_moments(self, rho: float) -> UnitMoments:
        kappa = (self.omega * self.sigma_a) ** 2
        wide = 1.0 + 2.0 * rho * rho
        tau = rho * rho / wide  # variance under the density times exp(-u^2)
        wave = math.exp(-2.0 * kappa * tau)
        slope = -math.expm1(-2.0 * kappa * tau) * kappa / 2.0 + tau * (1.0 + wave) / 2.0
        slope += 2.0 * kappa * tau * wave * (1.0 - tau)
        return UnitMoments(_gabor_mean(kappa, rho), (1.0 + wave) / (2.0 * math.sqrt(wide)), slope / math.sqrt(wide))


@dataclass(frozen=True)
class Wire(Activation):
    """exp(i omega x - abs(x)^2 / (2 sigma_a^2)), the complex Gabor wavelet of WIRE; s as in ``Gabor``.

    Moments are those of the moduli, E abs(f)^2 and E abs(f')^2, for real pre-activations; the mean is real. For real x
    ``derivative`` is f'. For complex x, where f is not holomorphic, it is df/dx at constant conj(x), and
    ``conjugate_derivative`` is df/dconj(x) at constant x; backpropagation of g is conj(first) g + second conj(g).
    """

    omega: float = 20.0

    family = "wire"
    label = "WIRE (complex Gabor)"
    formula = "exp(i omega x - abs(x)^2 / (2 sigma_a^2))"
    customary_sigma_a = (S_OF_GAUSSIAN / 10.0, S_OF_GAUSSIAN / 30.0)
    sigma_a_range = (0.005, 0.3)
    learning_rate = 5e-3
    complex = True
    scale_family = False
    closed_form = ALL
    positive = ("sigma_a", "omega")
    spellings = MappingProxyType({"s": (S_OF_GAUSSIAN, -1)})

    @property
    def unit_feature(self) -> float:
        return min(1.0, 1.0 / (self.omega * self.sigma_a))

    def phi(self, u: Any, xp: ModuleType) -> Any:
        kappa = self.omega * self.sigma_a
        is_complex = np.iscomplexobj(u) if xp is np else xp.is_complex(u)
        exponent = (u * xp.conj(u)).real * -0.5
        if is_complex:  # in one exponent: the wave of a complex argument may overflow where its envelope saves it
            exponent = exponent - u.imag * kappa
        return xp.exp(xp.clip(exponent, SLOWEST_EXPONENT, None) + 1j * kappa * u.real)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        rate = 1j * self.omega * self.sigma_a
        is_complex = np.iscomplexobj(u) if xp is np else xp.is_complex(u)
        return (rate - xp.conj(u) * 0.5 if is_complex else rate - u) * self.phi(u, xp)

    def conjugate_derivative(self, x: Any, xp: ModuleType) -> Any:
        """Df/dconj(x) for complex x, at constant x: ``-x f / (2 sigma_a^2)``."""
        u = self._unit(x)
        return u * self.phi(u, xp) * (-0.5 / self.sigma_a)

    def unit_moments(self, rho: float) -> UnitMoments:
        kappa = (self.omega * self.sigma_a) ** 2
        wide = 1.0 + 2.0 * rho * rho
        slope = (kappa + rho * rho / wide) / math.sqrt(wide)
        return UnitMoments(_gabor_mean(kappa, rho), 1.0 / math.sqrt(wide), slope)


def _gabor_mean(kappa_squared: float, rho: float) -> float:
    r = rho * rho
    return math.exp(-0.5 * kappa_squared * (r / (1.0 + r))) / math.sqrt(1.0 + r)
