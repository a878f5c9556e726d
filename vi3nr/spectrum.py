"""Where a signal's energy lies in frequency: what the first layer has to see. NumPy and SciPy only."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import numpy as np
import scipy  # its parts are loaded when they are first used

from vi3nr.signals import Signal

__all__ = ["energy_frequency", "spectral_extent"]

_KNOWN: WeakKeyDictionary[Signal, dict[float, float]] = WeakKeyDictionary()  # every family of a study asks the same


def energy_frequency(signal: Signal, fraction: float) -> float:
    """Angular frequency below which ``fraction`` of the signal's energy lies, the mean left out.

    The type-II cosine transform mirrors the signal at its edges, so that a ramp does not count as a jump. Along an
    axis of N samples over a span s of the coordinates (2 for [-1, 1]) its k-th basis function has the angular
    frequency ``pi k (N - 1) / (s N)``; several axes add in squares, channels add their energies.

    Args:
        signal: values on a regular grid, ``signal.shape`` points in row-major order; or a shape, whose grid of signed
            distances is taken.
        fraction: share of the energy, in (0, 1).

    Returns:
        Radians per coordinate unit.

    Raises:
        ValueError: if the fraction is not in (0, 1), or the signal is constant.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction must lie in (0, 1), got {fraction!r}")
    known = _KNOWN.setdefault(signal, {})
    if fraction not in known:
        known[fraction] = _energy_frequency(signal, fraction)
    return known[fraction]


def _energy_frequency(signal: Signal, fraction: float) -> float:
    values = _on_grid(signal)
    grid = values.shape[:-1]
    axes = tuple(range(len(grid)))
    coefficients = scipy.fft.dctn(values - values.mean(axis=axes, keepdims=True), axes=axes, norm="ortho")
    energy = np.square(coefficients).sum(axis=-1).ravel()
    if not energy.sum() > 0.0:
        raise ValueError("a constant signal has no spectrum")
    span = _span(signal)
    steps = [np.pi * np.arange(n) * (n - 1) / (span * n) for n in grid]
    frequency = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*steps, indexing="ij", sparse=True))).ravel()
    order = np.argsort(frequency, kind="stable")
    cumulative = np.cumsum(energy[order])
    return float(frequency[order][np.searchsorted(cumulative, fraction * cumulative[-1])])


def _span(signal: Signal) -> float:
    """How far the grid's coordinates reach, the same on every axis."""
    if "distances" in signal.extras:
        return 2.0
    return float(np.ptp(signal.coordinates, axis=0).max())


def _on_grid(signal: Signal) -> np.ndarray:
    """The values as float64, (*grid, channel)."""
    if "distances" in signal.extras:
        return signal.extras["distances"].astype(np.float64)[..., None]
    return signal.values.astype(np.float64).reshape(*signal.shape, -1)


def spectral_extent(signal: Signal, fraction: float) -> float:
    """Dimensionless: ``energy_frequency`` times the coordinates' root mean square.

    A sine of that frequency along one axis has pre-activations of this std, so it compares directly with
    ``rho_first = sigma_p_first / sigma_a``.
    """
    return energy_frequency(signal, fraction) * math.sqrt(signal.input_second_moment)
