"""The reading process: run as a file, so that a hostile upload can harm nothing else.

It loads what reading needs once and forks for each file: the fork reads that one file under limits of memory, time
and file size, says what it found through a pipe, and ends. Nothing that a file does to its fork reaches the next one.

Standard input: a line of JSON (options, limits, the number of bytes), then the file's bytes; and so on until it ends.
Standard output, for each: a line with a number of bytes, then as many: a line of JSON, ``{"refused": kind, ...}`` or
what was read, and the arrays one after the other, little-endian.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import resource
import select
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # -I leaves the project's own place out

from service.reading import kinds
from service.reading.contract import Limits, Options, RefusedError

LOST = {"refused": "content", "sentence": "cannot be read within the limits of memory and time"}
CHUNK = 1 << 20
C_LIBRARY, PR_SET_PDEATHSIG = ctypes.CDLL(None), 1  # the second from prctl.h


def main() -> None:
    """Answer until standard input ends."""
    _load()
    while line := sys.stdin.buffer.readline():
        question = json.loads(line)
        data = sys.stdin.buffer.read(question["bytes"])
        answer = _in_a_fork(question, data)
        sys.stdout.buffer.write(b"%d\n" % len(answer) + answer)
        sys.stdout.buffer.flush()
        _load_late()


def _load() -> None:
    """What the forks would otherwise load for each file."""
    for kind in kinds.KINDS:
        kinds.module(kind)


def _load_late() -> None:
    """The same of shapes, half a second that the first file need not wait for."""
    for name in ("trimesh", "vi3nr.shapes"):
        import_module(name)


def _in_a_fork(question: dict[str, Any], data: bytes) -> bytes:
    """The answer of a process that reads this one file, or ``LOST`` if it ends without one."""
    receive, send = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _end_with(parent)
            os.close(receive)
            _shut_in()
            answer = _answer(question, data)
            with os.fdopen(send, "wb") as pipe:
                pipe.write(answer)
        except BaseException:  # there is nobody above to raise to
            os._exit(1)
        os._exit(0)
    os.close(send)
    answer, whole = _receive(receive, time.monotonic() + question["limits"]["seconds"])
    os.close(receive)
    if not whole:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return answer if whole and status == 0 else _packed(LOST, [])


def _receive(source: int, deadline: float) -> tuple[bytes, bool]:
    """All that comes until the other end closes, and whether it closed in time."""
    parts: list[bytes] = []
    while select.select([source], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(source, CHUNK)
        if not part:
            return b"".join(parts), True
        parts.append(part)
    return b"", False


def _end_with(parent: int) -> None:
    """The kernel kills this process as soon as that one has ended, however it does. Linux only."""
    if sys.platform == "linux":
        C_LIBRARY.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended before it was said
            os._exit(1)


def _shut_in() -> None:
    """No way to talk to the service but the pipe."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def _answer(question: dict[str, Any], data: bytes) -> bytes:
    limits = Limits(**question["limits"])
    try:
        _confine(limits)
        reading = kinds.read(data, Options(**question["options"]), limits)
        signal_ = reading.signal
    except RefusedError as refusal:
        refused: dict[str, Any] = {"refused": refusal.kind, "sentence": refusal.sentence, "field": refusal.field}
        return _packed(refused | {"value": refusal.value}, [])
    except MemoryError:
        return _packed({"refused": "size", "sentence": "takes more memory than is allowed"}, [])
    except Exception:  # a decoder's own mistake: the file is refused, and the place of the mistake is told
        place = traceback.format_exc().strip().splitlines()[-3:]
        return _packed({"refused": "content", "sentence": "is damaged", "trace": place}, [])
    arrays = {"coordinates": signal_.coordinates, "values": signal_.values, **signal_.extras}
    header: dict[str, Any] = {
        "kind": signal_.kind,
        "shape": list(signal_.shape),
        "meta": dict(reading.meta),
        "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()],
    }
    return _packed(header, [array.tobytes() for array in arrays.values()])


def _confine(limits: Limits) -> None:
    """No more memory than this beside what the libraries take, no more processor time, no file written."""
    memory = limits.memory_bytes + _mapped()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    seconds = math.ceil(time.process_time() + limits.seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _mapped() -> int:
    """Bytes of address space that are in use now; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _packed(header: dict[str, Any], arrays: list[bytes]) -> bytes:
    return b"".join([json.dumps(header).encode(), b"\n", *arrays])


if __name__ == "__main__":
    main()
