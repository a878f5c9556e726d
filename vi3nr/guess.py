"""A first guess without training: where to look, from the family's theory and the signal's spectrum. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from vi3nr.signals import Signal

__all__ = ["Point", "Ranges", "default_ranges", "start_points"]


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
    """Default search ranges (low, high). The ratios are dimensionless: ``rho = sigma_p / sigma_a`` and
    ``bandwidth = sigma_p_first sqrt(1 - share_first) / sigma_a``, the std of the first layer's weighted sum in units of sigma_a.
    ``low == high`` means fixed.
    """

    sigma_a: tuple[float, float]
    rho: tuple[float, float]
    bandwidth: tuple[float, float]
    share_first: tuple[float, float]


def default_ranges(family: str, signal: Signal) -> Ranges:
    """Where a family's good configs lie for this signal."""
    raise NotImplementedError


def start_points(family: str, signal: Signal) -> tuple[Point, ...]:
    """A handful of points to try first, the best guess first."""
    raise NotImplementedError
