"""One signal of each kind for ``benchmarks.signals``: published files where they are at hand, else stand-ins."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import trimesh
from scipy.io import wavfile
from scipy.ndimage import gaussian_filter

from benchmarks.photographs import photograph, photographs
from vi3nr.shapes import shape_signal
from vi3nr.signals import Signal

__all__ = ["SIGNALS", "signal_of"]

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SIGNALS = ("photograph", "bach", "spot", "volume")
SIDE = 80  # of the photograph, pixels
SAMPLES, BEGIN, RATE = 8192, 88_200, 44_100  # 0.19 s of the recording, from its second 2 on
POINTS = 12_288  # of the shape
VOLUME_SIDE = 20


@cache
def signal_of(name: str, *, quick: bool = False) -> Signal:
    """A signal of 6,400 to 12,288 points; of a few hundred with ``quick``."""
    if name == "photograph":
        known = photographs()
        return photograph("kodim23" if "kodim23" in known else known[0], 16 if quick else SIDE)
    if name == "bach":
        wave = _sound(256 if quick else SAMPLES)
        x = np.linspace(-1.0, 1.0, len(wave), dtype=np.float32)[:, None]
        return Signal(x, (wave / np.abs(wave).max())[:, None].astype(np.float32), "sound", (len(wave),))
    if name == "spot":
        return _shape(256 if quick else POINTS)
    return _volume(6 if quick else VOLUME_SIDE)


def _sound(samples: int) -> np.ndarray:
    """Of the recording, or of a chirp."""
    file = SHARED / "audio" / "gt_bach.wav"
    if file.exists():
        return wavfile.read(file)[1][BEGIN : BEGIN + samples].astype(np.float64)
    t = np.arange(samples) / RATE
    wave: np.ndarray = np.sin(2.0 * np.pi * (200.0 * t + 0.5 * 1800.0 * t * t * RATE / samples))
    return wave


def _shape(points: int) -> Signal:
    """Spot the cow, or a torus."""
    file = SHARED / "meshes" / "spot.obj"
    mesh = trimesh.load_mesh(file) if file.exists() else trimesh.creation.torus(0.6, 0.25)
    return shape_signal(np.asarray(mesh.vertices), np.asarray(mesh.faces), points=points)


def _volume(side: int) -> Signal:
    """Noise, smoothed until its parts are about a fifth of the volume wide, with a harder sphere in it."""
    noise = gaussian_filter(np.random.default_rng(0).standard_normal((side,) * 3), side / 12, mode="nearest")
    axis = np.linspace(-1.0, 1.0, side)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    values = noise / np.abs(noise).max() + np.where(np.hypot(np.hypot(x - 0.2, y), z + 0.1) < 0.5, 0.8, 0.0)
    low, high = values.min(), values.max()
    coordinates = np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)
    level = (2.0 * (values - low) / (high - low) - 1.0).reshape(-1, 1).astype(np.float32)
    return Signal(coordinates, level, "array", (side,) * 3)
