"""What a report shows of trained networks besides their scores, as plain data; ``workers.exhibitor`` makes it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vi3nr.config import InitConfig

__all__ = ["SHAPE_SIDE", "Exhibit", "LayerVariance", "Trained", "shown_points"]

SHAPE_SIDE = 48  # points along an axis of the grid that a shape's surface is taken from


@dataclass(frozen=True)
class Trained:
    """A network after its confirmation run: drawn from ``config`` and ``seed``; ``parameters`` as in MemberState."""

    family: str
    arm: str
    kind: str  # "finalist", "baseline" or "theory"
    config: InitConfig
    seed: int
    parameters: np.ndarray


@dataclass(frozen=True)
class LayerVariance:
    """One layer at initialisation. ``measured`` is the mean over networks, ``spread`` their standard deviation."""

    preactivation: float  # what the theory says
    preactivation_by_point: float  # the theory at the signal's own coordinates
    preactivation_measured: float
    preactivation_spread: float
    gradient: float  # in units of the output's variance
    gradient_by_point: float
    gradient_measured: float
    gradient_spread: float


@dataclass(frozen=True)
class Exhibit:
    """One trained network. ``values`` are its output at ``shown_points(shape, stride)``, (point, channel)."""

    family: str
    arm: str
    kind: str
    seed: int
    stride: int  # every so-many-th point along each axis of the signal's grid
    values: np.ndarray
    parameters: np.ndarray
    layers: tuple[LayerVariance, ...]
    distances: np.ndarray | None = None  # of a shape: signed distances at ``vi3nr.shapes.shape_grid(SHAPE_SIDE)``


def shown_points(shape: tuple[int, ...], stride: int) -> np.ndarray:
    """Indices of every ``stride``-th point along each axis of a grid, row by row."""
    places = np.arange(math.prod(shape)).reshape(shape)
    return places[tuple(slice(None, None, stride) for _ in shape)].reshape(-1)
