"""Clients that wait for a study: long polls, and streams of server-sent events.

Each looks at the database at an even pace, without holding a thread in between. An event is the whole state of a study
and its id is a digest of that, so a client that comes back with the last id it saw misses nothing and gets nothing
twice, whichever API process it meets and however often that was started anew.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import run_in_threadpool

from service.etags import digest
from service.problems import Problem
from service.records import Study
from service.states import FINISHED

__all__ = ["Watchers", "study_events", "wait_for_change"]

KEEPALIVE_SECONDS = 15.0
RETRY_MILLISECONDS = 2000
Look = Callable[[], Study | None]


class Watchers:
    """How many wait, by key; and whether the process wants them to stop."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._count: Counter[str] = Counter()
        self.closing = False  # no event: a signal's handler sets it, perhaps amid another one's, and may take no lock

    @contextmanager
    def counted(self, owner: str) -> Iterator[None]:
        """While the block runs another one waits. Raises Problem: 429 where as many wait as may."""
        with self._lock:
            count = self._count[owner]
            if count < self._most:
                self._count[owner] += 1
        if count >= self._most:
            message = f"the limit is {self._most}, and so many requests of this key wait or stream already"
            raise Problem.of_field("max_watchers", count, message, 429, headers={"Retry-After": "5"}, kind="watchers")
        try:
            yield
        finally:
            with self._lock:
                self._count[owner] -= 1
                if not self._count[owner]:
                    del self._count[owner]


async def wait_for_change(
    look: Look, seen: Callable[[Study], bool], seconds: float, pause: float, watchers: Watchers
) -> Study | None:
    """The study once ``seen`` is false of it or it has ended, or as it stands when time is up; None if it is gone."""
    until = time.monotonic() + seconds
    while True:
        study = await run_in_threadpool(look)
        left = until - time.monotonic()
        if study is None or study.state in FINISHED or not seen(study) or left <= 0 or watchers.closing:
            return study
        await asyncio.sleep(min(pause, left))


async def study_events(
    look: Look, content: Callable[[Study], bytes], last_id: str | None, pause: float, watchers: Watchers
) -> AsyncIterator[bytes]:
    """Server-sent events: the study whenever it has changed, ``event: finished`` at its end, then no more."""
    quiet_since = time.monotonic()
    while not watchers.closing:
        study = await run_in_threadpool(look)
        if study is None:
            yield format_sse_event(event="deleted", data_str="{}")
            return
        body = content(study)
        tag, ended = digest(body), study.state in FINISHED
        if tag != last_id:
            last_id, quiet_since = tag, time.monotonic()
            name = "finished" if ended else "progress"
            yield format_sse_event(event=name, data_str=body.decode(), id=tag, retry=RETRY_MILLISECONDS)
        elif time.monotonic() - quiet_since > KEEPALIVE_SECONDS:
            quiet_since = time.monotonic()
            yield KEEPALIVE_COMMENT
        if ended:
            return
        await asyncio.sleep(pause)
