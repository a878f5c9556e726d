"""Which points a step sees, and at which learning rate. A function of (seed, step): no state to keep."""

from __future__ import annotations

import math

import numpy as np

from vi3nr.ensemble.interface import Recipe

__all__ = ["BatchOrder", "learning_rate_at"]


def learning_rate_at(base: float, step: int, recipe: Recipe) -> float:
    """The rate of the update that leads from ``step`` to ``step + 1``.

    ``constant``: base. ``cosine``: base (1 + cos(pi step / steps)) / 2, and zero beyond ``steps``.
    """
    if recipe.schedule == "constant":
        return base
    return base * 0.5 * (1.0 + math.cos(math.pi * min(step / recipe.steps, 1.0)))


class BatchOrder:
    """The points of each step of one member: an epoch is a permutation seeded by (member seed, epoch), cut in batches.

    All batches have the same size; the points that remain at an epoch's end are skipped, others in each epoch.
    """

    def __init__(self, points: int, batch_size: int, seed: int) -> None:
        self._points = points
        self._batch_size = batch_size
        self._seed = seed
        self._per_epoch = points // batch_size
        self._epoch = -1
        self._permutation = np.empty(0, dtype=np.int64)

    def indices(self, step: int) -> np.ndarray:
        """Indices ``(batch,)`` of the points that step ``step`` (0 is the first) trains on."""
        epoch, position = divmod(step, self._per_epoch)
        if epoch != self._epoch:
            self._permutation = np.random.default_rng([self._seed, epoch]).permutation(self._points)
            self._epoch = epoch
        return self._permutation[position * self._batch_size : (position + 1) * self._batch_size]
