"""Answers that never change, kept as they were made while the blobs that they show are there."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from service.blobs import BlobStore

__all__ = ["Answer", "AnswerMemory"]

MOST_BYTES = 32_000_000


@dataclass(frozen=True)
class Answer:
    """What is sent."""

    content: bytes
    headers: Mapping[str, str]


class AnswerMemory:
    """Thread-safe; holds ``most`` bytes, and forgets what was asked for longest ago."""

    def __init__(self, blobs: BlobStore, most: int = MOST_BYTES) -> None:
        self._blobs, self._most = blobs, most
        self._kept: OrderedDict[Hashable, tuple[Answer, tuple[str, ...]]] = OrderedDict()
        self._lock, self._bytes = threading.Lock(), 0

    def get(self, place: Hashable) -> Answer | None:
        """What is kept under a name; None if there is nothing, or a blob that it shows is gone since."""
        with self._lock:
            kept = self._kept.get(place)
            if kept is not None:
                self._kept.move_to_end(place)
        return kept[0] if kept is not None and all(map(self._blobs.has, kept[1])) else None

    def keep(self, place: Hashable, answer: Answer, *blobs: str | None) -> None:
        """Remember an answer that shows these blobs; None and what is not there are left out."""
        shown = tuple(key for key in blobs if key is not None and self._blobs.has(key))
        with self._lock:
            self._forget(place)
            self._kept[place] = answer, shown
            self._bytes += len(answer.content)
            while self._bytes > self._most:
                self._forget(next(iter(self._kept)))

    def _forget(self, place: Hashable) -> None:
        gone = self._kept.pop(place, None)
        self._bytes -= 0 if gone is None else len(gone[0].content)
