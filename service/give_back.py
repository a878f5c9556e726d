"""A network's values as a file of the signal's own kind: a picture beside the original, sound, an array, a mesh.

Values are in [-1, 1] as networks are trained; files hold the upload's own units, by its ``value_range``.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.surface_mesh import ply, shaded
from vi3nr.grids import to_values
from vi3nr.signals import Signal, to_levels
from workers.marching import surface_of

__all__ = ["FORMATS", "Format", "Made", "NothingToShowError"]

GAP = 4  # columns of white between two pictures
FULL_SCALE = 32_767  # of 16-bit sound
RATE = 44_100  # Hz, of sound whose own is not known


class NothingToShowError(Exception):
    """There is no such file of this network; the sentence says why."""


@dataclass(frozen=True)
class Made:
    """What is given back: values ``(*grid, channels)`` beside the original ones, both in [-1, 1], at every
    ``stride``-th point of each axis; the dataset's ``meta`` of the signal. Of a shape: ``distances`` on its grid of
    equal sides, and the true ``mesh``, vertices and faces.
    """

    original: np.ndarray
    values: np.ndarray
    meta: Mapping[str, Any]
    stride: int = 1
    distances: np.ndarray | None = None
    mesh: tuple[np.ndarray, np.ndarray] | None = None

    @staticmethod
    def of(
        signal: Signal, values: np.ndarray, stride: int, meta: Mapping[str, Any], distances: np.ndarray | None = None
    ) -> Made:
        """From values at every ``stride``-th point of each axis of the signal's grid, in its order."""
        grid = signal.values.reshape(*signal.shape, -1)
        original = grid[tuple(slice(None, None, stride) for _ in signal.shape)]
        extras = signal.extras
        mesh = (extras["vertices"], extras["faces"]) if "vertices" in extras else None
        return Made(original, np.asarray(values).reshape(original.shape), meta, stride, distances, mesh)

    @property
    def surface(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Vertices and faces where the network's distance is 0, in the signal's coordinates; None where it is nowhere.

        Raises NothingToShowError where the distances were not kept.
        """
        if self.distances is None:
            raise NothingToShowError("the network is too large: its surface was not extracted")
        return surface_of(self.distances)

    def in_units(self, values: np.ndarray) -> np.ndarray:
        """Values in the units of the upload."""
        low, high = self.meta.get("value_range", (0.0, 1.0))
        return to_values(values, (low, high))


@dataclass(frozen=True)
class Format:
    """One form of file: what it is called, and how it is made."""

    media_type: str
    suffix: str
    write: Callable[[Made], bytes]


def picture(made: Made) -> bytes:
    """A PNG: the original to the left, the network's to the right, in the upload's own levels."""
    original, values = (2.0 * made.in_units(grid) - 1.0 for grid in (made.original, made.values))
    return _png(original, values)


def slice_picture(made: Made) -> bytes:
    """A PNG of the two last axes of the grid, cut in the middle of the others; channels but 1 or 3: their mean."""
    original, values = (_middle(grid) for grid in (made.original, made.values))
    return _png(original, values)


def sound(made: Made) -> bytes:
    """A WAV of 16 bits at the upload's rate. Sound beyond full scale is turned down as a whole."""
    low, high = made.meta.get("value_range", (-1.0, 1.0))
    amplitudes = made.in_units(made.values) / max(1.0, abs(low), abs(high))
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(amplitudes.shape[-1])
        file.setsampwidth(2)
        file.setframerate(max(1, round((made.meta.get("sample_rate") or RATE) / made.stride)))
        file.writeframes(np.rint(np.clip(amplitudes, -1.0, 1.0) * FULL_SCALE).astype("<i2").tobytes())
    return target.getvalue()


def array(made: Made) -> bytes:
    """An NPY of float32, ``(*grid, channels)``; one channel has no axis of its own."""
    values = made.in_units(made.values).astype(np.float32)
    target = io.BytesIO()
    np.save(target, values[..., 0] if values.shape[-1] == 1 else values, allow_pickle=False)
    return target.getvalue()


def mesh(made: Made) -> bytes:
    """A PLY of the network's surface by marching cubes, in the place and the units of the upload."""
    surface = made.surface
    if surface is None:
        raise NothingToShowError("the network has no surface: its signed distance is 0 nowhere on the grid")
    vertices, faces = surface
    _, unit = made.meta.get("value_range", (-1.0, 1.0))
    return ply(vertices * unit + np.asarray(made.meta.get("middle", (0.0, 0.0, 0.0))), faces)


def mesh_picture(made: Made) -> bytes:
    """A PNG: the true surface to the left, the network's to the right, white where it has none; both lit alike."""
    surface = made.surface
    if made.mesh is None:
        raise NothingToShowError("the original mesh is not kept with this dataset; upload the file again")
    true = shaded(*made.mesh)
    return _pixels_png(true, np.full_like(true, 255) if surface is None else shaded(*surface))


def _middle(grid: np.ndarray) -> np.ndarray:
    """``(rows, columns, channels)`` out of the middle of a grid of any number of axes."""
    while grid.ndim > 3:
        grid = grid[len(grid) // 2]
    rows = grid[None] if grid.ndim == 2 else grid  # one axis is one row
    return rows if rows.shape[-1] in (1, 3) else rows.mean(axis=-1, keepdims=True)


def _png(*grids: np.ndarray) -> bytes:
    """Grids ``(rows, columns, channels)`` in [-1, 1] side by side."""
    return _pixels_png(*(to_levels(grid[..., 0] if grid.shape[2] == 1 else grid) for grid in grids))


def _pixels_png(left: np.ndarray, right: np.ndarray) -> bytes:
    from PIL import Image

    gap = np.full((len(left), GAP, *left.shape[2:]), 255, np.uint8)
    target = io.BytesIO()
    Image.fromarray(np.concatenate([left, gap, right], axis=1)).save(target, "PNG", compress_level=3)
    return target.getvalue()


NPY = Format("application/octet-stream", "npy", array)
FORMATS: Mapping[str, Mapping[str, Format]] = {  # by kind of signal and name; the first is what a person looks at
    "image": {"png": Format("image/png", "png", picture), "npy": NPY},
    "sound": {"wav": Format("audio/wav", "wav", sound), "npy": NPY},
    "array": {"png": Format("image/png", "png", slice_picture), "npy": NPY},
    "shape": {"png": Format("image/png", "png", mesh_picture), "ply": Format("model/ply", "ply", mesh)},
}
