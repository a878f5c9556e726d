"""A signal: coordinates normalised to [-1, 1] and values, as NumPy arrays. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Signal", "image_signal"]


@dataclass(frozen=True)
class Signal:
    """Coordinates ``(points, in_dim)`` in [-1, 1] and values ``(points, out_dim)`` in [-1, 1], both float32.

    ``shape`` is the grid's, e.g. ``(height, width)`` for an image whose points run row by row.
    """

    coordinates: np.ndarray
    values: np.ndarray
    kind: str
    shape: tuple[int, ...]
