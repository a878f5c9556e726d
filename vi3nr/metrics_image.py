"""Structural similarity of pictures. NumPy and SciPy only."""

from __future__ import annotations

import math

import numpy as np
import scipy  # its parts are loaded when they are first used

from vi3nr.metrics import VALUES_RANGE

__all__ = ["ssim"]

SIGMA, TRUNCATE = 1.5, 3.5  # Wang et al. 2004: an 11 x 11 window of std 1.5 pixels
K1, K2 = 0.01, 0.03  # Wang et al. 2004, section III.B


def ssim(prediction: np.ndarray, target: np.ndarray, data_range: float = VALUES_RANGE) -> float:
    """Mean structural similarity, in [-1, 1]; 1 for equal pictures.

    ``(2 m_p m_t + C1)(2 c_pt + C2) / ((m_p^2 + m_t^2 + C1)(v_p + v_t + C2))`` with means, variances and covariance
    under a Gaussian window of std 1.5 pixels, ``C = (K data_range)^2``; the mean over the pixels whose window lies
    inside the picture, then over the channels.

    Args:
        prediction: ``(height, width)`` or ``(height, width, channels)``; taken as it is, not clipped.
        target: of the same shape.
        data_range: the distance between the darkest and the lightest value.

    Raises:
        ValueError: shapes that differ, or a side shorter than the window's 11 pixels.

    Source:
        Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE TIP 13 (2004).
    """
    first, second = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    radius = int(TRUNCATE * SIGMA + 0.5)
    if first.shape != second.shape or first.ndim not in (2, 3):
        raise ValueError(f"prediction {first.shape} and target {second.shape} must be pictures of one shape")
    if min(first.shape[:2]) < 2 * radius + 1:
        raise ValueError(f"a picture needs {2 * radius + 1} pixels on each side for SSIM, got {first.shape[:2]}")
    if not (math.isfinite(data_range) and data_range > 0.0):
        raise ValueError(f"data_range must be positive and finite, got {data_range!r}")
    if first.ndim == 2:
        first, second = first[..., None], second[..., None]

    def local(values: np.ndarray) -> np.ndarray:
        """The window's mean at each pixel, (height, width, channel)."""
        filtered: np.ndarray = scipy.ndimage.gaussian_filter(values, (SIGMA, SIGMA, 0.0), truncate=TRUNCATE)
        return filtered[radius:-radius, radius:-radius]

    mean_p, mean_t = local(first), local(second)
    variance_p = local(first * first) - mean_p * mean_p
    variance_t = local(second * second) - mean_t * mean_t
    covariance = local(first * second) - mean_p * mean_t
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    above = (2.0 * mean_p * mean_t + c1) * (2.0 * covariance + c2)
    below = (mean_p**2 + mean_t**2 + c1) * (variance_p + variance_t + c2)
    return float(np.mean(above / below))
