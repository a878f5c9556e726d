"""A pool that is watched: how long its turns take, how many slots are taken, how many trainers were lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from vi3nr.signals import Signal
from workers.pool import Device, DeviceLost, Pool, Turn, TurnDone

__all__ = ["BOUNDS", "MeasuredPool"]

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds of a turn, upper ends of a histogram's bars


class MeasuredPool:
    """Any pool, and the same pool for the engine. Counters grow for as long as the process lives."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._began: dict[str, float] = {}
        self._taken: dict[str, int] = {}
        self._lost = 0
        self._bars = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def devices(self) -> list[Device]:
        """As the pool's."""
        return self._pool.devices()

    def publish(self, key: str, signal: Signal) -> None:
        """As the pool's."""
        self._pool.publish(key, signal)

    def withdraw(self, key: str) -> None:
        """As the pool's."""
        self._pool.withdraw(key)

    def start(self, device_id: str, turn: Turn) -> None:
        """As the pool's; the clock of the turn runs."""
        self._pool.start(device_id, turn)
        self._began[device_id] = time.monotonic()
        self._taken[device_id] = max(0, self._taken.get(device_id, 0) - len(turn.evict)) + len(turn.admit)

    def wait(self, timeout: float) -> list[TurnDone | DeviceLost]:
        """As the pool's; turns that have ended are counted."""
        ended = self._pool.wait(timeout)
        for done in ended:
            began = self._began.pop(done.device_id, None)
            if isinstance(done, DeviceLost):
                self._taken.pop(done.device_id, None)
                self._lost += 1
                continue
            self._taken[done.device_id] = sum(not progress.finished for progress in done.progress)
            if began is not None:
                self._count(time.monotonic() - began)
        return ended

    def close(self) -> None:
        """As the pool's."""
        self._pool.close()

    def figures(self) -> dict[str, Any]:
        """What was counted, as JSON data: ``segments`` has the turns in each bar of ``BOUNDS`` and above."""
        devices: Sequence[Device] = self._pool.devices()
        alive = {device.id for device in devices}
        return {
            "slots": sum(device.slots for device in devices),
            "slots_in_use": sum(count for device_id, count in self._taken.items() if device_id in alive),
            "devices_lost": self._lost,
            "segments": list(self._bars),
            "segment_seconds": self._seconds,
        }

    def _count(self, seconds: float) -> None:
        place = next((place for place, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
        self._bars[place] += 1
        self._seconds += seconds
