"""Processes start without what they can do without, and end when they are asked to."""

from __future__ import annotations

import errno
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvicorn
from sqlalchemy import create_engine
from studies_to_store import queued

import workers.storage  # noqa: F401 -- Embedded loads it while the API starts
from service import embedded
from service.database import make_engine, opened, upgrade
from service.embedded import Child, Embedded
from service.processes import await_database, ending_server
from service.settings import Settings
from service.store import Store
from service.watching import Watchers

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


def test_a_second_signal_amid_the_first_one_does_not_hang_the_api() -> None:
    """The supervisor's pipe and its SIGTERM come at once: the handler is entered anew at every line of its own."""
    server = ending_server(uvicorn.Config("none"), watchers := Watchers(1), threading.Event())

    def again(*_: object) -> object:
        server.handle_exit(signal.SIGTERM, None)
        return again

    def asked() -> None:
        sys.settrace(again)
        server.handle_exit(signal.SIGTERM, None)

    thread = threading.Thread(target=asked, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert server.should_exit
    assert watchers.closing


STUCK = """
import sys, threading
from types import SimpleNamespace
from starlette.applications import Starlette
from starlette.routing import Route
def stuck(_):
    print("asked", flush=True)
    threading.Event().wait()
app = Starlette(routes=[Route("/", stuck)])
app.state.rooms = SimpleNamespace(watchers=SimpleNamespace(closing=False))
sys.modules["service.app"] = SimpleNamespace(create_app=lambda _: app)
from service import processes
from service.settings import Settings
processes.LAST_SECONDS = 0.1
processes.run_api(Settings(drain_seconds=0.1), "127.0.0.1", 0, int(sys.argv[1]))
"""


def test_an_api_whose_thread_is_stuck_ends_at_the_deadline() -> None:
    """Ctrl-C while a request waits for what never comes: the end of the interpreter would wait for its thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", STUCK, str(listener.fileno())]
        with (
            subprocess.Popen(command, cwd=HERE, pass_fds=[listener.fileno()], stdout=subprocess.PIPE) as api,
            socket.create_connection(listener.getsockname()) as asks,
        ):
            asks.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert api.stdout is not None
            assert api.stdout.readline() == b"asked\n"
            api.send_signal(signal.SIGINT)
            try:
                assert api.wait(60) == 1
            finally:
                api.kill()


def test_an_end_that_is_interrupted_ends_every_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while one child is waited for: this one and the others end all the same, and then the Ctrl-C is told."""
    service, settings = Embedded(Settings(data_dir=tmp_path)), Settings(data_dir=tmp_path)
    children = [Child(name, [], settings) for name in ("runner", "dashboard", "api")]
    for child in children:
        child._command = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
        child.start()
        service.children[child.name] = child
    processes = [psutil.Process(child.pid) for child in children]
    wait, waited = subprocess.Popen.wait, []

    def interrupted(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        waited.append(process.pid)
        if len(waited) == 1:
            raise KeyboardInterrupt
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        service.__exit__(None, None, None)
    assert [process.is_running() for process in processes] == [False] * 3
    assert waited[0] == waited[1]


def test_a_restart_that_the_system_refuses_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is left for a child that has ended: the supervisor lives, tries again, and keeps no pipe's end."""
    monkeypatch.setattr(embedded, "PAUSES", (0.0,))
    refused: list[int] = []
    popen = subprocess.Popen

    def refuse(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        if len(refused) < 2:
            refused.append(len(list(Path("/proc/self/fd").iterdir())))
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return popen(*arguments, **options)

    service = Embedded(Settings(data_dir=tmp_path))
    child = service.children["api"] = Child("api", [], Settings(data_dir=tmp_path))
    child._command = [sys.executable, "-S", "-c", "input()"]  # ends at once
    child.start()
    first = child.pid
    monkeypatch.setattr(subprocess, "Popen", refuse)
    supervisor = service._supervisor = threading.Thread(target=service._supervise, daemon=True)
    supervisor.start()
    end = time.monotonic() + 60
    while child.pid == first and supervisor.is_alive():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    assert supervisor.is_alive()
    service.close()
    assert refused[0] == refused[1]


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
def silent_ray() -> Iterator[socket.socket]:
    """Something that takes connections and never says a word, as a dead head may. It listens on every address of this
    machine, for Ray replaces loopback by another one."""
    with socket.create_server(("", 0)) as listener:
        listener.settimeout(120)
        yield listener


def test_the_api_answers_while_ray_is_not_there(
    tmp_path: Path, silent_ray: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """The runner waits for a Ray that does not answer, and nobody waits for the runner: the API serves and is ready.
    The end comes in time all the same: the runner, which hangs in Ray's start, ends itself at its deadline, and what it
    had started of Ray ends with it."""
    address = f"127.0.0.1:{silent_ray.getsockname()[1]}"
    settings = Settings(data_dir=tmp_path, ray_address=address, drain_seconds=0.5)
    with Embedded(settings) as service:
        assert service.children["runner"].ended() is None
        for path in ("/healthz", "/readyz", "/v1/studies"):
            with urllib.request.urlopen(service.url + path, timeout=30) as answer:
                assert answer.status == 200
        runner: Child = service.children["runner"]
        waited_for, _ = silent_ray.accept()  # asked sooner, the runner would end without having to give up
    waited_for.close()
    assert runner.pid is None
    assert "was killed" not in caplog.text
    (line,) = [line for line in runner.last_words().splitlines() if "giving up" in line]
    assert json.loads(line)["level"] == "ERROR"


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
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # whoever made the socket
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
