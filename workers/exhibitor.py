"""Makes the exhibits of a study's report: what trained networks make of the signal, and their layers.

Torch is imported when the first exhibit is made: a runner that only schedules needs none.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from vi3nr.shapes import shape_grid
from vi3nr.signals import Signal
from workers.exhibits import SHAPE_SIDE, Exhibit, LayerVariance, Trained, shown_points

__all__ = ["exhibits"]

log = logging.getLogger(__name__)
MOST_POINTS = 65_536  # that a reconstruction shows: 256 x 256 pixels
LONGEST = 1_048_576  # the same of a sound, which could not be heard with samples left out
MOST_OPERATIONS = 4e10  # multiplications for one exhibit: a second or two on one core
NETWORKS = 8  # that variances are measured over
MOST_DIAGNOSED = 1024  # points that they are measured at


def exhibits(trained: Sequence[Trained], signal: Signal) -> tuple[Exhibit, ...]:
    """An exhibit of each network that one can be made of; a report without pictures beats a study without an answer."""
    import torch

    made, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)  # small products: several threads would wait for each other, and for the trainers
    try:
        for one in trained:
            try:
                made.append(_exhibit(one, signal))
            except Exception:
                log.exception("%s of %s cannot be shown", one.arm, one.family)
    finally:
        torch.set_num_threads(threads)
    return tuple(made)


def _exhibit(one: Trained, signal: Signal) -> Exhibit:
    from vi3nr.diagnostics import diagnose
    from vi3nr.reconstruction import network_of, values_at

    most = LONGEST if len(signal.shape) == 1 else MOST_POINTS
    most = max(2, min(most, int(MOST_OPERATIONS / len(one.parameters))))
    stride = _stride(signal.shape, most)
    chosen = signal.coordinates[shown_points(signal.shape, stride)]
    network = network_of(one.config, one.parameters)
    values = values_at(network, chosen)
    grid = None
    if "inside" in signal.extras and most >= SHAPE_SIDE**3 // 4:
        grid = values_at(network, shape_grid(SHAPE_SIDE))[:, 0]
    found = diagnose(one.config, signal, networks=NETWORKS, points=max(16, min(MOST_DIAGNOSED, most // (3 * NETWORKS))))
    layers = tuple(
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
        for layer in found.layers
    )
    return Exhibit(one.family, one.arm, one.kind, one.seed, stride, values, one.parameters, layers, grid)


def _stride(shape: tuple[int, ...], most: int) -> int:
    """The smallest one that shows at most so many points."""
    stride = 1
    while math.prod(-(-side // stride) for side in shape) > most:
        stride += 1
    return stride
