"""Signals that ask for an end, as an event.

A handler runs in the middle of whatever the main thread does, perhaps in the middle of this event's own lock, and a
second signal in the middle of the first one's handler: so the handler only puts a token into a queue, which is safe
there, and a thread sets the event.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ended_within", "stopped_by_signals"]

log = logging.getLogger(__name__)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set while the block runs. For the main thread."""
    stop = threading.Event()
    asked: queue.SimpleQueue[None] = queue.SimpleQueue()

    def pass_on() -> None:
        asked.get()
        stop.set()

    threading.Thread(target=pass_on, name="stopping", daemon=True).start()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: asked.put(None)) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        asked.put(None)  # ends the thread


@contextmanager
def ended_within(stop: threading.Event, seconds: float) -> Iterator[None]:
    """Once ``stop`` is set the block has so many seconds: then this process ends where it stands, with status 1.

    For what may hang at an end: a database that is away, a library's own shutdown.
    """
    ended = threading.Event()

    def watch() -> None:
        stop.wait()
        if not ended.wait(seconds):
            log.error("the end took longer than %.0f s: giving up", seconds)
            os._exit(1)

    threading.Thread(target=watch, name="deadline", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
