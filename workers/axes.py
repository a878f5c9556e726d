"""The names of the search's axes, as people read them on the dashboard and in answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = [
    "BANDWIDTH",
    "GROWTH",
    "LINEAR",
    "OUTPUT",
    "RATE",
    "RATIO",
    "SHARE_FIRST",
    "SHARE_HIDDEN",
    "SIGMA_A",
    "SIGMA_P",
    "SIGMA_P_FIRST",
    "turn_to_ratios",
]

SIGMA_A = "sigma_a"
RATIO = "sigma_p / sigma_a"
SIGMA_P = "sigma_p"
BANDWIDTH = "first-layer bandwidth"
SIGMA_P_FIRST = "sigma_p_first"
SHARE_FIRST = "first-layer bias share"
SHARE_HIDDEN = "hidden bias share"
OUTPUT = "output scale"
GROWTH = "sigma_p growth"  # from one hidden layer to the next
RATE = "learning rate"
LINEAR = (SHARE_FIRST, SHARE_HIDDEN)  # the other axes are logarithmic


def turn_to_ratios(widths: Mapping[str, float]) -> np.ndarray:
    """What turns places in the unit cube, (axis,), to where a scale is measured in units of ``sigma_a``: in absolute
    numbers the good region is a ridge across both. (axis, axis), to be multiplied from the right.

    ``widths`` are those of the axes in natural logarithms, in the cube's order; 0 of an axis that has none.
    """
    names = list(widths)
    turn = np.eye(len(names))
    if SIGMA_A in names:
        for name in (SIGMA_P, SIGMA_P_FIRST):
            if name in names and widths[name] > 0.0:
                turn[names.index(SIGMA_A), names.index(name)] = -widths[SIGMA_A] / widths[name]
    return turn
