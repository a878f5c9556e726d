"""A first guess without training: where to look, from the family's theory and the signal's spectrum. No torch.

The constants were measured, not derived: on eight pictures at 96x96 and 128x128, width 64, 3 hidden layers, 300 and 400
full-batch Adam steps, and with random configs on three clips of sound, two shapes and a volume at width 32 and 250
steps (docs/search-constants.md). The search starts here and moves on; a guess that is off by a factor of two costs
trials, not the answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from vi3nr.activations import activation, family_of
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


Signals = Signal | Sequence[Signal]  # one, or several that one config has to serve

# Where to look first, as factors of the habit: sigma_a, rho, bandwidth; and what is added to the share. ``None``: the
# rho of the theory's own sigma_p.
_Move = tuple[float, float | None, float, float]
_MOVES: tuple[_Move, ...] = (
    (1.0, 1.0, 1.0, 0.0),
    (1.0, 1.0, 1.5, 0.0),
    (0.6, 1.0, 0.8, 0.15),
    (1.5, 1.4, 1.0, 0.0),
    (1.0, None, 1.0, -0.2),
)
# On pictures, where the bandwidth is known better than elsewhere, they differ more in sigma_a and rho.
_BUMPS_ON_PICTURES: tuple[_Move, ...] = (
    (1.0, 1.0, 1.0, 0.0),
    (1.25, 1.2, 0.9, -0.1),
    (0.75, 1.0, 0.85, 0.1),
    (2.0, 1.0, 0.8, 0.1),
    (1.0, None, 1.0, -0.2),
)
_WAVES_ON_PICTURES: tuple[_Move, ...] = (
    (1.0, 1.0, 1.0, 0.0),
    (1.25, 1.5, 0.9, -0.1),
    (0.65, 1.6, 1.0, 0.0),
    (1.5, 1.1, 0.85, 0.0),
    (0.65, None, 1.05, 0.0),
)
# On sound and in more dimensions too little is known of where they lie to have them near each other.
_BUMPS_ON_SOUND: tuple[_Move, ...] = (
    (1.0, 1.0, 1.0, 0.0),
    (0.75, 0.9, 1.3, 0.07),
    (1.6, 1.3, 0.75, -0.08),
    (1.1, 1.2, 1.05, -0.18),
    (1.0, None, 1.1, -0.1),
)
_WAVES_ON_SOUND: tuple[_Move, ...] = (
    (1.0, 1.0, 1.0, 0.0),
    (1.6, 0.4, 1.4, 0.3),
    (0.7, 1.4, 0.85, -0.2),
    (1.0, 2.5, 0.65, 0.15),
    (1.4, None, 1.0, 0.0),
)
_BUMPS_IN_SPACE: tuple[_Move, ...] = (
    (1.0, 1.0, 1.0, 0.0),
    (1.1, None, 1.0, -0.05),
    (0.65, 0.85, 0.95, 0.1),
    (0.85, 1.15, 1.1, 0.15),
    (0.65, 1.15, 1.4, -0.05),
)
_WAVES_IN_SPACE: tuple[_Move, ...] = (
    (1.0, 1.0, 1.0, 0.0),
    (1.2, 0.65, 1.55, -0.15),
    (0.6, 0.45, 1.3, -0.05),
    (1.1, 1.5, 0.7, -0.2),
    (2.5, None, 1.0, -0.35),
)


# Along the ridge (plain families end at a scale of 2), and around it where its rho is not known well: off pictures.
_ALONG = ((1.0, 1.0), (0.6, 1.0), (0.75, 1.0), (1.5, 1.0), (2.5, 1.0))
_ALONG_PLAIN = (*_ALONG[:4], (2.0, 1.0))
_AROUND = ((1.0, 1.0), (0.5, 1.1), (2.0, 0.9), (1.25, 1.3), (0.8, 0.75))


@dataclass(frozen=True)
class _Ridge:
    """Where to look when one sigma_p serves all layers: at ``rho * extent**power``, see _extent; ``moves`` are factors
    of sigma_a and of rho. Where no rho is known it is the geometric mean of what the hidden layers and the first one
    would have, ``sqrt(2 extent)``.
    """

    sigma_a: float
    rho: float | None
    power: float = 0.0
    moves: tuple[tuple[float, float], ...] = _AROUND


@dataclass(frozen=True)
class _Habit:
    """What is known of a family on one kind of signal: the middle of the good region, and how the bandwidth follows the
    spectrum, as ``bandwidth * extent**power``, see _extent.
    """

    sigma_a: float
    rho: float
    bandwidth: float
    share_first: float
    share_range: tuple[float, float]
    ridge: _Ridge
    power: float = 1.0
    moves: tuple[_Move, ...] = _MOVES


@dataclass(frozen=True)
class _Kind:
    """What is known of families of one kind, by the number of a signal's coordinates: one, two, more."""

    sound: _Habit
    picture: _Habit
    volume: _Habit

    def habit(self, signals: Signals) -> _Habit:
        """For such signals."""
        first = signals if isinstance(signals, Signal) else signals[0]
        return {1: self.sound, 2: self.picture}.get(first.coordinates.shape[1], self.volume)


