"""Ends what a Ray node leaves behind when the process that owns it is killed. A program of its own, Linux only.

The kernel ends most of Ray's processes together with their owner. Two agents notice late: they first try for a minute
to report the loss. Usage: ``python ray_reaper.py OWNER_PID DIRECTORY``; the directory is Ray's, and is removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

LOOK_SECONDS = 0.25
LOOKS = 4  # between two lists of what the owner has started
MARKS = (b"/ray/", b"\0ray.scripts.scripts\0")  # of a program in Ray's folders, and of a node's own program


def descendants(root: int) -> list[int]:
    """Process ids of all that ``root`` has started, directly or not, and that live now."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()  # state, parent, ...
            children[int(fields[1])].append(int(entry.name))
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children[waiting.pop()]
        found += below
        waiting += below
    return found


def command_of(pid: int) -> bytes:
    """The command line; empty for a process that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_ray(pid: int) -> bool:
    """Whether this process is one of Ray's (a number may have been given to another process since)."""
    command = command_of(pid)
    return command.startswith(b"ray::") or any(mark in command for mark in MARKS)


def users_of(directory: str) -> list[int]:
    """Processes whose command names the directory, or that have a file in it open: those that came after the last list.

    An agent of Ray's names it until it takes its title, and has its log there open from then on.
    """
    everyone = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid for pid in everyone if directory.encode() in command_of(pid) or _has_open(pid, directory)]


def _has_open(pid: int, directory: str) -> bool:
    with suppress(OSError):  # it has ended, or is another user's
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()).startswith(f"{directory}/"):
                    return True
    return False


def end(pids: Iterable[int]) -> None:
    """Kill those of these processes that are Ray's."""
    for pid in pids:
        if pid != os.getpid() and is_ray(pid):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def main(owner: int, directory: str) -> None:
    """Wait until this process's parent is no longer ``owner``, then kill what is left of Ray."""
    watched: set[int] = set()
    looks = 0
    while os.getppid() == owner:
        if looks % LOOKS == 0:
            watched = {pid for pid in descendants(owner) if is_ray(pid)}
        looks += 1
        time.sleep(LOOK_SECONDS)
    for _ in range(LOOKS * 5):  # who is still dying may write once more, and who has just begun be seen late
        left = {pid for pid in watched | set(users_of(directory)) if pid != os.getpid() and is_ray(pid)}
        end(left)
        shutil.rmtree(directory, ignore_errors=True)
        if not left and not Path(directory).exists():
            return
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
