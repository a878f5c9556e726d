"""How many requests a key may make: a bucket a key that fills at an even rate and holds a few seconds' worth.

Each API process counts for itself: behind several of them a key may ask as often at each.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

__all__ = ["RateLimit"]

BURST_SECONDS = 10.0  # of the rate, that may come at once


class RateLimit:
    """Thread-safe. ``clock`` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # key -> (tokens, when)

    def wait(self, key: str, per_minute: int) -> int:
        """0 if this request may pass (it is counted then), else the whole seconds after which one may."""
        rate = per_minute / 60.0
        size = max(1.0, rate * BURST_SECONDS)
        with self._lock:
            now = self._clock()
            tokens, before = self._buckets.get(key, (size, now))
            tokens = min(size, tokens + (now - before) * rate)
            allowed = tokens >= 1.0
            self._buckets[key] = (tokens - 1.0 if allowed else tokens, now)
        return 0 if allowed else max(1, math.ceil((1.0 - tokens) / rate))
