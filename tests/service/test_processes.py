"""Processes start without what they can do without, and end when they are asked to."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine
from studies_to_store import queued

import workers.storage  # noqa: F401 -- Embedded loads it while the API starts
from service.database import make_engine, opened, upgrade
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


def test_the_api_answers_while_ray_is_not_there(
    tmp_path: Path, silent_ray: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The runner waits for a Ray that does not answer; the API serves and is ready, and once it serves nothing is
    waited for any more. The end comes in time all the same: the runner, which hangs in Ray's start, ends itself at its
    deadline."""
    settings = Settings(data_dir=tmp_path, ray_address=silent_ray, drain_seconds=0.5)
    began = datetime.now(UTC)
    with Embedded(settings) as service:
        started, up = datetime.now(UTC), service_began(service.log_dir() / "api.log")
        assert started - up < up - began, "both take as much longer where others compute"
        assert service.children["runner"].ended() is None
        for path in ("/healthz", "/readyz", "/v1/studies"):
            with urllib.request.urlopen(service.url + path, timeout=30) as answer:
                assert answer.status == 200
        runner: Child = service.children["runner"]
    assert runner.pid is None
    assert "was killed" not in caplog.text
    (line,) = [line for line in runner.last_words().splitlines() if "giving up" in line]
    assert json.loads(line)["level"] == "ERROR"


def service_began(log: Path) -> datetime:
    """When the API said so; its log is a file, so every line is JSON."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return next(datetime.fromisoformat(line["time"]) for line in lines if "startup complete" in line["message"])


def test_the_api_ends_streams_at_once_and_other_requests_at_the_deadline(tmp_path: Path, upgraded: Path) -> None:
    """SIGTERM while a client follows a study and another one never sends the rest of its upload: the stream ends as
    streams do, and the process with them."""
    settings = Settings(data_dir=tmp_path, drain_seconds=1.0)
    shutil.copy(upgraded, tmp_path / "vi3nr.db")
    with opened(settings.url) as engine, socket.create_server(("127.0.0.1", 0)) as listener:
        study_id = queued(Store(engine))
        api = Child("api", ["--fd", str(listener.fileno())], settings, (listener.fileno(),))
        api.start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        stream, upload = (http.client.HTTPConnection(host, timeout=120) for _ in range(2))
        stream.request("GET", f"/v1/studies/{study_id}/events")
        events = stream.getresponse()
        assert events.getheader("server") is None
        assert events.readline() == b"event: progress\n"
        upload.putrequest("POST", "/v1/datasets")
        upload.putheader("Content-Type", "multipart/form-data; boundary=x")
        upload.putheader("Content-Length", "1000")
        upload.endheaders(b"--x\r\n")  # what is no form is answered at once
        assert api.pid is not None
        psutil.Process(api.pid).terminate()
        events.read()  # raises IncompleteRead where it is cut off
        deadline = time.monotonic() + 120
        while api.ended() is None:
            assert time.monotonic() < deadline, "the upload holds it up"
            time.sleep(0.02)
        for connection in (stream, upload):
            connection.close()
        api.stop()
    said = [json.loads(line) for line in api.log_file.read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, said))
