"""Reads uploads through reading processes (``service.reading.child``), a few at a time."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import queue
import subprocess
import sys
import threading
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from service.problems import busy
from service.reading.contract import Limits, Options, Reading, RefusedError
from service.settings import Settings
from service.turns import UPLOADS_BUSY
from vi3nr.signals import Signal

__all__ = ["Reader"]

CHILD = Path(__file__).parent / "reading" / "child.py"
AT_ONCE = 2  # reading processes: each may take the whole limit of memory
PATIENCE = 20.0  # seconds that a file waits for one of them
GRACE = 15.0  # seconds beyond the limit for a reading process to load
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # and no secret of ours
HEADER_BYTES = 1_000_000
DTYPES = ("<f4", "<i4", "|b1")  # of what a signal consists of
LOST = "cannot be read within the limits of memory and time"
log = logging.getLogger(__name__)


class Reader:
    """Keeps up to ``AT_ONCE`` reading processes, started when they are needed. May be used by many threads."""

    def __init__(self, settings: Settings) -> None:
        self._limits = Limits(settings.decode_bytes, settings.decode_seconds, settings.max_pixels)
        self._idle: queue.LifoQueue[subprocess.Popen[bytes] | None] = queue.LifoQueue()
        for _ in range(AT_ONCE):
            self._idle.put(None)
        self._started: list[subprocess.Popen[bytes]] = []
        self._starting, self._closed = threading.Lock(), False
        self._end = weakref.finalize(self, _end, self._started)

    def read(self, data: bytes, options: Options) -> Reading:
        """The signal that a file holds.

        Raises:
            RefusedError: with a sentence that goes on after the file's or the option's name.
            Problem: 503 when no reading process was free for too long.
        """
        question = {"options": asdict(options), "limits": asdict(self._limits), "bytes": len(data)}
        try:
            child = self._idle.get(timeout=PATIENCE)
        except queue.Empty:
            raise busy(UPLOADS_BUSY) from None
        try:
            child = self._alive(child) or self._start()
            answer = _ask(child, json.dumps(question).encode() + b"\n", data, self._limits.seconds + GRACE)
        finally:
            self._idle.put(self._alive(child))  # whatever comes: somebody may wait for the place
        if answer is None:
            raise RefusedError("content", LOST)
        return _reading(answer)

    def close(self) -> None:
        """End the reading processes, amid what they read. No more files are read."""
        with self._starting:
            self._closed = True
        _end(self._started)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._closed:
                raise RuntimeError("the service ends: files are read no more")
            child = subprocess.Popen(
                [sys.executable, "-I", "-B", str(CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=ENVIRONMENT,
                bufsize=-1,
            )
            self._started.append(child)
            return child

    def _alive(self, child: subprocess.Popen[bytes] | None) -> subprocess.Popen[bytes] | None:
        """The process if it lives; what led to one that has ended is closed."""
        if child is not None and child.poll() is not None:
            _end(self._started, child)
            return None
        return child


def _ask(child: subprocess.Popen[bytes], question: bytes, data: bytes, seconds: float) -> bytes | None:
    """The answer's bytes; None when the process ends or takes too long, after which it has ended."""
    assert child.stdin is not None
    assert child.stdout is not None
    watchdog = threading.Timer(seconds, child.kill)
    watchdog.start()
    try:
        child.stdin.write(question)
        child.stdin.write(data)
        child.stdin.flush()
        answer = _framed(child.stdout)
    except (OSError, ValueError):
        answer = None
    finally:
        watchdog.cancel()
        watchdog.join()
    if answer is None:
        child.kill()
        child.wait()
    return answer


def _framed(source: IO[bytes]) -> bytes | None:
    length = int(source.readline(32))
    answer = source.read(length)
    return answer if len(answer) == length else None


def _reading(answer: bytes) -> Reading:
    """What an answer says. Nothing in it is believed: its parts must fit together."""
    head, _, payload = answer.partition(b"\n")
    try:
        if len(head) > HEADER_BYTES:
            raise ValueError("the header is too long")
        header: dict[str, Any] = json.loads(head)
        if "refused" in header:
            if "trace" in header:
                log.warning("a file was refused where its reader failed: %s", " | ".join(header["trace"]))
            raise RefusedError(header["refused"], header["sentence"], header.get("field", "files"), header.get("value"))
        arrays = _arrays([(name, kind, tuple(shape)) for name, kind, shape in header["arrays"]], payload)
        coordinates, values = arrays.pop("coordinates"), arrays.pop("values")
        return Reading(Signal(coordinates, values, header["kind"], tuple(header["shape"]), arrays), header["meta"])
    except (ValueError, KeyError, TypeError) as error:
        log.error("a reading process gave an answer that cannot be: %s", error)
        raise RefusedError("content", "is damaged") from None


def _arrays(announced: list[tuple[str, str, tuple[int, ...]]], payload: bytes) -> dict[str, np.ndarray]:
    """The arrays by name; they fill the payload to the last byte."""
    found, begin = {}, 0
    for name, kind, shape in announced:
        if kind not in DTYPES or any(n < 0 for n in shape):
            raise ValueError(f"an array of {kind} {shape}")
        count = math.prod(shape)
        found[name] = np.frombuffer(payload, kind, count, begin).reshape(shape).copy()
        begin += found[name].nbytes
    if begin != len(payload):
        raise ValueError(f"arrays of {begin} bytes do not fill {len(payload)} bytes")
    return found


def _end(started: list[subprocess.Popen[bytes]], *only: subprocess.Popen[bytes]) -> None:
    """End these processes, all without ``only``, and close what led to them."""
    for child in list(only or started):
        with contextlib.suppress(ValueError):  # several may end one at once
            started.remove(child)
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not yet written to a process that has ended
                    pipe.close()
