"""The logs of the whole service on one machine do not fill its disk."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from service.embedded import Child, Embedded
from service.settings import Settings

TALKS = """
import os, time
print("x" * 3000, flush=True)
while os.stat(1).st_size > 1000:
    time.sleep(0.01)
print("and on", flush=True)
time.sleep(600)
"""


def test_a_long_log_is_set_aside_while_its_process_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor keeps one old log of each process, in the place of an older one; the same process writes on."""
    monkeypatch.setattr("service.embedded.LONGEST_LOG", 1000)
    settings = Settings(data_dir=tmp_path)
    service = Embedded(settings)
    child = service.children["api"] = Child("api", [], settings)
    child._command = [sys.executable, "-c", TALKS]
    old = child.log_file.with_name("api.log.1")
    old.parent.mkdir()
    old.write_text("older")
    child.start()
    supervisor = threading.Thread(target=service._supervise)
    supervisor.start()
    try:
        deadline = time.monotonic() + 60
        while child.last_words() != "and on\n":
            assert time.monotonic() < deadline, child.last_words()
            time.sleep(0.01)
        assert child.ended() is None
        assert old.read_text() == "x" * 3000 + "\n"
    finally:
        service.close()
        supervisor.join()
