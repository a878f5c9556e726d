# ruff: noqa: D102 - phi, slope and unit_moments are described once, by Activation
"""Families of ordinary networks: ReLU and its kin, tanh, sigmoid; with a positional encoding they serve INRs too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import scipy  # its parts are loaded when they are first used

from vi3nr.families import ALL, SLOWEST_EXPONENT, Activation, UnitMoments

__all__ = ["Gelu", "LeakyRelu", "Relu", "Sigmoid", "Silu", "Softplus", "Tanh"]


@dataclass(frozen=True)
class Tanh(Activation):
    """tanh(x / sigma_a)."""

    family = "tanh"
    label = "tanh"
    formula = "tanh(x / sigma_a)"
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.05, 2.0)
    learning_rate = 1e-3
    closed_form = ("mean",)

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.tanh(u)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        t = xp.tanh(u)
        return 1.0 - t * t

    def unit_moments(self, rho: float) -> UnitMoments:
        return UnitMoments(mean=0.0)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """1 / (1 + exp(-x / sigma_a)), by way of tanh so that no exponential overflows."""

    family = "sigmoid"
    label = "sigmoid"
    formula = "1 / (1 + exp(-x / sigma_a))"
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.05, 2.0)
    learning_rate = 1e-3
    closed_form = ("mean",)

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.tanh(u * 0.5) * 0.5 + 0.5

    def slope(self, u: Any, xp: ModuleType) -> Any:
        t = xp.tanh(u * 0.5)
        return (1.0 - t * t) * 0.25

    def unit_moments(self, rho: float) -> UnitMoments:
        return UnitMoments(mean=0.5)


@dataclass(frozen=True)
class Relu(Activation):
    """max(x, 0). It is homogeneous: a scale would only rescale the output, so there is none."""

    sigma_a: float = 1.0

    family = "relu"
    label = "ReLU"
    formula = "max(x, 0)"
    customary_sigma_a = (1.0,)
    sigma_a_range = (1.0, 1.0)
    learning_rate = 1e-3
    has_scale = False
    closed_form = ALL
    unit_kinks = (0.0,)

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return u * (u > 0.0)  # keeps NaN, so that divergence shows

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return xp.where(u > 0.0, xp.ones_like(u), xp.zeros_like(u))

    def unit_moments(self, rho: float) -> UnitMoments:
        return UnitMoments(rho / math.sqrt(2.0 * math.pi), rho * rho / 2.0, 0.5)


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """x for x > 0, else negative_slope x; homogeneous, so without a scale. torch's default negative_slope is 0.01."""

    sigma_a: float = 1.0
    negative_slope: float = 0.01

    family = "leaky_relu"
    label = "leaky ReLU"
    formula = "max(x, 0) + negative_slope min(x, 0)"
    customary_sigma_a = (1.0,)
    sigma_a_range = (1.0, 1.0)
    learning_rate = 1e-3
    has_scale = False
    closed_form = ALL
    unit_kinks = (0.0,)

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.where(u > 0.0, u, u * self.negative_slope)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        one = xp.ones_like(u)
        return xp.where(u > 0.0, one, one * self.negative_slope)

    def unit_moments(self, rho: float) -> UnitMoments:
        slope = (1.0 + self.negative_slope**2) / 2.0
        return UnitMoments((1.0 - self.negative_slope) * rho / math.sqrt(2.0 * math.pi), rho * rho * slope, slope)


@dataclass(frozen=True)
class Softplus(Activation):
    """log(1 + exp(x / sigma_a))."""

    family = "softplus"
    label = "softplus"
    formula = "log(1 + exp(x / sigma_a))"
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.05, 2.0)
    learning_rate = 1e-3
    closed_form = ()

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return (u + abs(u)) * 0.5 + xp.log1p(xp.exp(xp.clip(-abs(u), SLOWEST_EXPONENT, None)))

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return xp.tanh(u * 0.5) * 0.5 + 0.5

    def unit_moments(self, rho: float) -> UnitMoments:
        return UnitMoments()


@dataclass(frozen=True)
class Gelu(Activation):
    """u Phi(u), Phi the normal distribution function (Hendrycks and Gimpel 2016), without the tanh approximation.

    Moments: Stein's lemma and ``E Phi^2 = 1/4 + asin(rho^2 / (1 + rho^2)) / (2 pi)``; see docs/theory.md.
    """

    family = "gelu"
    label = "GELU"
    formula = "u Phi(u), u = x / sigma_a"
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.05, 2.0)
    learning_rate = 1e-3
    closed_form = ALL

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return u * _normal_distribution(u, xp)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return (
            _normal_distribution(u, xp)
            + u * xp.exp(xp.clip(u * u * -0.5, SLOWEST_EXPONENT, None)) * (0.5 / math.pi) ** 0.5
        )

    def unit_moments(self, rho: float) -> UnitMoments:
        r, wide = rho * rho, 1.0 + 2.0 * rho * rho
        distribution = 0.25 + math.atan2(r, math.sqrt(wide)) / (2.0 * math.pi)  # E Phi^2; atan2 is asin(r / (1 + r))
        density = 1.0 / (2.0 * math.pi * math.sqrt(wide))  # E of the squared normal density
        cross = r / (1.0 + r) * density  # E u Phi times the density
        second = r * (distribution + 2.0 * cross)
        return UnitMoments(
            r / math.sqrt(2.0 * math.pi * (1.0 + r)), second, distribution + 2.0 * cross + density * (r / wide)
        )


def _normal_distribution(u: Any, xp: ModuleType) -> Any:
    special = scipy.special if xp is np else xp.special
    return special.erfc(u * -math.sqrt(0.5)) * 0.5


@dataclass(frozen=True)
class Silu(Activation):
    """u / (1 + exp(-u)), u = x / sigma_a; also called swish."""

    family = "silu"
    label = "SiLU"
    formula = "u / (1 + exp(-u)), u = x / sigma_a"
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.05, 2.0)
    learning_rate = 1e-3
    closed_form = ()

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return u * (xp.tanh(u * 0.5) * 0.5 + 0.5)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        t = xp.tanh(u * 0.5)
        return t * 0.5 + 0.5 + u * ((1.0 - t * t) * 0.25)

    def unit_moments(self, rho: float) -> UnitMoments:
        return UnitMoments()
