"""Points that no step sees and that alone are scored: does a network fit what lies between the points it was given?"""

from __future__ import annotations

import numpy as np

from vi3nr.signals import Signal

__all__ = ["check_points", "parted", "trained_points"]

FEWEST = 4  # points of a signal of which some are held out

SEED = 0x484F4C44  # one split for all members, seeds and studies: scores are compared over the same points


def check_points(signal: Signal, held_out: float | None) -> None:
    """Raise ValueError for a signal that is too small to hold points out, where that is asked for."""
    points = len(signal.values)
    if held_out is not None and points < FEWEST:
        raise ValueError(f"a signal of {points} points is too small to hold some out: {FEWEST} are needed")


def trained_points(points: int, held_out: float | None) -> int:
    """How many of a signal's points steps see; of four and more, at least two are on either side."""
    return points if held_out is None else max(points - max(round(held_out * points), 2), 2)


def parted(signal: Signal, held_out: float | None) -> tuple[Signal, Signal]:
    """The signal that steps see and the one that is scored; both are the whole signal where nothing is held out.

    Args:
        signal: of at least four points, where some are held out.
        held_out: their share, in (0, 1), see ``trained_points``.

    Raises:
        ValueError: fewer than four points.
    """
    if held_out is None:
        return signal, signal
    check_points(signal, held_out)
    points = len(signal.values)
    mixed = np.random.default_rng(SEED).permutation(points)
    count = points - trained_points(points, held_out)
    return _part(signal, np.sort(mixed[count:])), _part(signal, np.sort(mixed[:count]))


def _part(signal: Signal, chosen: np.ndarray) -> Signal:
    return Signal(signal.coordinates[chosen], signal.values[chosen], signal.kind, (len(chosen),))
