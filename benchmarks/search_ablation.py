"""What each part of the search is worth in the full space: ours without it, trained live (``benchmarks.search``).

A variant is a strategy and the space that it searches:

- ``absolute axes``: sigma_a, sigma_p and sigma_p_first instead of the ratios, over ranges that hold the same box;
- ``no spectrum guess``: the same start points with one first-layer bandwidth for all signals, the photographs' typical
  one, in a range that is centred there;
- ``no start points``, ``TPE``, ``random``, ``full horizon``, ``one finalist``, ``no confirmation``: ours with that part
  taken out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.search_loop import OURS, Strategy
from vi3nr.guess import default_ranges, start_points
from vi3nr.signals import Signal
from workers.axes import BANDWIDTH
from workers.plan import FamilyPlan, Range
from workers.search_space import SearchSpace

__all__ = ["VARIANTS", "Variant", "searched"]

TYPICAL_BANDWIDTH = {"gaussian": 6.0, "sine": 9.0}  # the columns of docs/search-constants.md that serve most pictures


@dataclass(frozen=True)
class Variant:
    """``space``: plane, full, absolute or constant (see above)."""

    name: str
    strategy: Strategy
    space: str


VARIANTS = (
    Variant("ours", OURS, "full"),
    Variant("absolute axes", OURS, "absolute"),
    Variant("no spectrum guess", OURS, "constant"),
    Variant("no start points", replace(OURS, start=False), "full"),
    Variant("TPE from the start points", replace(OURS, sampler="tpe"), "full"),
    Variant("random from the start points", replace(OURS, sampler="random"), "full"),
    Variant("full horizon", replace(OURS, horizon=1.0), "full"),
    Variant("one finalist", replace(OURS, finalists=1), "full"),
    Variant("no confirmation", replace(OURS, seeds=0), "full"),
)


def searched(space: str, family: str, signal: Signal) -> tuple[SearchSpace, Sequence[Mapping[str, float]]]:
    """The space of a variant and what is tried first in it."""
    full = SearchSpace.for_family(FamilyPlan(family), signal)
    if space == "absolute":
        made = SearchSpace.for_family(_absolute(family, signal), signal)
        return made, made.start(signal)
    if space == "constant":
        typical = TYPICAL_BANDWIDTH[family]
        made = replace(full, axes={**full.axes, BANDWIDTH: Range(typical / 4, typical * 4)})
        points = start_points(family, signal)
        first = points[0]
        guessed = first.sigma_p_first * math.sqrt(1 - first.share_first) / first.sigma_a
        moved = [replace(point, sigma_p_first=point.sigma_p_first * typical / guessed) for point in points]
        return made, [made.to_params(point) for point in moved]
    return full, full.start(signal)


def _absolute(family: str, signal: Signal) -> FamilyPlan:
    """The smallest absolute ranges that hold every config of the ratios' box."""
    ranges = default_ranges(family, signal)
    scale, ratio, bandwidth = (np.array(pair) for pair in (ranges.sigma_a, ranges.rho, ranges.bandwidth))
    first = scale * bandwidth / np.sqrt(1 - np.array(ranges.share_first))
    return FamilyPlan(family, sigma_p=Range(*map(float, scale * ratio)), sigma_p_first=Range(*map(float, first)))
