"""Grids made smaller: the size that fits, means over areas, and crops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from service.reading.contract import RefusedError

__all__ = ["area_means", "crop_slices", "fitting"]

Crop = Sequence[tuple[float | None, float | None]]


def fitting(shape: Sequence[int], max_points: int) -> tuple[int, ...]:
    """The largest shape of the same proportions, up to rounding down, with at most ``max_points`` points."""
    sizes = list(shape)
    free = [axis for axis, n in enumerate(sizes) if n > 1]
    while math.prod(sizes) > max_points:
        points = math.prod(shape[axis] for axis in free)
        scale = (max_points / points) ** (1 / len(free)) * (1 + 1e-12)
        thin = [axis for axis in free if shape[axis] * scale < 1]
        for axis in thin:
            sizes[axis] = 1
        free = [axis for axis in free if axis not in thin]
        if not thin:
            for axis in free:
                sizes[axis] = int(shape[axis] * scale)
            break
    return tuple(sizes)


def area_means(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """``values`` ``(*grid, channels)`` on a smaller grid: each new point is the mean over its part of the old ones."""
    for axis, size in enumerate(shape):
        old = values.shape[axis]
        if size == old:
            continue
        moved = np.moveaxis(values, axis, 0).astype(np.float64)
        sums = np.concatenate([np.zeros((1, *moved.shape[1:])), np.cumsum(moved, axis=0)])
        edges = np.linspace(0.0, old, size + 1)
        whole = np.minimum(edges.astype(int), old - 1)
        part = (edges - whole).reshape(-1, *(1,) * (moved.ndim - 1))
        values = np.moveaxis(np.diff(sums[whole] + part * moved[whole], axis=0) * (size / old), 0, axis)
    return values


def crop_slices(crop: Crop, sizes: Sequence[int], axes: Sequence[str]) -> tuple[slice, ...]:
    """One slice for each axis.

    Raises:
        RefusedError: another number of axes, or a part that is empty or lies outside.
    """
    if len(crop) != len(sizes):
        sentence = f"needs one start:stop for each of the axes {', '.join(axes)}, got {len(crop)}"
        raise RefusedError("option", sentence, "crop", crop)
    slices = []
    for (start, stop), size, axis in zip(crop, sizes, axes, strict=True):
        first, last = 0.0 if start is None else start, float(size) if stop is None else stop
        if first != int(first) or last != int(last) or not 0 <= first < last <= size:
            sentence = f"of {axis} must be whole numbers start:stop with 0 <= start < stop <= {size}"
            raise RefusedError("option", sentence, "crop", crop)
        slices.append(slice(int(first), int(last)))
    return tuple(slices)
