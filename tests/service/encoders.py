"""Files made by real encoders, in memory, and where the published ones lie."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import soundfile

__all__ = ["REAL", "a_tone", "a_volume", "deep_png", "npy", "npz", "sound"]

REAL = Path(__file__).parents[3] / "shared" / "data"  # not part of the project: tests have a twin without it
FILTERS = 5
COLOUR_TYPES = {2: 4, 3: 2, 4: 6}  # by channels


def a_tone(samples: int = 3000, rate: int = 8000, channels: int = 1) -> np.ndarray:
    """A chirp ``(samples, channels)``; each channel begins later."""
    t = np.arange(samples)[:, None] / rate - np.arange(channels) * 0.01
    tone: np.ndarray = 0.5 * np.sin(2 * np.pi * (200 * t + 900 * t * t))
    return tone


def sound(samples: np.ndarray, kind: str = "WAV", rate: int = 8000, subtype: str | None = None) -> bytes:
    """Encoded by libsndfile: WAV, FLAC or OGG."""
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format=kind, subtype=subtype)
    return target.getvalue()


def a_volume(shape: tuple[int, ...] = (6, 8, 10)) -> np.ndarray:
    """A smooth array."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    volume: np.ndarray = np.exp(-np.sum(np.square(axes), axis=0)) * 3 + 2 + axes[-1]
    return volume


def npy(array: np.ndarray) -> bytes:
    """Encoded by NumPy."""
    target = io.BytesIO()
    np.save(target, array)
    return target.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    """Encoded by NumPy, compressed."""
    target = io.BytesIO()
    np.savez_compressed(target, **arrays)
    return target.getvalue()


def deep_png(pixels: np.ndarray) -> bytes:
    """uint16 ``(height, width, channels)`` as a PNG whose rows use every filter in turn: Pillow writes no such file."""
    height, width, channels = pixels.shape
    rows = np.frombuffer(pixels.astype(">u2").tobytes(), np.uint8).reshape(height, -1).astype(int)
    pixel, above, coded = 2 * channels, np.zeros(rows.shape[1], int), []
    for index, row in enumerate(rows):
        left = np.concatenate([np.zeros(pixel, int), row[:-pixel]])
        corner = np.concatenate([np.zeros(pixel, int), above[:-pixel]])
        guess = left + above - corner
        near = [abs(guess - left), abs(guess - above), abs(guess - corner)]
        paeth = np.choose(np.argmin(near, axis=0), [left, above, corner])
        prediction = [np.zeros_like(row), left, above, (left + above) // 2, paeth][index % FILTERS]
        coded += [bytes([index % FILTERS]), ((row - prediction) % 256).astype(np.uint8).tobytes()]
        above = row
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(coded))), (b"IEND", b"")]
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)
