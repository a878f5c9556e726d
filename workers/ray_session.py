"""A process's connection to Ray: a local Ray of its own, or a node without devices that it adds to a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from workers import ray_reaper

__all__ = ["OwnNodeLostError", "RaySession"]

OBJECT_STORE = 200 * 2**20  # bytes; signals and member states are small
JOIN_SECONDS = 180.0  # within which this process's node must be one of the cluster's
STOP_SECONDS = 10.0  # that the node may take to end by itself
QUIET = {"log_to_driver": False, "logging_level": "error"}


class OwnNodeLostError(RuntimeError):
    """The node that this process is connected to has died: nothing can be trained through it any more."""


class RaySession:
    """Connected to Ray from construction to ``close``.

    A program of a cluster needs a node beside it, in the same container. It is started here and has no devices, so
    that it takes no work, and the program outlives every node that trains.

    Args:
        address: ``host:port`` of a cluster; None starts a local Ray that belongs to this process, bound to loopback,
            with token authentication. Both end with this process, even when it is killed.
        cpus: cores of a local Ray; None: those that Ray finds (it knows containers).
        node_ip: this machine's address in the cluster; None: the one that Ray finds.

    Raises:
        RuntimeError: this process is connected to a Ray already, or the cluster cannot be joined.
    """

    def __init__(self, address: str | None = None, *, cpus: int | None = None, node_ip: str | None = None) -> None:
        self._node: subprocess.Popen[bytes] | None = None
        self._reaper: subprocess.Popen[bytes] | None = None
        self._lent = _variables(local=address is None)
        os.environ.update(self._lent)
        try:
            self.ray = _import_ray()
            if self.ray.is_initialized():
                raise RuntimeError("this process is connected to a Ray already; close that pool first")
            # Sockets live in there, and a socket's path may have 107 characters at most.
            place = "/tmp" if Path("/tmp").is_dir() else None
            self.directory = Path(tempfile.mkdtemp(prefix=f"vi3nr-{os.getpid()}-", dir=place))
        except BaseException:
            self._take_back()
            raise
        try:
            self._watch()  # first: this process may be killed while Ray starts
            with _own_signals():
                if address is None:
                    self._start_local(cpus)
                else:
                    self._join(address, node_ip)
            self._own: str = self.ray.get_runtime_context().get_node_id()
        except BaseException:
            self.close()
            raise

    def nodes(self) -> list[Mapping[str, Any]]:
        """The cluster's nodes, as Ray lists them.

        Raises:
            OwnNodeLostError: this process's own is dead. Ray mostly ends a program whose node dies, but not always.
        """
        found: list[Mapping[str, Any]] = self.ray.nodes()
        if not any(node["NodeID"] == self._own and node["Alive"] for node in found):
            raise OwnNodeLostError("the Ray node of this process has died; the process has to be started again")
        return found

    def close(self) -> None:
        """Leave the cluster, or end the local Ray; calling it again does nothing."""
        if self.ray.is_initialized():
            self.ray.shutdown()
        if self._node is not None:
            below = ray_reaper.descendants(self._node.pid)
            self._node.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._node.wait(STOP_SECONDS)
            self._node.kill()
            self._node.wait()
            ray_reaper.end(below)
            self._node = None
        if self._reaper is not None:
            self._reaper.kill()
            self._reaper.wait()
            self._reaper = None
        shutil.rmtree(self.directory, ignore_errors=True)
        self._take_back()

    def _take_back(self) -> None:
        """What was set for Ray's processes is not for those that this one starts later: they may join a cluster."""
        for name in self._lent:
            os.environ.pop(name, None)
        self._lent = {}

    def _start_local(self, cpus: int | None) -> None:
        try:
            self.ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE,
                _temp_dir=str(self.directory),
                **QUIET,
            )
        except Exception as error:  # Ray raises bare ones for a node that is not up within its time
            raise RuntimeError(
                f"a local Ray could not be started; is the machine too busy? Ray says: {error}"
            ) from error

    def _join(self, address: str, node_ip: str | None) -> None:
        """Start the node and connect to it: of several nodes on this machine it is the one with our directory.

        A node gives up when its own helpers are not there within seconds, as on a busy machine; then another is tried.
        """
        log = self.directory / "node.log"
        deadline = time.monotonic() + JOIN_SECONDS
        while True:
            if self._node is None or self._node.poll() is not None:
                self._start_node(address, node_ip, log)
            try:
                self._await_socket(deadline)
                self.ray.init(address=address, _temp_dir=str(self.directory), **QUIET)
                return
            except (ConnectionError, RuntimeError, TimeoutError) as error:
                if time.monotonic() < deadline:
                    continue
                words = log.read_text(errors="replace").strip().splitlines()[-1:]
                raise RuntimeError(f"the Ray cluster at {address} cannot be joined: {'; '.join(words)}") from error

    def _start_node(self, address: str, node_ip: str | None, log: Path) -> None:
        options = [f"--address={address}", "--num-cpus=0", "--num-gpus=0", f"--object-store-memory={OBJECT_STORE}"]
        options += ["--include-log-monitor=false"]  # nobody reads other nodes' logs here
        options += [f"--temp-dir={self.directory}", "--block", *([f"--node-ip-address={node_ip}"] if node_ip else [])]
        for session in self.directory.glob("session_*"):
            session.unlink() if session.is_symlink() else shutil.rmtree(session)
        with log.open("wb") as output:
            self._node = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *options],
                # Nothing runs on it that would have to be drained.
                env=os.environ | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _await_socket(self, deadline: float) -> None:
        """Until the node has opened its socket, or has ended."""
        while not any(self.directory.glob("session_2*/sockets/raylet")):
            if self._node is None or self._node.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError("this process's node did not start")
            time.sleep(0.1)

    def _watch(self) -> None:
        """Start the process that ends what is left of Ray, should this one be killed, be it while it starts."""
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", ray_reaper.__file__, str(os.getpid()), str(self.directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # it outlives the terminal that closes over this process, and its Ctrl-C
        )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray's start replaces this process's SIGTERM handler by one that exits on the spot; put ours back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@cache
def _token() -> str:
    """One for the process: Ray keeps the first that it sees."""
    return uuid.uuid4().hex + uuid.uuid4().hex


def _variables(*, local: bool) -> dict[str, str]:
    """What Ray and its processes read from the environment. What the user has set is left alone."""
    # The last one is, on every system, the switch between loopback and a reachable address; the address itself cannot
    # be asked for, since Ray replaces 127.0.0.1. Where it says loopback, Ray refuses to join a cluster.
    wanted = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0" if local else "1",
    }
    if local and "RAY_AUTH_MODE" not in os.environ:
        # Without a token of our own, Ray would write one into the home directory, which may be read-only.
        wanted |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _token()}
    return {name: value for name, value in wanted.items() if name not in os.environ}


def _import_ray() -> ModuleType:
    """Ray reads its variables when it is imported, hence so late."""
    import ray

    # The deaths of actors, which a pool reports, would also be printed to stdout, whatever `log_to_driver` says.
    ray._private.worker._worker_logs_enabled = False
    module: ModuleType = ray
    return module
