"""Processes start without what they can do without, and end when they are asked to."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from service.database import make_engine, upgrade
from service.embedded import Child, Embedded
from service.processes import await_database
from service.settings import Settings
from service.store import Store

HERE = Path(__file__).parents[2]
HANGS = """
import os, signal, threading
from service.stopping import ended_within, stopped_by_signals
with stopped_by_signals() as stop, ended_within(stop, 0.2):
    os.kill(os.getpid(), signal.SIGTERM)
    stop.wait()
    print("asked", flush=True)
    threading.Event().wait()
"""


def test_a_process_that_hangs_at_its_end_ends_at_the_deadline() -> None:
    """SIGTERM, then nothing moves: after the deadline the process is gone, with status 1."""
    done = subprocess.run([sys.executable, "-c", HANGS], cwd=HERE, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (1, "asked")


def test_a_runner_waits_for_its_database(tmp_path: Path) -> None:
    """Without the schema it waits; once somebody has upgraded the database it goes on; asked to stop it does."""
    engine = make_engine(f"sqlite:///{tmp_path / 'a.db'}")
    stop = threading.Event()
    stop.set()
    assert not await_database(Store(engine), stop)
    stop.clear()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(await_database(Store(engine), stop)))
    waiting.start()
    upgrade(engine)
    waiting.join(60)
    assert answers == [True]
    engine.dispose()


def test_a_server_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """A PostgreSQL that refuses connections is not an error of the runner."""
    away = create_engine(f"postgresql+psycopg://nobody@/none?host={tmp_path}")
    stop = threading.Event()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(await_database(Store(away), stop)))
    waiting.start()
    time.sleep(0.1)
    assert answers == []
    stop.set()
    waiting.join(60)
    assert answers == [False]


@pytest.fixture
def silent_ray() -> str:
    """The address of something that accepts connections and never says a word, as a dead head may."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_the_api_answers_while_ray_is_not_there(tmp_path: Path, silent_ray: str) -> None:
    """The runner waits for a Ray that does not answer; the API serves and is ready. The end comes in time all the
    same: the runner, which hangs in Ray's start, is given its deadline."""
    settings = Settings(data_dir=tmp_path, ray_address=silent_ray, drain_seconds=0.5)
    with Embedded(settings) as service:
        assert service.children["runner"].ended() is None
        for path in ("/healthz", "/readyz", "/v1/studies"):
            with urllib.request.urlopen(service.url + path, timeout=30) as answer:
                assert answer.status == 200
        runner: Child = service.children["runner"]
    assert runner.pid is None
