"""Where good configs of each kind of family lie, on each kind of signal: the constants of the first guess.

Measured, not derived: on eight pictures at 96x96 and 128x128, width 64, 3 hidden layers, 300 and 400 full-batch Adam
steps, and with random configs and dense grids on clips of sound, shapes and volumes at width 32 and 250 steps
(docs/search-constants.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vi3nr.activations import family_of
from vi3nr.signals import Signal

__all__ = ["Habit", "Kind", "Ridge", "Signals", "kind_of"]

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
class Ridge:
    """Where to look when one sigma_p serves all layers: at ``rho * extent**power``, see ``vi3nr.guess``; ``moves`` are
    factors of sigma_a and of rho. Where no rho is known it is the geometric mean of what the hidden layers and the
    first one would have, ``sqrt(2 extent)``.
    """

    sigma_a: float
    rho: float | None
    power: float = 0.0
    moves: tuple[tuple[float, float], ...] = _AROUND


@dataclass(frozen=True)
class Habit:
    """What is known of a family on one kind of signal: the middle of the good region, and how the bandwidth follows the
    spectrum, as ``bandwidth * extent**power``, see ``vi3nr.guess``.
    """

    sigma_a: float
    rho: float
    bandwidth: float
    share_first: float
    share_range: tuple[float, float]
    ridge: Ridge
    power: float = 1.0
    moves: tuple[_Move, ...] = _MOVES


@dataclass(frozen=True)
class Kind:
    """What is known of families of one kind, by the number of a signal's coordinates: one, two, more."""

    sound: Habit
    picture: Habit
    volume: Habit

    def habit(self, signals: Signals) -> Habit:
        """For such signals."""
        first = signals if isinstance(signals, Signal) else signals[0]
        return {1: self.sound, 2: self.picture}.get(first.coordinates.shape[1], self.volume)


_BUMPS_RIDGE = Ridge(0.02, 3.1, moves=((1.0, 1.0), (0.5, 1.0), (0.7, 1.0), (1.5, 1.0), (2.5, 1.0)))
_WAVES_RIDGE = Ridge(0.02, 2.6, moves=_ALONG)
# On pictures the bandwidth hardly follows the spectrum: over extents from 1.6 to 7 the best answers of searches lay at
# 5.9 to 6.8 (Gaussian) and 9.3 to 9.9 (sine). Gabor and HOSC: one search of each on one picture, tried on three others;
# FINER: random configs on two pictures. Sound, shapes, volumes: random configs on three clips, two meshes, one volume;
# their ridges from dense grids on four clips, two meshes, two volumes.
_BUMPS = Kind(
    sound=Habit(0.028, 4.5, 5.8, 0.58, (0.0, 0.9), Ridge(0.045, 4.0, 0.13), power=0.1, moves=_BUMPS_ON_SOUND),
    picture=Habit(0.02, 2.5, 6.0, 0.5, (0.0, 0.9), _BUMPS_RIDGE, power=0.2, moves=_BUMPS_ON_PICTURES),
    volume=Habit(0.03, 2.2, 1.8, 0.6, (0.0, 0.9), Ridge(0.028, 2.0), power=0.4, moves=_BUMPS_IN_SPACE),
)
_WAVES = Kind(
    sound=Habit(0.025, 0.8, 36.0, 0.3, (0.0, 0.8), Ridge(0.035, 2.7, 0.1), power=0.35, moves=_WAVES_ON_SOUND),
    picture=Habit(0.02, 1.0, 7.7, 0.2, (0.0, 0.8), _WAVES_RIDGE, power=0.2, moves=_WAVES_ON_PICTURES),
    volume=Habit(0.018, 1.0, 2.0, 0.4, (0.0, 0.8), Ridge(0.02, 1.75), power=0.4, moves=_WAVES_IN_SPACE),
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
_PLAIN = Habit(1.0, 1.0, 2.0, 0.6, (0.0, 0.9), Ridge(1.0, None, moves=_ALONG_PLAIN))


def kind_of(family: str) -> Kind:
    """What was measured of a family; for the others a guess from their kind: a bump, a wave, or plain."""
    if family in _KINDS:
        return _KINDS[family]
    cls = family_of(family)
    low, high = cls.sigma_a_range
    if not cls.even and "omega" not in cls.aliases:
        sigma_a = cls.customary_sigma_a[0] if cls.has_scale else 1.0
        plain = replace(_PLAIN, sigma_a=sigma_a, ridge=replace(_PLAIN.ridge, sigma_a=sigma_a))
        return Kind(plain, plain, plain)
    kind = _BUMPS if cls.even else _WAVES

    def within(scale: float) -> float:
        return min(max(scale, low / 0.6), high / 2.0)

    return Kind(*(
        replace(
            habit, sigma_a=within(habit.sigma_a), ridge=replace(habit.ridge, sigma_a=within(habit.ridge.sigma_a))
        )
        for habit in (kind.sound, kind.picture, kind.volume)
    ))  # fmt: skip
