"""Which sigma_p keeps both the signal and the gradient: a root to be found, and what kind of answer there is.

Forward (VI3NR, Eq. 4): ``Var W_i = sigma_p^2 / (M_i E f^2)``. Backward (Eq. 17-21): ``Var W_i = 1 / (M_{i+1} E f'^2)``.
Both hold where ``cond(sigma_p) = sigma_p^2 (M_{i+1} / M_i) E f'^2 / E f^2 = 1``. For ``f(x) = phi(x / sigma_a)`` that
is an equation for ``rho = sigma_p / sigma_a``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import scipy  # its parts are loaded when they are first used

from vi3nr.config import Stability
from vi3nr.families import Activation, require_activation
from vi3nr.moments import MomentTable, moments
from vi3nr.scalars import positive_number

__all__ = ["condition", "gain_squared", "stability_bias_variance", "stable_sigma_p"]

RHO_GRID = np.geomspace(1e-3, 1e3, 49)  # where roots are looked for: eight points a decade
ZERO = 1e-9  # |log cond| below this is rounding, not a sign
SETTLED = 1e-3  # change of log cond between two points of the grid, under which it has come to its value
BELOW_FEATURES = 0.1  # of the narrowest feature: where cond of a family with features below the grid has settled
AT_THE_LIMIT = 1e-2  # |log cond| at an end of the grid, under which cond tends to 1 there


def gain_squared(activation: Activation, sigma_p: float) -> float:
    """gain^2 = ``sigma_p^2 / E f(z)^2`` = M Var W: the weights' variance times the fan-in that keeps the signal.

    Args:
        activation: f; of a complex one the modulus counts, under real z.
        sigma_p: std of the pre-activations z, in units of x, > 0.

    Raises:
        ValueError: a sigma_p that is not positive and finite.
        ArithmeticError: moments that cannot be computed.

    Source: VI3NR, Eq. 4.
    """
    sigma_p = positive_number("sigma_p", sigma_p)
    return sigma_p * (sigma_p / moments(activation, sigma_p).second_moment)


def condition(
    activation: Activation, sigma_p: float, width_ratio: float = 1.0, *, sigma_p_in: float | None = None
) -> float:
    """``cond = sigma_p^2 (M_{i+1} / M_i) E f'^2 / E f^2``: by how much a layer without bias that keeps the signal
    multiplies the gradient's variance; ideal 1.

    Args:
        activation: f; of a complex one the moduli count, under real z, as in the authors' code.
        sigma_p: std of the layer's pre-activations, in units of x, > 0.
        width_ratio: fan-out over fan-in of the layer, M_{i+1} / M_i.
        sigma_p_in: std of the pre-activations of the layer before, under which the moments are taken; None: sigma_p.

    Raises:
        ValueError: a std or a ratio that is not positive and finite.
        ArithmeticError: moments that cannot be computed.

    Source: the authors' code; VI3NR, Eq. 4 and 17-21.
    """
    width_ratio, sigma_p = positive_number("width_ratio", width_ratio), positive_number("sigma_p", sigma_p)
    found = moments(activation, sigma_p if sigma_p_in is None else sigma_p_in)
    return sigma_p * sigma_p * width_ratio * found.slope_second_moment / found.second_moment


def stability_bias_variance(activation: Activation, sigma_p: float, width_ratio: float = 1.0) -> float:
    """``Var b = sigma_p^2 (1 - 1/cond)``: with it, and ``Var W = 1 / (M_{i+1} E f'^2)``, both conditions hold.

    Args:
        activation: f.
        sigma_p: std of the pre-activations of this layer and of the one before, biases included.
        width_ratio: fan-out over fan-in of the layer.

    Returns:
        A variance: 0 where cond is 1.

    Raises:
        ValueError: where cond < 1, for then no bias helps: the signal needs larger weights than the gradient allows.
    """
    sigma_p = positive_number("sigma_p", sigma_p)
    cond = condition(activation, sigma_p, width_ratio)
    if cond < 1.0 - ZERO:
        raise ValueError(f"a stability bias needs cond >= 1; {activation!r} has {cond:.4g} at sigma_p {sigma_p!r}")
    return max(0.0, sigma_p * sigma_p * (1.0 - 1.0 / cond))


def stable_sigma_p(activation: Activation, width_ratio: float = 1.0) -> Stability:
    """The sigma_p at which a hidden layer without bias keeps signal and gradient, and the kind of answer.

    ``root``               one sigma_p does (bump-like families; sigmoid)
    ``several_roots``      several do; the one nearest to sigma_a on a logarithmic scale is given
    ``any``                every sigma_p does (ReLU)
    ``limit_at_0``         none does, cond tends to 1 as sigma_p does to 0 (sine, tanh)
    ``limit_at_infinity``  none does, cond tends to 1 as sigma_p grows
    ``both_ends``          none does, cond tends to 1 at both ends
    ``none``               none was found, and cond tends to 1 at neither end

    Args:
        activation: f.
        width_ratio: fan-out over fan-in of the layer, M_{i+1} / M_i.

    Returns:
        ``sigma_p``, in units of x, and ``kind``; ``sigma_p`` is None for all but the first two kinds. Roots are looked
        for over rho from 1e-3 to 1e3, at eight points a decade; a pair of roots closer than that is not seen. Where
        there is none and cond still changes at 1e-3, the search goes down to a tenth of the family's narrowest feature
        (that of hosc, gabor and wire follows from their second parameter; of formulas it is taken as 1e-5). A limit is
        told only where cond can be computed up to that end, and a rho at which it cannot be is passed over.

    Raises:
        ValueError: what is no activation, or a ratio that is not positive and finite.
        ArithmeticError: if cond cannot be computed for any of these rho, or E f'^2 is 0 for all.
    """
    require_activation(activation)
    width_ratio = positive_number("width_ratio", width_ratio)
    unit = replace(activation, sigma_a=1.0) if activation.scale_family else activation  # rho is the same at any scale
    rho, kind = _stable_rho(unit, width_ratio)
    return Stability(None if rho is None else rho * activation.sigma_a, kind)


@lru_cache(maxsize=1024)
def _stable_rho(activation: Activation, width_ratio: float) -> tuple[float | None, str]:
    found = _Scan(activation, width_ratio, RHO_GRID)
    low = BELOW_FEATURES * activation.unit_feature
    if low < RHO_GRID[0] and found.changes_at_0 and not found.roots:
        below = np.geomspace(low, RHO_GRID[0], 2 + math.ceil(8 * math.log10(RHO_GRID[0] / low)))
        found = _Scan(activation, width_ratio, np.concatenate([below[:-1], RHO_GRID]))
    if found.roots:
        nearest = min(found.roots, key=lambda rho: abs(math.log(rho)))
        return nearest, "root" if len(found.roots) == 1 else "several_roots"
    return None, found.kind_without_root


class _Scan:
    """Log cond over a grid of rho: where it crosses 0, and what it does at the ends."""

    def __init__(self, activation: Activation, width_ratio: float, grid: np.ndarray) -> None:
        self._table, self._ratio = MomentTable(activation, float(grid[0]), float(grid[-1])), width_ratio
        self._heights = self._log_conditions([float(rho) for rho in grid])
        if np.isnan(self._heights).all():
            raise ArithmeticError(f"the moments of {activation!r} {self._reason(float(rho) for rho in grid)}")
        signed = [(x, height) for x, height in zip(np.log(grid), self._heights, strict=True) if abs(height) > ZERO]
        self._flat = not signed
        self.roots = [
            root
            for (a, at_a), (b, at_b) in pairwise(signed)
            if at_a * at_b < 0.0 and (root := _root(self._log_conditions, a, b)) is not None
        ]

    @property
    def changes_at_0(self) -> bool:
        """Whether cond is known at the lower end of the grid and has come to no value there yet."""
        first, second = self._heights[:2]
        return bool(abs(first) >= AT_THE_LIMIT and abs(first - second) > SETTLED)

    @property
    def kind_without_root(self) -> str:
        """What is left where nothing crosses."""
        if self._flat:
            return "any"
        at_zero, at_infinity = abs(self._heights[0]) < AT_THE_LIMIT, abs(self._heights[-1]) < AT_THE_LIMIT  # not if NaN
        if at_zero and at_infinity:
            return "both_ends"
        if at_zero:
            return "limit_at_0"
        return "limit_at_infinity" if at_infinity else "none"

    def _log_conditions(self, rho: Sequence[float]) -> np.ndarray:
        """Log cond, NaN where the moments leave float64 or cannot be integrated."""
        with np.errstate(all="ignore"):
            second, slope = self._table.at(rho)
            found: np.ndarray = np.log(np.square(rho) * self._ratio * slope / second)
        return np.where(np.isfinite(found), found, np.nan)

    def _reason(self, rho: Iterable[float]) -> str:
        second, slope = self._table.at(list(rho))
        if ((slope == 0.0) & (second > 0.0)).any() and not (slope > 0.0).any():
            return "give no stable sigma_p: E f'^2 is 0, so no gradient passes whatever sigma_p is"
        return "cannot be computed for any rho from 1e-3 to 1e3"


def _root(log_conditions: Callable[[Sequence[float]], np.ndarray], low: float, high: float) -> float | None:
    """The rho with log cond 0 between two logarithms of rho; None where cond cannot be computed on the way."""

    def height(log_rho: float) -> float:
        found = float(log_conditions([math.exp(log_rho)])[0])
        if math.isnan(found):
            raise ArithmeticError(log_rho)
        return found

    try:
        return math.exp(scipy.optimize.brentq(height, low, high, xtol=1e-14, rtol=1e-14))
    except ArithmeticError:
        return None