_BUMPS_RIDGE = _Ridge(0.02, 3.1, moves=((1.0, 1.0), (0.5, 1.0), (0.7, 1.0), (1.5, 1.0), (2.5, 1.0)))
_WAVES_RIDGE = _Ridge(0.02, 2.6, moves=_ALONG)
# On pictures the bandwidth hardly follows the spectrum: over extents from 1.6 to 7 the best answers of searches lay at
# 5.9 to 6.8 (Gaussian) and 9.3 to 9.9 (sine). Gabor and HOSC: one search of each on one picture, tried on three others;
# FINER: random configs on two pictures. Sound, shapes, volumes: random configs on three clips, two meshes, one volume;
# their ridges from dense grids on four clips, two meshes, two volumes.
_BUMPS = _Kind(
    sound=_Habit(0.028, 4.5, 5.8, 0.58, (0.0, 0.9), _Ridge(0.045, 4.0, 0.13), power=0.1, moves=_BUMPS_ON_SOUND),
    picture=_Habit(0.02, 2.5, 6.0, 0.5, (0.0, 0.9), _BUMPS_RIDGE, power=0.2, moves=_BUMPS_ON_PICTURES),
    volume=_Habit(0.03, 2.2, 1.8, 0.6, (0.0, 0.9), _Ridge(0.028, 2.0), power=0.4, moves=_BUMPS_IN_SPACE),
)
_WAVES = _Kind(
    sound=_Habit(0.025, 0.8, 36.0, 0.3, (0.0, 0.8), _Ridge(0.035, 2.7, 0.1), power=0.35, moves=_WAVES_ON_SOUND),
    picture=_Habit(0.02, 1.0, 7.7, 0.2, (0.0, 0.8), _WAVES_RIDGE, power=0.2, moves=_WAVES_ON_PICTURES),
    volume=_Habit(0.018, 1.0, 2.0, 0.4, (0.0, 0.8), _Ridge(0.02, 1.75), power=0.4, moves=_WAVES_IN_SPACE),
)
_KINDS = {
    "gaussian": _BUMPS,
    "sinc": _BUMPS,
    "gabor": replace(_BUMPS, picture=replace(_BUMPS.picture, sigma_a=0.04, bandwidth=5.4, share_first=0.45)),
    "sine": _WAVES,
    "finer": replace(_WAVES, picture=replace(_WAVES.picture, bandwidth=5.8)),
    "hosc": replace(_WAVES, picture=replace(_WAVES.picture, sigma_a=0.03, rho=1.5, bandwidth=6.5, share_first=0.0)),
}
# tanh, sigmoid, relu: one feature each, so biases must spread them.
_PLAIN = _Habit(1.0, 1.0, 2.0, 0.6, (0.0, 0.9), _Ridge(1.0, None, moves=_ALONG_PLAIN))


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
    habit = _kind(family).habit(signal)
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
    ridge = _kind(family).habit(signal).ridge
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
    habit = _kind(family).habit(signal)
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


def _kind(family: str) -> _Kind:
    """What was measured of a family; for the others a guess from their kind: a bump, a wave, or plain."""
    if family in _KINDS:
        return _KINDS[family]
    cls = family_of(family)
    low, high = cls.sigma_a_range
    if not cls.even and "omega" not in cls.aliases:
        sigma_a = cls.customary_sigma_a[0] if cls.has_scale else 1.0
        plain = replace(_PLAIN, sigma_a=sigma_a, ridge=replace(_PLAIN.ridge, sigma_a=sigma_a))
        return _Kind(plain, plain, plain)
    kind = _BUMPS if cls.even else _WAVES

    def within(scale: float) -> float:
        return min(max(scale, low / 0.6), high / 2.0)

    return _Kind(*(
        replace(
            habit, sigma_a=within(habit.sigma_a), ridge=replace(habit.ridge, sigma_a=within(habit.ridge.sigma_a))
        )
        for habit in (kind.sound, kind.picture, kind.volume)
    ))  # fmt: skip


def _ridge_rho(family: str, signal: Signals) -> float:
    """Of one sigma_p for all layers, over sigma_a."""
    ridge = _kind(family).habit(signal).ridge
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
