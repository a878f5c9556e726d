"""A child process that must not outlive its parent holds the read end of a pipe: when the parent dies, it
ends.
"""

from __future__ import annotations

import os
import signal
import threading

__all__ = ["VARIABLE", "end_with_parent"]

VARIABLE = "VI3NR_LIFELINE"  # environment: number of the inherited file descriptor


def end_with_parent() -> None:
    """If this process was started with a lifeline, send it SIGTERM when the other end closes, however that
    happens.
    """
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return
    descriptor = int(number)
    os.set_inheritable(descriptor, False)

    def watch() -> None:
        os.read(descriptor, 1)  # returns when the parent's end is closed: nobody ever writes
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
