"""Means over seeds with Student's t-intervals, and paired differences over the seeds that two arms share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import t as student

from workers.result import Interval

__all__ = ["CONFIDENCE", "mean_interval", "paired_interval"]

CONFIDENCE = 0.95


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean and interval ``mean +- t(0.975, n-1) s / sqrt(n)`` of independent values; no interval for n < 2.

    Raises ValueError for no values.
    """
    if not values:
        raise ValueError("an interval needs at least one value, got none")
    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return Interval(mean, None, None, n)
    half = float(student.ppf(0.5 + CONFIDENCE / 2, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def paired_interval(first: Mapping[int, float], second: Mapping[int, float]) -> Interval:
    """Mean of ``first - second`` over the replicates that both have: the seeds' common spread cancels.

    Raises ValueError where they share none.
    """
    common = sorted(first.keys() & second.keys())
    if not common:
        raise ValueError(f"the arms share no replicate: {sorted(first)} and {sorted(second)}")
    return mean_interval([first[replicate] - second[replicate] for replicate in common])
