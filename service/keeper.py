"""Keeps a runner's leases alive while its own loop is busy with one thing for long.

To begin a study of many large signals may take a minute, and so may the pictures of an answer: longer than a lease. A
thread then renews what is held. It decides nothing: a renewal names the lease's number and finds no row once another
runner has the study, of which the loop hears at its own next renewal. A loop that has not come round for
``HUNG_SECONDS`` is taken for hung: nothing is renewed for it any more, and it gives no sign of life.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.store import Store

__all__ = ["Keeper"]

log = logging.getLogger(__name__)
HUNG_SECONDS = 600.0  # ten times what 64 pictures of a megapixel take to begin
JOIN_SECONDS = 5.0  # that an end waits for a renewal under way; one that comes after a release finds no row


class Keeper:
    """For one runner.

    Args:
        store: the studies' home.
        held: the runner's own table of study and lease number, which it goes on changing.
        lease_seconds: as the runner claims and renews; once a third of it has passed the thread renews.
        clock: seconds.

    """

    def __init__(
        self,
        store: Store,
        held: dict[str, int],
        lease_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._held, self._lease_seconds, self._clock = store, held, lease_seconds, clock
        self._renewed = self._came_round = clock()
        self._lost: set[tuple[str, int]] = set()

    def renewed(self) -> None:
        """The loop has just renewed all that it holds."""
        self._renewed = self._clock()

    def came_round(self) -> None:
        """The loop is alive."""
        self._came_round = self._clock()

    @contextmanager
    def watching(self, beat: Callable[[], object]) -> Iterator[None]:
        """While the block runs the thread renews, and calls ``beat`` as long as the loop is not taken for hung."""
        over = threading.Event()

        def watch() -> None:
            while True:
                try:
                    if self._clock() - self._came_round < HUNG_SECONDS:
                        self._renew()
                        beat()
                except Exception:  # the database is away for a moment, or the disk full: the next look tries again
                    log.warning("leases could not be renewed", exc_info=True)
                if over.wait(self._lease_seconds / 6):
                    return

        thread = threading.Thread(target=watch, name="keeper", daemon=True)
        self.came_round()
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(JOIN_SECONDS)

    def _renew(self) -> None:
        now = self._clock()
        if now - self._renewed < self._lease_seconds / 3:
            return
        held = set(self._held.copy().items())
        self._lost &= held
        for study_id, lease in held - self._lost:
            if self._store.renew(study_id, lease, self._lease_seconds) == "lost":
                self._lost.add((study_id, lease))
        self._renewed = now
