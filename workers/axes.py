"""The names of the search's axes, as people read them on the dashboard and in answers."""

from __future__ import annotations

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
