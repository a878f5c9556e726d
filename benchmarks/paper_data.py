"""Signals for ``benchmarks.paper``: published files where they are at hand, else pictures and a chirp."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from skimage import data, io

from vi3nr.signals import Signal, image_signal

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
RECORDING = SHARED / "audio" / "gt_bach.wav"
PHOTOGRAPHS = ("kodim03", "kodim05", "kodim23")
STAND_INS = ("astronaut", "coffee", "chelsea")  # of scikit-image
SHORT_SIDE = 64  # rows or columns that a picture is averaged down to
SAMPLES = 8192
RATE = 44_100
AUDIO_BEGIN = 88_200  # two seconds into the recording


def names(stored: bool) -> tuple[tuple[str, ...], str]:
    """The pictures and the sound: the published ones where they are at hand or stored results are to be read."""
    here = all(photograph(name).exists() for name in PHOTOGRAPHS) and RECORDING.exists()
    return (PHOTOGRAPHS, "bach") if here or stored else (STAND_INS, "chirp")


def photograph(name: str) -> Path:
    return SHARED / "images" / f"{name}.png"


@lru_cache(maxsize=8)
def signal_of(name: str) -> Signal:
    """A picture, colour, its shorter side averaged down to 64 pixels; or 0.19 s of sound.

    Raises:
        FileNotFoundError: a published file that is not at hand.
    """
    if name in STAND_INS:
        return image_signal(smaller(getattr(data, name)()))
    if name == "chirp":
        return sound_signal(chirp())
    path = RECORDING if name == "bach" else photograph(name)
    if not path.exists():
        raise FileNotFoundError(f"{name} is not stored and {path.name} is not here; --fresh measures stand-ins instead")
    if name == "bach":
        return sound_signal(wavfile.read(path)[1][AUDIO_BEGIN : AUDIO_BEGIN + SAMPLES].astype(np.float64))
    return image_signal(smaller(io.imread(path)))


def smaller(pixels: np.ndarray) -> np.ndarray:
    """Means over square blocks, in [0, 1]; what is left over at the edges is cut off."""
    block = min(pixels.shape[:2]) // SHORT_SIDE
    height, width = (n // block for n in pixels.shape[:2])
    cut = pixels[: height * block, : width * block, :3].astype(np.float64) / 255.0
    means: np.ndarray = cut.reshape(height, block, width, block, 3).mean(axis=(1, 3))
    return means


def chirp() -> np.ndarray:
    """From 100 to 2000 Hz."""
    t = np.arange(SAMPLES) / RATE
    wave: np.ndarray = np.sin(2.0 * np.pi * (100.0 * t + 950.0 * t * t * RATE / SAMPLES))
    return wave


def sound_signal(wave: np.ndarray) -> Signal:
    """Scaled to a peak of 1, over [-1, 1]."""
    values = (wave / np.abs(wave).max())[:, None].astype(np.float32)
    x = np.linspace(-1.0, 1.0, len(wave))[:, None].astype(np.float32)
    return Signal(x, values, "audio", (len(wave),))
