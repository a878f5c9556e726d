"""Positional encodings: fixed features of the coordinates in front of a network, for ReLU and its kin. No torch.

A pair of features belongs to each frequency vector b, in half cycles per unit of the coordinates:
``sin(pi b.x)`` and ``cos(pi b.x)``. What they are is plain data in the init config (``vi3nr.config.Encoding``).
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from vi3nr.config import Encoding

__all__ = ["Encoding", "encode", "encoding_frequencies", "features_of"]


def encoding_frequencies(encoding: Encoding) -> np.ndarray:
    """The frequency vectors ``(pair, axis)``, in half cycles per unit: float64 that float32 holds exactly.

    ``fourier``: 2^k along each axis, axis by axis. ``random_fourier``: 2 b with b from N(0, std^2), std in cycles per
    unit, by NumPy's default generator with the encoding's seed.
    """
    if encoding.std is None:
        octaves = 2.0 ** np.arange(encoding.frequencies)  # (k,)
        return np.kron(np.eye(encoding.in_dim), octaves[:, None])  # (axis * k, axis)
    drawn = np.random.default_rng(encoding.seed).normal(0.0, encoding.std, (encoding.frequencies, encoding.in_dim))
    return (2.0 * drawn).astype(np.float32).astype(np.float64)


def encode(encoding: Encoding, coordinates: np.ndarray) -> np.ndarray:
    """The features ``(point, feature)`` of coordinates ``(point, axis)``, computed in float64.

    The coordinates themselves (with ``identity``), then all sines, then all cosines.

    Raises:
        ValueError: coordinates of another shape.
    """
    coordinates = np.asarray(coordinates, dtype=np.float64)
    if coordinates.ndim != 2 or coordinates.shape[1] != encoding.in_dim:
        raise ValueError(f"coordinates must be of shape (points, {encoding.in_dim}), got {coordinates.shape}")
    features: np.ndarray = features_of(coordinates, encoding_frequencies(encoding), encoding.identity, np)
    return features


def features_of(x: Any, frequencies: Any, identity: bool, xp: ModuleType) -> Any:
    """The features of ``x``; both arrays of ``xp``, which is ``numpy`` or ``torch``.

    Whole turns are taken off before the multiplication by pi. That is exact in any floating-point type, so that high
    octaves lose nothing in float32: sin(2^9 pi x) computed as it is written is off by 1e-4. The sum over axes is no
    matrix product, which autocast and TF32 would round to fewer digits than the type has.
    """
    half_cycles = x[..., :1] * frequencies[:, 0]  # (..., pair)
    for axis in range(1, x.shape[-1]):
        half_cycles = half_cycles + x[..., axis : axis + 1] * frequencies[:, axis]
    angle = (half_cycles - 2.0 * xp.round(half_cycles * 0.5)) * math.pi
    parts = [xp.sin(angle), xp.cos(angle)]
    return xp.concatenate([x, *parts] if identity else parts, axis=-1)
