"""What a report shows of trained networks besides their scores, as plain data; ``workers.exhibitor`` makes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vi3nr.config import InitConfig

__all__ = ["SHAPE_SIDE", "Exhibit", "LayerVariance", "Trained", "shown_points", "shown_signals"]

SHAPE_SIDE = 48  # points along an axis of the grid that a shape's surface is taken from
MOST_PARAMETERS = 2_000_000  # numbers (8 MB) that an arm's networks for signals but the first one may take


@dataclass(frozen=True)
class Trained:
    """A network after its confirmation run on one signal: drawn from ``config`` and ``seed``; ``parameters`` as in
    MemberState.
    """

    family: str
    arm: str
    kind: str  # "finalist", "baseline" or "theory"
    config: InitConfig
    seed: int
    parameters: np.ndarray
    signal: int = 0  # its place in the dataset


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
    """One trained network. ``values`` are its output at ``shown_points(shape, stride)``, (point, channel).

    Weights and layers are kept of the networks for the first signal of a dataset; for others they are empty.
    """

    family: str
    arm: str
    kind: str
    seed: int
    stride: int  # every so-many-th point along each axis of the signal's grid
    values: np.ndarray
    parameters: np.ndarray
    layers: tuple[LayerVariance, ...]
    distances: np.ndarray | None = None  # of a shape: signed distances at ``vi3nr.shapes.shape_grid(SHAPE_SIDE)``
    signal: int = 0  # its place in the dataset
    metrics: Mapping[str, float | None] = field(default_factory=dict)  # by name; empty where there was no time for them


def shown_points(shape: tuple[int, ...], stride: int) -> np.ndarray:
    """Indices of every ``stride``-th point along each axis of a grid, row by row."""
    places = np.arange(math.prod(shape)).reshape(shape)
    return places[tuple(slice(None, None, stride) for _ in shape)].reshape(-1)


def shown_signals(signals: int, fitted: int, parameters: int) -> tuple[int, ...]:
    """Which signals of a dataset networks are kept for, in order: all, or as many as there is room for.

    The first one always; then those that were held out, which say most; then the others.

    Args:
        signals: how many there are.
        fitted: how many of them, the first ones, the search trains on.
        parameters: of one network.
    """
    wanted = [0, *range(max(1, fitted), signals), *range(1, fitted)]
    return tuple(sorted(wanted[: 1 + MOST_PARAMETERS // parameters]))
