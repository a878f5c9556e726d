"""The whole service on one machine: API, runner (with a local Ray) and dashboard as supervised child processes.

What ends unexpectedly is started again. When this process ends, in whatever way, the children end too: each holds
the read end of a pipe whose other end is here (service.lifeline).
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from service.binding import check_binding, listen
from service.database import opened, upgrade
from service.lifeline import VARIABLE
from service.own_server import ask
from service.settings import Settings

__all__ = ["Child", "Embedded"]

log = logging.getLogger(__name__)
STOP_SECONDS = 5.0  # beyond the time that the child takes for its own end
PAUSES = (0.0, 1.0, 5.0, 30.0)  # before the first, second, ... restart in a row
LONGEST_LOG = 20_000_000  # bytes; twice that is kept
STEADY_SECONDS = 60.0  # a child that lived so long starts the row anew


class Child:
    """One supervised process of ours: ``python -m service NAME ...``, its output in ``logs/NAME.log``, what is older in
    ``logs/NAME.log.1``.
    """

    def __init__(self, name: str, arguments: list[str], settings: Settings, inherit: tuple[int, ...] = ()) -> None:
        self.name, self._inherit = name, inherit
        self._patience = settings.drain_seconds + STOP_SECONDS
        self._command = [sys.executable, "-m", "service", name, *arguments]
        values = settings.model_dump() | {"data_dir": settings.data_dir.absolute()}
        given = {f"VI3NR_{name.upper()}": str(value) for name, value in values.items() if value is not None}
        self._environment = os.environ | given
        self.log_file = settings.data_dir.absolute() / "logs" / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._started_at, self._restarts = 0.0, 0

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process. Raises OSError where the system has no process, no memory or no disk left for it."""
        self._started_at = time.monotonic()
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        theirs, self._lifeline = os.pipe()
        try:
            with self.log_file.open("ab") as output:
                self._process = subprocess.Popen(
                    self._command,
                    env=self._environment | {VARIABLE: str(theirs)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(theirs, *self._inherit),
                    start_new_session=True,  # Ctrl-C reaches the supervisor alone
                )
        finally:
            os.close(theirs)

    def ended(self) -> int | None:
        """The exit status if the process is gone."""
        return None if self._process is None else self._process.poll()

    def restart(self) -> float:
        """Start again, if the system lets us, and return the pause (seconds) to keep before another one is due."""
        self._cut()
        if time.monotonic() - self._started_at > STEADY_SECONDS:
            self._restarts = 0
        self._restarts += 1
        try:
            self.start()
        except OSError as error:
            log.warning("%s cannot be started now: %s", self.name, error)
        return PAUSES[min(self._restarts, len(PAUSES) - 1)]

    def stop(self) -> None:
        """End the process: asked first, killed after a deadline."""
        self._cut()  # the lifeline's end is a SIGTERM
        if self._process is None:
            return
        try:
            self._process.terminate()
            self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            log.warning("%s did not end within %.0f s and was killed", self.name, self._patience)
            self._process.kill()
            self._process.wait()
        self._process = None

    def trim_log(self) -> None:
        """Set a long log aside, in the place of the one before. The process writes on, to the end of what is left; what
        it says in that very moment may be lost.
        """
        with suppress(OSError):  # it is not there yet
            if self.log_file.stat().st_size > LONGEST_LOG:
                with suppress(OSError):  # the disk is full: all the more reason to go on
                    shutil.copyfile(self.log_file, self.log_file.with_suffix(".log.1"))
                os.truncate(self.log_file, 0)

    def last_words(self) -> str:
        """The end of the log, for an error message."""
        return self.log_file.read_text(errors="replace")[-2000:] if self.log_file.exists() else ""

    def _cut(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


class Embedded:
    """Start all on ``with``, stop all at its end.

    Args:
        settings: where the data lies.
        host: address to listen on; another than loopback is refused while API keys are off.
        port: of the API; 0 takes a free one.
        dashboard_port: of the Optuna dashboard; 0 takes a free one.
    """

    def __init__(self, settings: Settings, host: str = "127.0.0.1", port: int = 0, dashboard_port: int = 0) -> None:
        self._settings, self._host = settings, host
        self._ports = (port, dashboard_port)
        self._listeners: list[socket.socket] = []
        self.children: dict[str, Child] = {}
        self._stop = threading.Event()
        self._supervisor: threading.Thread | None = None
        self.url = self.dashboard_url = ""

    def __enter__(self) -> Embedded:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except BaseException:  # Ctrl-C amid the end
            self.close()
            raise

    def _start(self) -> None:
        check_binding(self._settings, self._host)
        with opened(self._settings.url) as engine:
            upgrade(engine)
        api, dashboard = (self._listen(port) for port in self._ports)
        self.url, self.dashboard_url = (f"http://{_address(listener)}" for listener in (api, dashboard))
        self._begin("api", api)  # it is waited for, and needs none of Optuna's tables
        from workers.storage import open_storage

        open_storage(self._settings.url).engine.dispose()
        self._begin("runner")
        self._await_ready()
        self._begin("dashboard", dashboard)
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._supervisor.start()

    def _begin(self, name: str, listener: socket.socket | None = None) -> None:
        descriptor = () if listener is None else (listener.fileno(),)
        arguments = [] if listener is None else ["--fd", str(listener.fileno())]
        settings = self._settings.model_copy(update={"public_url": self._settings.public_url or self.url})
        self.children[name] = Child(name, arguments, settings, descriptor)
        self.children[name].start()

    def _listen(self, port: int) -> socket.socket:
        listener = listen(self._host, port)
        self._listeners.append(listener)
        return listener

    def _await_ready(self, seconds: float = 60.0) -> None:
        """Until /readyz answers 200."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.children["api"].ended()
            if status is not None:
                raise RuntimeError(f"the API ended with status {status}:\n{self.children['api'].last_words()}")
            try:
                ask(f"{self.url}/readyz", 5.0)
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the API was not ready within {seconds:.0f} s: {error}") from error
                self._stop.wait(0.1)

    def _supervise(self) -> None:
        due: dict[str, float] = {}
        while not self._stop.wait(0.3):
            for name, child in self.children.items():
                child.trim_log()
                status = child.ended()
                if status is None or time.monotonic() < due.get(name, 0.0):
                    continue
                log.warning("%s ended with status %s and is started again", name, status)
                due[name] = time.monotonic() + child.restart()

    def close(self) -> None:
        """Stop the children, the runner first: it gives its studies back."""
        self._stop.set()
        if self._supervisor is not None:
            self._supervisor.join()
            self._supervisor = None
        for name in ("runner", "dashboard", "api"):
            if name in self.children:
                self.children[name].stop()
                del self.children[name]  # only now: an end that is interrupted is gone through again
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def log_dir(self) -> Path:
        """Where the children's output goes."""
        return self._settings.data_dir.absolute() / "logs"


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
