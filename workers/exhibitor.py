"""Makes the exhibits of a study's report: what trained networks make of the signals, their metrics, their layers.

Torch is imported when the first exhibit is made: a runner that only schedules needs none.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vi3nr.shapes import shape_grid
from vi3nr.signals import Signal
from workers.exhibits import SHAPE_SIDE, Exhibit, LayerVariance, Trained, shown_points
from workers.marching import points_of, surface_of

__all__ = ["exhibits"]

log = logging.getLogger(__name__)
MOST_POINTS = 65_536  # that a reconstruction shows: 256 x 256 pixels
LONGEST = 1_048_576  # the same of a sound, which could not be heard with samples left out
MOST_VALUES = 2_097_152  # that are kept of all networks for signals but the first one: 8 MB
MOST_OPERATIONS = 4e10  # multiplications for one exhibit: a second or two on one core
NETWORKS = 8  # that variances are measured over
MOST_DIAGNOSED = 1024  # points that they are measured at


def exhibits(trained: Sequence[Trained], signals: Sequence[Signal]) -> tuple[Exhibit, ...]:
    """An exhibit of each network that one can be made of; a report without pictures beats a study without an answer."""
    import torch

    made, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)  # small products: several threads would wait for each other, and for the trainers
    further = sum(one.signal > 0 for one in trained)
    arms = {(one.family, one.arm) for one in trained}
    try:
        for one in trained:
            try:
                made.append(_exhibit(one, signals[one.signal], _limits(one, signals[one.signal], further, len(arms))))
            except Exception:
                log.exception("%s of %s cannot be shown", one.arm, one.family)
    finally:
        torch.set_num_threads(threads)
    return tuple(made)


@dataclass(frozen=True)
class _Limits:
    """Of one exhibit: points that the network is computed at, and points that are kept."""

    computed: int
    kept: int


def _limits(one: Trained, signal: Signal, further: int, arms: int) -> _Limits:
    """The networks for signals but the first one share, for each arm, the time that the first one has."""
    most = LONGEST if len(signal.shape) == 1 else MOST_POINTS
    computed = int(MOST_OPERATIONS / len(one.parameters))
    if one.signal:
        most = min(most, MOST_VALUES // (further * signal.values.shape[1]))
        computed //= -(-further // arms)
    return _Limits(max(2, computed), max(2, min(most, computed)))


def _exhibit(one: Trained, signal: Signal, limits: _Limits) -> Exhibit:
    from vi3nr.reconstruction import network_of, values_at

    stride = _stride(signal.shape, limits.kept)
    chosen = shown_points(signal.shape, stride)
    network = network_of(one.config, one.parameters)
    whole = len(signal.coordinates) <= limits.computed
    values = values_at(network, signal.coordinates if whole else signal.coordinates[chosen])
    grid = None
    if "inside" in signal.extras and limits.computed >= SHAPE_SIDE**3 // 4:
        grid = values_at(network, shape_grid(SHAPE_SIDE))[:, 0]
    metrics = _metrics(signal, values, grid) if whole else {}
    values = values[chosen] if whole and stride > 1 else values
    if one.signal:
        none = np.empty(0, np.float32)
        return Exhibit(
            one.family, one.arm, one.kind, one.seed, stride, values, none, (), grid, signal=one.signal, metrics=metrics
        )
    layers = _layers(one, signal, limits)
    return Exhibit(
        one.family, one.arm, one.kind, one.seed, stride, values, one.parameters, layers, grid, metrics=metrics
    )


def _metrics(signal: Signal, values: np.ndarray, grid: np.ndarray | None) -> Mapping[str, float | None]:
    """Every metric of the signal's kind, from the network's values at all points, and of a shape on its grid."""
    from vi3nr.metrics_table import Reconstruction, scores

    if grid is None:
        return scores(signal, Reconstruction(values))
    inside = (grid < 0.0).reshape(signal.extras["inside"].shape)
    return scores(signal, Reconstruction(values, inside, points_of(surface_of(grid))))


def _layers(one: Trained, signal: Signal, limits: _Limits) -> tuple[LayerVariance, ...]:
    from vi3nr.diagnostics import diagnose

    points = max(16, min(MOST_DIAGNOSED, limits.kept // (3 * NETWORKS)))
    return tuple(
        LayerVariance(
            layer.theory.preactivation_variance,
            layer.by_point.preactivation_variance,
            layer.preactivation.mean,
            layer.preactivation.spread,
            layer.theory.gradient_variance,
            layer.by_point.gradient_variance,
            layer.gradient.mean,
            layer.gradient.spread,
        )
        for layer in diagnose(one.config, signal, networks=NETWORKS, points=points).layers
    )


def _stride(shape: tuple[int, ...], most: int) -> int:
    """The smallest one that shows at most so many points."""
    stride = 1
    while math.prod(-(-side // stride) for side in shape) > most:
        stride += 1
    return stride
