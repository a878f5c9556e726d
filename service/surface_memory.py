"""What searches have learned, kept as long as it is true: to fit a surface takes up to seconds.

One thread fits, one surface after the other, so that others can be answered meanwhile; of those that wait for it there
are so many and no more, for each holds one of the threads that answer. An ended study is fitted once;
of a running one the last surface is answered, and a newer one begun when it has grown old.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from service.problems import busy
from service.records import Study
from service.states import FINISHED
from service.surfaces import Learned, Learning

__all__ = ["SurfaceMemory"]

MOST_KEPT = 32  # of families; each has up to ``trial_records.MOST_OBSERVED`` trials
MOST_WAITING = 16  # of the 40 threads that answer
OLD_SECONDS = 5.0
OLD_TIMES = 20.0  # as long as the fit took, at least: a twentieth of a core is spent on a study that is watched
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Kept:
    learned: Learned
    ended: bool  # the study had: nothing will be added
    stale_at: float


class SurfaceMemory:
    """Thread-safe. ``learning`` fits; ``close`` ends the thread that does."""

    def __init__(self, learning: Learning) -> None:
        self._learning, self._lock = learning, threading.Lock()
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._under_way: dict[tuple[str, str, bool], Future[Learned]] = {}
        self._fitting = ThreadPoolExecutor(1, "surfaces")
        self._turns = threading.Semaphore(MOST_WAITING)

    def of(self, study: Study, family: str) -> Learned:
        """Of an ended study all that there is; of a running one what was learned lately.

        Raises Problem: 503 where too many wait for a fit.
        """
        ended = study.state in FINISHED
        with self._lock:
            kept = self._kept.get((study.id, family))
            if kept is not None:
                self._kept.move_to_end((study.id, family))
            enough = kept is not None and kept.ended >= ended
            if kept is not None and enough and (kept.ended or time.monotonic() < kept.stale_at):
                return kept.learned
            if not enough and not self._turns.acquire(blocking=False):
                raise busy("too many surfaces are being fitted")
            fit = self._begin(study, family, ended)
        if kept is not None and enough:
            return kept.learned
        try:
            return fit.result()
        finally:
            self._turns.release()

    def close(self) -> None:
        """Begin no fit any more."""
        self._fitting.shutdown(wait=False, cancel_futures=True)

    def _begin(self, study: Study, family: str, ended: bool) -> Future[Learned]:
        key = (study.id, family, ended)
        if key not in self._under_way:
            self._under_way[key] = self._fitting.submit(self._fit, study, family, ended)
        return self._under_way[key]

    def _fit(self, study: Study, family: str, ended: bool) -> Learned:
        began = time.monotonic()
        try:
            learned = self._learning(study, family)
        except Exception:
            log.warning("the surface of study %s, %s, cannot be fitted now", study.id, family)
            with self._lock:
                del self._under_way[study.id, family, ended]
            raise
        now = time.monotonic()
        with self._lock:
            stale_at = now + max(OLD_SECONDS, OLD_TIMES * (now - began))
            self._kept[study.id, family] = _Kept(learned, ended, stale_at)
            self._kept.move_to_end((study.id, family))
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            del self._under_way[study.id, family, ended]
        return learned
