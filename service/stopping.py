"""Signals that ask for an end, as an event.

Python runs a signal's handler in the main thread, between two of its instructions: never while that thread is inside
a call that does not return, and perhaps in the middle of this event's own lock. So what counts is the byte that the
interpreter itself writes to a pipe as soon as a signal comes; a thread reads it and sets the event.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["ended_within", "process_ends_within", "raised_once", "stopped_by_signals"]

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set while the block runs, whatever the main thread does. For that thread."""
    stop = threading.Event()
    told, teller = os.pipe()
    os.set_blocking(teller, False)

    def pass_on() -> None:
        with os.fdopen(told, "rb", buffering=0) as numbers:
            while number := numbers.read(1):  # until the other end is closed
                if number[0] in SIGNALS:
                    stop.set()

    threading.Thread(target=pass_on, name="stopping", daemon=True).start()
    wakes = signal.set_wakeup_fd(teller, warn_on_full_buffer=False)  # who sends so many has been heard
    before = [signal.signal(number, lambda *_: None) for number in SIGNALS]
    try:
        yield stop
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakes)
        os.close(teller)


@contextmanager
def raised_once() -> Iterator[None]:
    """The first SIGINT or SIGTERM raises KeyboardInterrupt or SystemExit (143) in the block; those that come after it,
    amid the end that it has begun, are not heard. For the main thread.
    """
    asked: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) == 1:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    before = [signal.signal(number, hear) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def ended_within(stop: threading.Event, seconds: float) -> Iterator[None]:
    """Once ``stop`` is set the block has so many seconds: then this process ends where it stands, with status 1.

    For what may hang at an end: a database that is away, a library's own shutdown.
    """
    ended = threading.Event()
    process_ends_within(stop, seconds, ended)
    try:
        yield
    finally:
        ended.set()


def process_ends_within(stop: threading.Event, seconds: float, ended: threading.Event | None = None) -> None:
    """Once ``stop`` is set this process ends within so many seconds, with status 1 if it has not done so by itself;
    unless ``ended`` is set by then.
    """
    over = threading.Event() if ended is None else ended

    def watch() -> None:
        stop.wait()
        if not over.wait(seconds):
            log.error("the end took longer than %.0f s: giving up", seconds)
            os._exit(1)

    threading.Thread(target=watch, name="deadline", daemon=True).start()
