"""Signals of each kind for the benchmarks: published files where they are at hand, else stand-ins for some."""

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

__all__ = ["CLIPS", "MESHES", "PICTURES", "SIGNALS", "at_hand", "signal_of"]

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SIGNALS = ("photograph", "bach", "spot", "volume")  # those of ``benchmarks.signals``; without files there are stand-ins
PICTURES = ("rocket", "immunohistochemistry", "retina")  # of scikit-image
CLIPS = {  # file, first second, samples
    "bach": ("gt_bach.wav", 2.0, 8192),
    "bach, long": ("gt_bach.wav", 2.0, 32_768),
    "bach, later": ("gt_bach.wav", 5.0, 8192),
    "speakers": ("gt_twospeakers.wav", 1.0, 8192),
    "speakers, later": ("gt_twospeakers.wav", 2.4, 12_288),
}
MESHES = {"spot": "spot.obj", "bunny": "bunny_libigl.off", "knight": "decimated-knight_libigl.off"}
SIDE = 80  # of a picture, pixels
RATE = 44_100
POINTS = 12_288  # of a shape
VOLUME_SIDE = 20
QUICK_SAMPLES, QUICK_POINTS, QUICK_SIDE, QUICK_VOLUME = 256, 256, 16, 6


def at_hand(name: str) -> bool:
    """Whether it is the signal itself that is here, and no stand-in."""
    file = SHARED / "audio" / CLIPS[name][0] if name in CLIPS else SHARED / "meshes" / MESHES.get(name, ".")
    return file.exists() if name in {**CLIPS, **MESHES} else True


@cache
def signal_of(name: str, *, quick: bool = False) -> Signal:
    """A signal of 6,400 to 32,768 points; of a few hundred with ``quick``.

    Raises:
        FileNotFoundError: for a clip or a mesh that is not at hand and has no stand-in.
    """
    if name == "photograph":
        known = photographs()
        name = "kodim23" if "kodim23" in known else known[0]
    if name in CLIPS:
        return _sound(_clip(name, quick))
    if name in MESHES:
        return _shape(name, QUICK_POINTS if quick else POINTS)
    if name in ("volume", "gyroid"):
        side = QUICK_VOLUME if quick else VOLUME_SIDE
        return _volume(side) if name == "volume" else _gyroid(side)
    return photograph(name, QUICK_SIDE if quick else SIDE)


def _clip(name: str, quick: bool) -> np.ndarray:
    """Of the recording, its channels' mean; without it a chirp stands in for bach."""
    file, second, samples = CLIPS[name]
    samples = QUICK_SAMPLES if quick else samples
    path = SHARED / "audio" / file
    if path.exists() or name != "bach":
        rate, wave = wavfile.read(path)
        begin = round(second * rate)
        mono: np.ndarray = wave.reshape(len(wave), -1).mean(axis=1, dtype=np.float64)[begin : begin + samples]
        return mono
    t = np.arange(samples) / RATE
    chirp: np.ndarray = np.sin(2.0 * np.pi * (200.0 * t + 0.5 * 1800.0 * t * t * RATE / samples))
    return chirp


def _sound(wave: np.ndarray) -> Signal:
    x = np.linspace(-1.0, 1.0, len(wave), dtype=np.float32)[:, None]
    return Signal(x, (wave / np.abs(wave).max())[:, None].astype(np.float32), "sound", (len(wave),))


def _shape(name: str, points: int) -> Signal:
    """A mesh; without it a torus stands in for spot the cow."""
    path = SHARED / "meshes" / MESHES[name]
    known = path.exists() or name != "spot"
    mesh = trimesh.load_mesh(path) if known else trimesh.creation.torus(0.6, 0.25)
    return shape_signal(np.asarray(mesh.vertices), np.asarray(mesh.faces), points=points)


def _volume(side: int) -> Signal:
    """Noise, smoothed until its parts are about a fifth of the volume wide, with a harder sphere in it."""
    noise = gaussian_filter(np.random.default_rng(0).standard_normal((side,) * 3), side / 12, mode="nearest")
    z, y, x = _axes(side)
    values = noise / np.abs(noise).max() + np.where(np.hypot(np.hypot(x - 0.2, y), z + 0.1) < 0.5, 0.8, 0.0)
    low, high = values.min(), values.max()
    return _in_space(2.0 * (values - low) / (high - low) - 1.0)


def _gyroid(side: int) -> Signal:
    """Two and a half periods along each axis, clipped, so that there are edges."""
    z, y, x = (2.5 * np.pi * axis for axis in _axes(side))
    return _in_space(np.clip(np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x), -1.0, 1.0))


def _axes(side: int) -> tuple[np.ndarray, ...]:
    """z, y, x of a cube from -1 to 1."""
    axis = np.linspace(-1.0, 1.0, side)
    return tuple(np.meshgrid(axis, axis, axis, indexing="ij"))


def _in_space(values: np.ndarray) -> Signal:
    z, y, x = _axes(len(values))
    coordinates = np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)
    return Signal(coordinates, values.reshape(-1, 1).astype(np.float32), "array", values.shape)
