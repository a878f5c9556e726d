"""A storm of signals sets the event once and for all, and never hangs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.stopping import raised_once, stopped_by_signals

DEAF = """
import ctypes, os, signal, threading
from service.stopping import ended_within, stopped_by_signals
lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(256)
with stopped_by_signals() as stop, ended_within(stop, 0.1):
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    lock(mutex)
    print("deaf", flush=True)
    lock(mutex)
"""
HERE = Path(__file__).parents[2]
STORM = """
import os, signal, threading, time
from service.stopping import stopped_by_signals
with stopped_by_signals() as stop:
    def storm():
        for _ in range(2000):
            os.kill(os.getpid(), signal.SIGTERM)
    storming = threading.Thread(target=storm)
    storming.start()
    looks = 0
    while not stop.wait(0.0001):
        looks += 1
    for _ in range(2000):
        os.kill(os.getpid(), signal.SIGTERM)
        stop.is_set(), stop.wait(0)
    storming.join()  # a signal after the block would end the process as it ends any other
print("ended")
"""


def test_thousands_of_signals_in_a_row_do_not_hang_the_process():
    """Handlers that interrupt each other, and the wait itself, end in a set event."""
    done = subprocess.run([sys.executable, "-c", STORM], cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "ended", done.stderr


def test_a_process_inside_a_call_that_never_returns_ends_at_the_deadline():
    """No handler of Python's ever runs: the main thread waits in the C library for a lock that nobody gives back."""
    done = subprocess.run([sys.executable, "-c", DEAF], cwd=HERE, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (1, "deaf")


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_second_signal_does_not_tear_the_end_of_the_first(number, kind):
    """Ctrl-C or SIGTERM once more, again and again, while the block ends: all of the end is gone through."""
    before, ended = signal.getsignal(number), []

    def torn() -> None:
        try:
            signal.raise_signal(number)
        finally:
            for other in (signal.SIGTERM, signal.SIGINT, number):
                signal.raise_signal(other)
                ended.append(other)

    with pytest.raises(kind), raised_once():
        torn()
    assert len(ended) == 3
    assert signal.getsignal(number) is before


def test_the_former_handlers_come_back():
    """After the block SIGTERM means what it meant before, and what was told of signals is told again."""
    before = signal.getsignal(signal.SIGTERM)
    told, teller = os.pipe()
    os.set_blocking(teller, False)
    wakes = signal.set_wakeup_fd(teller)
    with stopped_by_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(10)
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(wakes) == teller
    os.close(told)
    os.close(teller)
