"""Reading processes end when they are to, and what they had begun ends with them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from service import reader as reader_module
from service.reader import Reader
from service.reading.contract import Options, RefusedError
from service.settings import Settings

HERE = Path(__file__).parents[2]

READS = """
import os, sys, time
from service.reading import child, kinds
def reads_for_ever(*_):
    print(os.getpid(), file=sys.__stderr__, flush=True)
    while True:
        time.sleep(60)
kinds.read = reads_for_ever
child._shut_in = lambda: None
child._in_a_fork({"options": {}, "limits": {"memory_bytes": 2**31, "seconds": 600, "max_pixels": 1}}, b"any")
"""


def test_no_fork_outlives_the_reading_process() -> None:
    """It is killed amid a file, as its watchdog does: the process that reads the file ends at once."""
    with subprocess.Popen([sys.executable, "-c", READS], cwd=HERE, stderr=subprocess.PIPE) as parent:
        assert parent.stderr is not None
        fork = psutil.Process(int(parent.stderr.readline()))
        assert fork.ppid() == parent.pid
        parent.kill()
    assert psutil.wait_procs([fork], timeout=30)[1] == []


def test_an_end_amid_reading_lets_everybody_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files are being read and two wait: all four are told, and both places are free again."""
    child = tmp_path / "slow.py"
    child.write_text("import time\nwhile True: time.sleep(60)")
    monkeypatch.setattr(reader_module, "CHILD", child)
    reader, told = Reader(Settings(data_dir=tmp_path)), []

    def read() -> None:
        try:
            reader.read(b"any", Options())
        except (RefusedError, RuntimeError) as error:
            told.append(str(error))

    threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 30
    while len(reader._started) < 2:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    reader.close()
    for thread in threads:
        thread.join(30)
    assert len(told) == 4
    assert told.count("the service ends: files are read no more") >= 2
    assert reader._idle.qsize() == 2
    assert reader._started == []
