"""A storm of signals sets the event once and for all, and never hangs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from service.stopping import stopped_by_signals

HERE = Path(__file__).parents[2]
STORM = """
import os, signal, threading, time
from service.stopping import stopped_by_signals
with stopped_by_signals() as stop:
    def storm():
        for _ in range(2000):
            os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=storm).start()
    looks = 0
    while not stop.wait(0.0001):
        looks += 1
    for _ in range(2000):
        os.kill(os.getpid(), signal.SIGTERM)
        stop.is_set(), stop.wait(0)
print("ended")
"""


def test_thousands_of_signals_in_a_row_do_not_hang_the_process():
    """Handlers that interrupt each other, and the wait itself, end in a set event."""
    done = subprocess.run([sys.executable, "-c", STORM], cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "ended", done.stderr


def test_the_former_handlers_come_back():
    """After the block SIGTERM means what it meant before."""
    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(10)
    assert signal.getsignal(signal.SIGTERM) is before
