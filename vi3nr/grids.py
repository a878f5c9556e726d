"""Signals on regular grids: sound, volumes, videos, any array; coordinates and normalisation. No torch.

Grid point i of N along an axis lies at ``low + (high - low) i / (N - 1)``, an axis of one point at the middle. The
coordinates' columns run against the grid's axes, as for images: of an array with axes (z, y, x) they are (x, y, z).
"""

from __future__ import annotations

import math

import numpy as np

from vi3nr.signals import Signal

__all__ = [
    "COORDINATE_RANGE",
    "array_signal",
    "grid_coordinates",
    "grid_signal",
    "sound_signal",
    "to_unit",
    "to_values",
]

COORDINATE_RANGE = (-1.0, 1.0)


def grid_coordinates(shape: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """Coordinates ``(points, axes)`` in float32 of a grid whose points run with the last axis fastest."""
    axes = [np.linspace(low, high, n) if n > 1 else np.array([(low + high) / 2]) for n in shape]
    meshes = np.meshgrid(*axes, indexing="ij")
    return np.stack([mesh.ravel() for mesh in reversed(meshes)], axis=1).astype(np.float32)


def grid_signal(values: np.ndarray, kind: str, coordinate_range: tuple[float, float] = COORDINATE_RANGE) -> Signal:
    """A grid of values that are normalised already.

    Args:
        values: ``(*grid, channels)``, in [-1, 1].
        kind: what the signal is called.
        coordinate_range: where the grid's first and last point lie, on every axis.

    Raises:
        ValueError: fewer than two points, NaN, or one value throughout.
    """
    values = np.asarray(values)
    shape = tuple(int(n) for n in values.shape[:-1])
    points = values.reshape(math.prod(shape), values.shape[-1])  # (point, channel)
    if len(points) < 2:
        raise ValueError(f"a signal needs at least two points, got {len(points)}")
    if (points == points[0]).all():
        raise ValueError("has the same value throughout: there is nothing to fit")
    return Signal(grid_coordinates(shape, *coordinate_range), points.astype(np.float32), kind, shape)


def to_unit(values: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Values in float64 with ``value_range`` mapped to [-1, 1]; what lies outside is clipped."""
    low, high = value_range
    middle, half = low / 2 + high / 2, high / 2 - low / 2  # high - low itself may be too large for a float
    unit: np.ndarray = np.clip((np.clip(values, low, high) - middle) / half, -1.0, 1.0)
    return unit


def to_values(unit: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """The inverse of ``to_unit``, without clipping."""
    low, high = value_range
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    values: np.ndarray = middle + np.asarray(unit, dtype=np.float64) * half
    return values


def sound_signal(samples: np.ndarray, value_range: tuple[float, float] | None = None) -> Signal:
    """Sound as a signal of one coordinate, the time.

    Args:
        samples: ``(samples,)`` or ``(samples, channels)``.
        value_range: amplitudes that become -1 and 1; None: the largest one of all channels and its negative.

    Raises:
        ValueError: another shape, fewer than two samples, NaN, or silence.
    """
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2:
        raise ValueError(f"sound has shape (samples,) or (samples, channels), got {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError("the sound must be finite, got NaN or an infinity")
    if value_range is None:
        peak = float(np.abs(samples).max(initial=0.0))
        if peak == 0.0:
            raise ValueError("the sound is silent throughout: there is nothing to fit")
        value_range = (-peak, peak)
    return grid_signal(to_unit(samples, value_range), "sound")


def array_signal(values: np.ndarray, value_range: tuple[float, float] | None = None, *, kind: str = "array") -> Signal:
    """An array as a signal: a volume, a video, anything on a grid.

    Args:
        values: ``(*grid, channels)``, real numbers.
        value_range: values that become -1 and 1; None: the smallest and the largest one.
        kind: what the signal is called.

    Raises:
        ValueError: no axis besides the channels, fewer than two points, NaN, or one value throughout.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim < 2:
        raise ValueError(f"an array has shape (*grid, channels), got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("the array must be finite, got NaN or an infinity")
    if value_range is None:
        low, high = float(values.min(initial=math.inf)), float(values.max(initial=-math.inf))
        if not low < high:
            raise ValueError("the array has the same value throughout: there is nothing to fit")
        value_range = (low, high)
    return grid_signal(to_unit(values, value_range), kind)
