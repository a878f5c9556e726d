"""Turns for uploads: reading one waits for a reading process, and must not hold the threads that answer all else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, move_on_after, to_thread

from service.problems import busy

__all__ = ["UPLOADS_BUSY", "Turns"]

T = TypeVar("T")
AT_ONCE = 8  # uploads with a thread; more than there are reading processes, so that none is kept waiting by a long one
PATIENCE = 20.0  # seconds that an upload waits for its turn
UPLOADS_BUSY = "too many uploads are being read"


class Turns:
    """So many threads apart from those of other requests; whoever comes later waits without one."""

    def __init__(self, most: int = AT_ONCE) -> None:
        self._limiter = CapacityLimiter(most)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return self._limiter.statistics().tasks_waiting

    async def take(self, work: Callable[[], T]) -> T:
        """``work()`` in a thread when there is one. Raises Problem: 503 when there is none for too long."""
        turn = object()
        with move_on_after(PATIENCE) as waiting:
            await self._limiter.acquire_on_behalf_of(turn)
        if waiting.cancelled_caught:
            raise busy(UPLOADS_BUSY)
        try:
            return await to_thread.run_sync(work, limiter=CapacityLimiter(1))  # the turn is its place in the queue
        finally:
            self._limiter.release_on_behalf_of(turn)
