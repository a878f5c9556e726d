"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["psnr", "psnr_from_mse"]

VALUES_RANGE = 2.0  # signals hold values in [-1, 1]


def psnr_from_mse(mse: float, data_range: float = VALUES_RANGE) -> float:
    """10 log10(data_range^2 / mse) in dB, not clipped: infinite for 0, NaN for NaN, -inf for an infinite error.

    Raises:
        ValueError: a negative mse, or a data_range that is not positive and finite.
    """
    if not (math.isfinite(data_range) and data_range > 0.0):
        raise ValueError(f"data_range must be positive and finite, got {data_range!r}")
    if mse < 0.0:
        raise ValueError(f"mse must not be negative, got {mse!r}")
    if mse == 0.0:
        return math.inf
    return 20.0 * math.log10(data_range) - 10.0 * math.log10(mse)


def psnr(prediction: np.ndarray, target: np.ndarray, data_range: float = VALUES_RANGE) -> float:
    """PSNR in dB over all entries of two arrays of one shape; predictions are not clipped.

    Raises:
        ValueError: shapes that differ, or empty arrays.
    """
    prediction, target = np.asarray(prediction), np.asarray(target)
    if prediction.shape != target.shape or prediction.size == 0:
        raise ValueError(f"prediction {prediction.shape} and target {target.shape} must be of one shape and not empty")
    error = prediction.astype(np.float64) - target.astype(np.float64)
    return psnr_from_mse(float(np.mean(error * error)), data_range)
