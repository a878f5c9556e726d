"""What the response surface is described by, as data: axes, trials, basins, planes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workers.axes import SIGMA_P

__all__ = ["AxisRange", "AxisResponse", "Basin", "Observation", "Plane", "ResponseSurface", "TheoryLine"]


@dataclass(frozen=True)
class AxisRange:
    """A searched axis: its name, bounds, and whether it is logarithmic."""

    name: str
    low: float
    high: float
    log: bool

    @property
    def width(self) -> float:
        """Of a logarithmic axis, in natural logarithms; 0 of a linear one."""
        return float(np.log(self.high / self.low)) if self.log else 0.0

    def position(self, value: float) -> float:
        """Where a value lies between the bounds, 0 to 1."""
        if self.log:
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return (value - self.low) / (self.high - self.low)

    def value(self, position: float) -> float:
        """The value at a position."""
        if self.log:
            return float(self.low * (self.high / self.low) ** position)
        return self.low + position * (self.high - self.low)


@dataclass(frozen=True)
class Observation:
    """A finished trial. ``score`` is None where it was pruned; ``reports`` are scores by step."""

    params: Mapping[str, float]
    score: float | None
    reports: Mapping[int, float]


@dataclass(frozen=True)
class Basin:
    """Between ``low`` and ``high`` the expected score stays within 1 dB of the best point's, the other axes held there.

    ``open_below`` and ``open_above``: the basin reaches the end of the searched range and may go on.
    """

    low: float
    high: float
    open_below: bool
    open_above: bool


@dataclass(frozen=True)
class AxisResponse:
    """One axis through the best point: expected score and its standard deviation at ``values``.

    ``importance`` is the share of the surface's variance over the whole box that stays when all the other axes are
    known (Sobol's total index; the shares of several axes add to more than 1 where they act together).
    """

    name: str
    low: float
    high: float
    log: bool
    importance: float
    basin: Basin
    values: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Plane:
    """Expected score and standard deviation over two axes, the others at the best point; rows follow ``y_values``."""

    x: str
    y: str
    x_values: tuple[float, ...]
    y_values: tuple[float, ...]
    mean: tuple[tuple[float, ...], ...]
    std: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class TheoryLine:
    """The theory's own ``sigma_p`` across the searched ``sigma_a``, the other axes at the best point; one point where
    ``sigma_a`` is fixed.

    ``rho = sigma_p / sigma_a`` is that at the best ``sigma_a``: of most families it is the same everywhere, of some
    (wire, gabor, finer, formulas) it is not. ``mean`` and ``std`` are None at points outside the searched range of
    sigma_p.
    """

    rho: float
    kind: str  # of root: how the theory comes to it
    sigma_a: tuple[float, ...]
    sigma_p: tuple[float, ...]
    mean: tuple[float | None, ...]
    std: tuple[float | None, ...]

    def along(self, axis: str) -> tuple[float, ...]:
        """The numbers of the line on ``sigma_p`` or on ``sigma_p / sigma_a``."""
        if axis == SIGMA_P:
            return self.sigma_p
        return tuple(own / scale for own, scale in zip(self.sigma_p, self.sigma_a, strict=True))


@dataclass(frozen=True)
class ResponseSurface:
    """Scores are in the study's unit, at the search horizon. ``best`` is the highest point of the fitted mean."""

    trials: int
    noise: float  # fitted standard deviation between trainings of one config
    best: Mapping[str, float]
    best_mean: float
    best_std: float
    axes: tuple[AxisResponse, ...]
    plane: Plane | None  # of the two most important axes; None for a single one
    theory_plane: (
        Plane | None
    )  # of sigma_a and sigma_p (or their ratio), where the theory's line lies; None without both
    theory: TheoryLine | None  # None where sigma_p is fixed, or the theory has none
