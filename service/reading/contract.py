"""What every kind of file is read with and what comes of it. Shared by the service and its reading process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vi3nr.signals import Signal

__all__ = ["DEFAULT_POINTS", "Limits", "Options", "Reading", "RefusedError"]

DEFAULT_POINTS = 16_384


@dataclass(frozen=True)
class Options:
    """What the uploader asked for; None: not asked. Which options a kind takes is in its module's ``OPTIONS``.

    ``max_points`` a larger signal is made smaller until it fits; for a shape how many points are sampled at most.
    ``crop`` one (start, stop) for each axis, None for an end that stays: pixels of (x, y), seconds of sound, indices
    of an array in the order of its axes. ``coordinate_range`` what the grid's first and last point become.
    ``value_range`` the values that become -1 and 1; what lies outside is clipped. ``axes`` names an array's axes,
    ``array`` one of an archive's. ``sample_rate`` a sound is resampled to, in Hz. ``samples`` points of a shape.
    """

    kind: str | None = None
    max_points: int = DEFAULT_POINTS
    crop: tuple[tuple[float | None, float | None], ...] | None = None
    coordinate_range: tuple[float, float] | None = None
    value_range: tuple[float, float] | None = None
    axes: tuple[str, ...] | None = None
    array: str | None = None
    sample_rate: int | None = None
    samples: int | None = None


@dataclass(frozen=True)
class Limits:
    """What the reading of one file may take."""

    memory_bytes: int
    seconds: float
    max_pixels: int  # of an image before it is made smaller

    @property
    def max_values(self) -> int:
        """Numbers that may be decoded at once: each is held in a few copies of 8 bytes."""
        return self.memory_bytes // 32


@dataclass(frozen=True)
class Reading:
    """The signal, and what was done to the file on the way.

    ``meta`` is JSON data. Every kind has: ``original_size`` and ``size`` (numbers of points along the axes that
    people name first: width, height), ``axes`` (names of the coordinates' columns), ``coordinate_range``,
    ``value_range`` (the file's values that became -1 and 1) and ``notes``, sentences.
    """

    signal: Signal
    meta: Mapping[str, Any] = field(default_factory=dict)


class RefusedError(Exception):
    """The file, or an option for it, will not do.

    ``kind``: ``type`` (not a file of a known kind), ``size`` (takes too much) or ``content``. ``field``: what to
    change; the sentence goes on after its name.
    """

    def __init__(self, kind: str, sentence: str, field: str = "files", value: object = None) -> None:
        super().__init__(sentence)
        self.kind, self.sentence, self.field, self.value = kind, sentence, field, value
