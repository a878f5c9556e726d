"""Which metrics a kind of signal is judged by: one table. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from vi3nr.metrics import psnr
from vi3nr.metrics_image import ssim
from vi3nr.metrics_shape import chamfer_distance, intersection_over_union, mean_absolute_distance
from vi3nr.metrics_sound import log_spectral_distance, snr
from vi3nr.signals import Signal

__all__ = ["METRICS", "Metric", "Reconstruction", "metrics_of", "scores"]


@dataclass(frozen=True)
class Reconstruction:
    """What a trained network makes of a signal: what the metrics look at.

    ``values`` are the network's at the signal's coordinates. Of a shape: ``inside`` says of the points of its grid
    (``Signal.extras["inside"]``) whether they lie inside; ``surface`` are points of its extracted surface, none where
    the network has no surface.
    """

    values: np.ndarray
    inside: np.ndarray | None = None
    surface: np.ndarray | None = None


@dataclass(frozen=True)
class Metric:
    """One number about a reconstruction. ``of`` returns None where it says nothing."""

    name: str
    label: str
    unit: str  # "dB", or "" for numbers without one
    higher_is_better: bool
    of: Callable[[Signal, Reconstruction], float | None]


def _psnr(signal: Signal, made: Reconstruction) -> float:
    return psnr(made.values, signal.values)


def _ssim(signal: Signal, made: Reconstruction) -> float | None:
    if min(signal.shape) < 11:
        return None
    grid = (*signal.shape, signal.values.shape[1])
    return ssim(made.values.reshape(grid), signal.values.reshape(grid))


def _snr(signal: Signal, made: Reconstruction) -> float:
    return snr(made.values, signal.values)


def _log_spectral(signal: Signal, made: Reconstruction) -> float:
    return log_spectral_distance(made.values, signal.values)


def _overlap(signal: Signal, made: Reconstruction) -> float | None:
    return None if made.inside is None else intersection_over_union(made.inside, signal.extras["inside"])


def _absolute(signal: Signal, made: Reconstruction) -> float:
    return mean_absolute_distance(made.values, signal.values)


def _chamfer(signal: Signal, made: Reconstruction) -> float | None:
    if made.surface is None or len(made.surface) == 0:
        return None
    return chamfer_distance(made.surface, signal.extras["surface"])


PSNR = Metric("psnr", "PSNR", "dB", True, _psnr)
METRICS: Mapping[str, tuple[Metric, ...]] = {  # the main one of a kind comes first
    "image": (PSNR, Metric("ssim", "SSIM", "", True, _ssim)),
    "sound": (
        Metric("snr", "SNR", "dB", True, _snr),
        PSNR,
        Metric("log_spectral_distance", "log-spectral distance", "dB", False, _log_spectral),
    ),
    "shape": (
        Metric("iou", "IoU", "", True, _overlap),
        Metric("mean_absolute_distance", "mean absolute distance", "", False, _absolute),
        Metric("chamfer", "Chamfer distance", "", False, _chamfer),
    ),
    "array": (PSNR,),
}


def metrics_of(kind: str) -> tuple[Metric, ...]:
    """The metrics of a kind of signal, the main one first.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in METRICS:
        raise ValueError(f"there is no kind of signal {kind!r}; choose one of {', '.join(METRICS)}")
    return METRICS[kind]


def scores(signal: Signal, made: Reconstruction) -> dict[str, float | None]:
    """Every metric of the signal's kind by name; None where one says nothing or is not finite."""
    found = {metric.name: metric.of(signal, made) for metric in metrics_of(signal.kind)}
    return {name: value if value is None or math.isfinite(value) else None for name, value in found.items()}
