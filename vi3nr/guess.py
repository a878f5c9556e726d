"""A first guess without training: where to look, from the family's theory and the signal's spectrum. No torch.

The constants are those of ``vi3nr.good_regions``. The search starts here and moves on; a guess that is off by a factor
of two costs trials, not the answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vi3nr.activations import activation, family_of
from vi3nr.good_regions import Signals, kind_of
from vi3nr.signals import Signal
from vi3nr.spectrum import spectral_extent
from vi3nr.theory import stable_sigma_p

__all__ = ["Point", "Ranges", "default_ranges", "one_sigma_p_points", "start_points"]


@dataclass(frozen=True)
class Point:
    """One init in the search's axes.

    ``sigma_p`` std of the hidden layers' pre-activations, ``sigma_p_first`` of the first layer's (biases included),
    ``share_first`` the share of the first layer's pre-activation variance that its biases hold, in [0, 1).
    """

    sigma_a: float
    sigma_p: float
    sigma_p_first: float
    share_first: float


@dataclass(frozen=True)
class Ranges:
    """Default search ranges (low, high); ``low == high`` means fixed. The ratios are dimensionless:
    ``rho = sigma_p / sigma_a`` and ``bandwidth = sigma_p_first sqrt(1 - share_first) / sigma_a``, the std of the
    first layer's weighted sum in units of ``sigma_a``.
    """

    sigma_a: tuple[float, float]
    rho: tuple[float, float]
    bandwidth: tuple[float, float]
    share_first: tuple[float, float]


def _extent(signals: Signals) -> float:
    """What the bandwidth follows, with the habit's power: for sound 0.35 times the extent of 95 % of the energy; for
    all else the square root of that of 80 %. Of several signals the geometric mean.
    """
    if not isinstance(signals, Signal):
        return math.exp(sum(math.log(_extent(signal)) for signal in signals) / len(signals))
    if signals.coordinates.shape[1] == 1:
        return 0.35 * spectral_extent(signals, 0.95)
    return math.sqrt(max(spectral_extent(signals, 0.8), 1.0))


def start_points(
    family: str, signal: Signals, parameters: Mapping[str, float] = MappingProxyType({})
) -> tuple[Point, ...]:
    """A handful of points to try first, the best guess first, the theory's own sigma_p among them.

    ``parameters`` are the family's besides ``sigma_a``; a formula needs all of its own.
    """
    habit = kind_of(family).habit(signal)
    low, high = habit.share_range
    guess = habit.bandwidth * _extent(signal) ** habit.power
    points = []
    for scale, ratio, width, shift in habit.moves:
        sigma_a = habit.sigma_a * (scale if family_of(family).has_scale else 1.0)
        rho = _stable_rho(family, parameters) if ratio is None else habit.rho * ratio
        share = min(max(habit.share_first + shift, low), high)
        bandwidth = guess * width
        points.append(Point(sigma_a, rho * sigma_a, bandwidth * sigma_a / math.sqrt(1 - share), share))
    return tuple(points)


def one_sigma_p_points(
    family: str,
    signal: Signals,
    parameters: Mapping[str, float] = MappingProxyType({}),
    *,
    along_scale: bool = True,
) -> tuple[Point, ...]:
    """Where to look when one sigma_p has to serve every layer: along the ridge; without ``along_scale``, for a
    ``sigma_a`` that is given, across it, the theory's own sigma_p among the points.

    The ridge lies between what the hidden layers and what the first one would have. On three pictures, calm and busy,
    the surface through all that searches had found has its top at rho 3.0 to 3.5 for the Gaussian, at 2.3 to 2.8 for
    the sine; on sound, shapes and volumes it is near where dense grids of four clips, two meshes and two volumes have
    theirs (docs/search.md).
    """
    ridge = kind_of(family).habit(signal).ridge
    rho = _ridge_rho(family, signal)
    moves = ridge.moves
    if not (along_scale and family_of(family).has_scale):
        moves = tuple((1.0, ratio) for ratio in (1.0, 2.0, 0.5, _stable_rho(family, parameters) / rho))
    points = []
    for scale, ratio in moves:
        sigma_a = ridge.sigma_a * scale
        points.append(Point(sigma_a, rho * ratio * sigma_a, rho * ratio * sigma_a, 0.0))
    return tuple(points)


def default_ranges(
    family: str,
    signal: Signals,
    parameters: Mapping[str, float] = MappingProxyType({}),
    *,
    one_sigma_p: bool = False,
) -> Ranges:
    """Where a family's good configs lie for this signal: a decade or so around the guess on each scale.

    ``one_sigma_p``: where one has to serve every layer, whose rho lies higher.
    """
    habit = kind_of(family).habit(signal)
    rho = _ridge_rho(family, signal) if one_sigma_p else habit.rho
    bandwidth = habit.bandwidth * _extent(signal) ** habit.power
    stable = _stable_rho(family, parameters)
    scale = family_of(family).sigma_a_range if family_of(family).has_scale else (habit.sigma_a, habit.sigma_a)
    return Ranges(
        sigma_a=scale,
        rho=(min(rho / 4, stable / 2), max(rho * 3, stable * 3)),
        bandwidth=(bandwidth / 4, bandwidth * 4),
        share_first=habit.share_range,
    )


def _ridge_rho(family: str, signal: Signals) -> float:
    """Of one sigma_p for all layers, over sigma_a."""
    ridge = kind_of(family).habit(signal).ridge
    if ridge.rho is None:
        return math.sqrt(2.0 * _extent(signal))
    return float(ridge.rho * _extent(signal) ** ridge.power)


def _stable_rho(family: str, parameters: Mapping[str, float]) -> float:
    """The theory's sigma_p over sigma_a; where it has no root, sigma_p = sigma_a."""
    phi = activation(family, family_of(family).customary_sigma_a[0], **parameters)
    try:
        stable = stable_sigma_p(phi).sigma_p
    except ArithmeticError:  # a formula without moments: its trials will say so
        return 1.0
    return 1.0 if stable is None else stable / phi.sigma_a
