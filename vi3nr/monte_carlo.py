"""Expectations under a normal distribution by sampling, with the standard error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Estimate", "sampled_expectation"]

CHUNK = 1 << 16  # samples at a time: they stay in the cache


@dataclass(frozen=True)
class Estimate:
    """``values[k]`` estimates E g_k and ``standard_errors[k]`` is its standard error."""

    values: np.ndarray
    standard_errors: np.ndarray


def sampled_expectation(
    g: Callable[[np.ndarray], np.ndarray], std: float, samples: int, *, generator: np.random.Generator
) -> Estimate:
    """E g(z), z ~ N(0, std^2), from independent samples in float64.

    Args:
        g: maps samples ``(sample,)`` to values ``(function, sample)``.
        std: standard deviation, > 0.
        samples: at least 2.
        generator: where the samples come from.
    """
    if samples < 2:
        raise ValueError(f"samples must be at least 2 for a standard error, got {samples!r}")
    count, mean, spread = 0, np.zeros(1), np.zeros(1)
    while count < samples:
        size = min(CHUNK, samples - count)
        values = g(generator.standard_normal(size) * std)  # (function, sample)
        chunk_mean = values.mean(axis=1)
        chunk_spread = np.square(values - chunk_mean[:, None]).sum(axis=1)
        shift = chunk_mean - mean  # Chan et al. 1979: merge the means and the sums of squares about them
        spread = spread + chunk_spread + np.square(shift) * (count * size / (count + size))
        mean = mean + shift * (size / (count + size))
        count += size
    return Estimate(mean, np.sqrt(spread / (samples - 1) / samples))
