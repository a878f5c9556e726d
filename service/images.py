"""An uploaded image's bytes -> a signal. The decoding happens in a child process under limits of memory and
time.

Allowed: PNG, JPEG, WebP, TIFF; grey or colour; 8 bit, and 16 bit for grey (16-bit colour is read at 8 bits).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.settings import Settings
from vi3nr.signals import Signal, image_signal

__all__ = ["ImageReader", "ReadImage", "UnreadableImageError"]

CHILD = Path(__file__).with_name("image_child.py")
AT_ONCE = 2  # children: each may take the whole limit of memory
GRACE = 5.0  # seconds beyond the limit for the child's own start


class UnreadableImageError(ValueError):
    """The upload will not do. ``kind`` is ``type`` (no image of an allowed format), ``size`` or
    ``content``.
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class ReadImage:
    """The signal, and what was done to the image on the way: sizes are (width, height)."""

    signal: Signal
    original: tuple[int, int]
    size: tuple[int, int]
    channels: int
    notes: tuple[str, ...]


class ImageReader:
    """Reads uploads, a few at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def read(self, data: bytes, max_points: int) -> ReadImage:
        """Decode, make smaller until it has at most ``max_points`` pixels, and make it a signal.

        Raises:
            UnreadableImageError: with a sentence that goes on after the file's name.
        """
        header, pixels = self._ask_child(data, max_points)
        if "refused" in header:
            raise UnreadableImageError(header["refused"], header["sentence"])
        (width, height), channels = header["size"], header["channels"]
        grid = np.frombuffer(pixels, np.dtype(header["type"]).newbyteorder("<")).reshape(height, width, channels)
        try:
            signal = image_signal(grid)
        except ValueError as error:  # one colour throughout
            raise UnreadableImageError("content", str(error)) from None
        return ReadImage(
            signal=signal,
            original=(header["original"][0], header["original"][1]),
            size=(width, height),
            channels=channels,
            notes=tuple(header["notes"]),
        )

    def _ask_child(self, data: bytes, max_points: int) -> tuple[dict[str, Any], bytes]:
        limits = {
            "memory_bytes": self._settings.decode_bytes,
            "seconds": self._settings.decode_seconds,
            "max_pixels": self._settings.max_pixels,
            "max_points": max_points,
        }
        question = json.dumps(limits).encode() + b"\n" + data
        with self._turns:
            try:
                child = subprocess.run(
                    [sys.executable, "-I", "-B", str(CHILD)],
                    input=question,
                    capture_output=True,
                    timeout=self._settings.decode_seconds + GRACE,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise UnreadableImageError("content", "takes too long to read") from None
        if child.returncode != 0:
            raise UnreadableImageError("content", "cannot be read within the limits of memory and time")
        head, _, pixels = child.stdout.partition(b"\n")
        header: dict[str, Any] = json.loads(head)
        return header, pixels
