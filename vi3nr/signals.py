"""A signal: coordinates normalised to [-1, 1] and values, as NumPy arrays. No torch."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Signal", "image_signal", "to_levels"]

_ARRAYS = ("coordinates", "values", "kind", "shape")
_EXTRA = "extra_"  # in front of an extra's name in an archive


def to_levels(values: np.ndarray) -> np.ndarray:
    """Values in [-1, 1] as uint8 levels of the same shape, 0 to 255; what lies outside is clipped."""
    levels: np.ndarray = np.rint(np.clip((np.asarray(values, np.float64) + 1.0) * 127.5, 0.0, 255.0)).astype(np.uint8)
    return levels


@dataclass(frozen=True, eq=False)
class Signal:
    """Coordinates ``(points, in_dim)`` in [-1, 1] and values ``(points, out_dim)`` in [-1, 1], both float32.

    ``shape`` is the grid's, e.g. ``(height, width)`` for an image whose points run row by row. ``extras`` are arrays
    by name that nothing trains on: what a shape is judged by (``vi3nr.shapes``). Raises ValueError for arrays of
    another dtype or shape, for fewer than two points, and for numbers that are not finite.
    """

    coordinates: np.ndarray
    values: np.ndarray
    kind: str
    shape: tuple[int, ...]
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("coordinates", "values"):
            array = getattr(self, name)
            if array.ndim != 2 or array.shape[1] == 0 or array.dtype != np.float32:
                raise ValueError(f"{name} must be float32 of shape (points, dim), got {array.dtype} {array.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite, got NaN or an infinity")
        if len(self.coordinates) != len(self.values):
            raise ValueError(f"got {len(self.coordinates)} coordinates for {len(self.values)} values")
        if len(self.coordinates) < 2:
            raise ValueError(f"a signal needs at least two points, got {len(self.coordinates)}")
        if math.prod(self.shape) != len(self.values):
            raise ValueError(f"shape {self.shape} does not hold {len(self.values)} points")

    @property
    def input_second_moment(self) -> float:
        """Mean of x^2 over points and axes, in float64: what stands for E x^2 in the first layer's variance."""
        return float(np.mean(np.square(self.coordinates, dtype=np.float64)))

    def to_pixels(self, values: np.ndarray) -> np.ndarray:
        """Values ``(points, channels)`` in [-1, 1], e.g. a network's, as uint8 pixels ``(*shape[, channels])``.

        What lies outside is clipped; one channel gives no last axis.
        """
        values = np.asarray(values)
        if values.ndim != 2 or len(values) != math.prod(self.shape):
            raise ValueError(f"values must be of shape ({math.prod(self.shape)}, channels), got {values.shape}")
        return to_levels(values).reshape(self.shape if values.shape[1] == 1 else (*self.shape, values.shape[1]))

    def to_bytes(self) -> bytes:
        """The signal as a compressed ``.npz`` archive, without pickle."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {
            "coordinates": self.coordinates,
            "values": self.values,
            "kind": np.array(self.kind),
            "shape": np.array(self.shape, dtype=np.int64),
        }
        arrays |= {f"{_EXTRA}{name}": array for name, array in self.extras.items()}
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Signal:
        """The inverse of ``to_bytes``. For archives that this library wrote: sizes are not limited here."""
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            missing = [name for name in _ARRAYS if name not in archive]
            if missing:
                raise ValueError(f"the archive is no signal: it lacks {', '.join(missing)}")
            return Signal(
                coordinates=archive["coordinates"],
                values=archive["values"],
                kind=str(archive["kind"]),
                shape=tuple(int(n) for n in archive["shape"]),
                extras={name.removeprefix(_EXTRA): archive[name] for name in archive if name.startswith(_EXTRA)},
            )


def image_signal(pixels: np.ndarray) -> Signal:
    """An image as a signal.

    Pixel (row, column) of an image of height H and width W lies at ``x = -1 + 2 column / (W - 1)``,
    ``y = -1 + 2 row / (H - 1)``: the corners' pixels lie at -1 and 1. The coordinates' columns are (x, y), the points
    run row by row. A pixel's value v in [0, 1] becomes 2 v - 1.

    Args:
        pixels: ``(H, W)`` or ``(H, W, channels)``: uint8, uint16 (full scale is 1), or float in [0, 1].

    Raises:
        ValueError: another dtype or shape, an empty or one-point image, NaN, floats outside [0, 1], or an image of one
            colour, on which PSNR says nothing.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim not in (2, 3):
        raise ValueError(f"an image has shape (height, width) or (height, width, channels), got {pixels.shape}")
    if pixels.size == 0:
        raise ValueError(f"the image is empty: its shape is {pixels.shape}")
    height, width = pixels.shape[:2]
    if height * width < 2:
        raise ValueError("an image needs at least two pixels, got one")
    levels = _levels(pixels).reshape(height * width, -1)  # (point, channel)
    if (levels == levels[0]).all():
        raise ValueError("the image has one colour throughout: there is nothing to fit")
    x, y = _axis(width), _axis(height)
    coordinates = np.stack([np.tile(x, height), np.repeat(y, width)], axis=1)  # (point, axis)
    return Signal(
        coordinates=coordinates.astype(np.float32),
        values=(2.0 * levels - 1.0).astype(np.float32),
        kind="image",
        shape=(height, width),
    )


def _axis(count: int) -> np.ndarray:
    return np.linspace(-1.0, 1.0, count) if count > 1 else np.zeros(1)


def _levels(pixels: np.ndarray) -> np.ndarray:
    """Pixel values in [0, 1], float64."""
    if pixels.dtype in (np.uint8, np.uint16):
        full_scale = np.iinfo(pixels.dtype).max
        return pixels.astype(np.float64) / full_scale
    if not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(f"pixels must be uint8, uint16 or float, got {pixels.dtype}")
    levels = pixels.astype(np.float64)
    if not np.isfinite(levels).all():
        raise ValueError("pixels must be finite, got NaN or an infinity")
    if levels.min() < 0.0 or levels.max() > 1.0:
        raise ValueError(f"float pixels must lie in [0, 1], got {levels.min():g} to {levels.max():g}")
    return levels
