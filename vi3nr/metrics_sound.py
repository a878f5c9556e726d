"""How well a sound is matched: signal-to-noise ratio and log-spectral distance. NumPy only."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["log_spectral_distance", "snr"]

FRAME, HOP = 2048, 512  # samples; a short sound is one frame
FLOOR = 1e-10  # of a full-scale sine's peak power: what is 100 dB below it is silence


def snr(prediction: np.ndarray, target: np.ndarray) -> float:
    """Signal-to-noise ratio ``10 log10(sum target^2 / sum (prediction - target)^2)`` in dB; infinite without noise.

    Raises:
        ValueError: shapes that differ, or a target without energy.
    """
    first, second = _alike(prediction, target)
    signal, noise = float(np.sum(second * second)), float(np.sum(np.square(first - second)))
    if signal <= 0.0:
        raise ValueError("the target is silent: it has no signal-to-noise ratio")
    if noise == 0.0:
        return math.inf
    return 10.0 * (math.log10(signal) - math.log10(noise)) if math.isfinite(noise) else -math.inf


def log_spectral_distance(prediction: np.ndarray, target: np.ndarray) -> float:
    """Distance of the log power spectra in dB; 0 for equal sounds, about 1 is hard to hear.

    The mean over frames and channels of ``sqrt(mean over frequencies of (10 log10 P - 10 log10 T)^2)``, for frames of
    2048 samples every 512 under a Hann window. Power below -100 dB of full scale counts as that.

    Args:
        prediction: ``(samples,)`` or ``(samples, channels)``, full scale 1.
        target: of the same shape.

    Raises:
        ValueError: shapes that differ, or fewer than two samples.

    Source:
        Gray, Markel, "Distance measures for speech processing", IEEE TASSP 24 (1976).
    """
    first, second = _alike(prediction, target)
    difference = _log_power(first) - _log_power(second)  # (frame, frequency, channel)
    return float(np.mean(np.sqrt(np.mean(np.square(difference), axis=1))))


def _log_power(sound: np.ndarray) -> np.ndarray:
    """Power in dB of full scale, (frame, frequency, channel)."""
    frame = min(FRAME, len(sound))
    window = np.hanning(frame + 1)[:-1]  # periodic
    frames = np.lib.stride_tricks.sliding_window_view(sound, frame, axis=0)[::HOP]  # (frame, channel, sample)
    amplitude = np.abs(np.fft.rfft(frames * window, axis=-1)) * (2.0 / window.sum())
    decibels: np.ndarray = 10.0 * np.log10(np.maximum(np.square(amplitude), FLOOR)).swapaxes(1, 2)
    return decibels


def _alike(prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    if first.shape != second.shape or second.ndim not in (1, 2) or len(second) < 2:
        raise ValueError(f"prediction {first.shape} and target {second.shape} must be sounds of one shape")
    return (first, second) if second.ndim == 2 else (first[:, None], second[:, None])
