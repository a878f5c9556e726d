# ruff: noqa: D102 - what the methods do is said once, by the Pool protocol
"""A pool of Ray actors, one per device: a GPU where Ray sees one, else a CPU core with one torch thread."""

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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from vi3nr.ensemble.interface import Progress
from vi3nr.signals import Signal
from workers import ray_reaper
from workers.pool import Device, DeviceLost, Player, PlayerFactory, Turn, TurnDone, by_axis, seat_for

__all__ = ["RayPool", "torch_trainer"]

GPU_SLOTS = 64
LOCAL_OBJECT_STORE = 200 * 2**20  # bytes; signals and member states are small
START_SECONDS = 120.0  # within which a first trainer must answer
REFRESH_SECONDS = 5.0  # how often the cluster is asked whether it has grown


def torch_trainer(kind: str, slots: int, *, gpu_memory: int | None = None) -> Player:
    """The trainer of a device, torch set up for it. For a process that trains and does nothing else."""
    import torch

    from workers.trainer import Trainer

    if kind == "cpu":
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
    return Trainer(kind, slots, gpu_memory)


class _TrainerActor:
    """What runs in the actor's process."""

    def __init__(self, player: PlayerFactory, kind: str, slots: int) -> None:
        self._trainer = player(kind, slots)

    def pid(self) -> int:
        return os.getpid()

    def hold(self, key: str, signal: Signal) -> None:
        self._trainer.hold(key, signal)

    def drop(self, key: str) -> None:
        self._trainer.drop(key)

    def turn(self, turn: Turn) -> tuple[Progress, ...]:
        return self._trainer.turn(turn)


@dataclass
class _Seat:
    """One actor: its device, the first answer that shows that it lives, what it holds and the turn it plays."""

    device: Device
    actor: Any
    alive: Any  # reference to the actor's pid
    pid: int | None = None  # None until it has answered
    held: set[str] = field(default_factory=set)
    turn: Any = None  # reference to the turn's reports


class RayPool:
    """Trainer actors of a Ray cluster.

    Args:
        address: of a running cluster (this machine must be one of its nodes); None starts a local Ray that belongs to
            this process, bound to loopback, with token authentication, and ends with it, even when it is killed.
            Ray reads its settings when it is imported, so a process opens pools of one of the two sorts only.
            Start it in the thread that lives longest: Ray's processes end with the thread that started them.
        gpu_slots: members that a GPU trains at once; a CPU core trains one.
        cpus: cores of a local Ray; None: those that Ray finds (it knows containers).
        player: makes what trains on a device, in the actor's process.

    Raises:
        RuntimeError: this process is connected to a Ray already, or no trainer could be started.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        gpu_slots: int = GPU_SLOTS,
        cpus: int | None = None,
        player: PlayerFactory = torch_trainer,
    ) -> None:
        self._gpu_slots, self._player = gpu_slots, player
        self._signals: dict[str, Any] = {}  # references into Ray's object store, which holds them once per node
        self._seats: dict[str, _Seat] = {}
        self._numbers = 0
        self._directory: Path | None = None
        self._reaper: subprocess.Popen[bytes] | None = None
        self._ray = _import_ray(local=address is None)
        if self._ray.is_initialized():
            raise RuntimeError("this process is connected to a Ray already; close that pool first")
        try:
            with _own_signals():
                self._connect(address, cpus)
            self._kind = "cuda" if self._ray.cluster_resources().get("GPU", 0) >= 1 else "cpu"
            self._refreshed = time.monotonic()
            self._grow()
            self._await_first(everyone=address is None)
        except BaseException:
            self.close()
            raise

    def devices(self) -> list[Device]:
        if time.monotonic() - self._refreshed > REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            self._grow()
        self._welcome()
        return [seat.device for seat in self._seats.values() if seat.pid is not None]

    def pids(self) -> dict[str, int]:
        """The actors' process ids by device, for those that are alive."""
        self._welcome()
        return {name: seat.pid for name, seat in self._seats.items() if seat.pid is not None}

    def publish(self, key: str, signal: Signal) -> None:
        if key not in self._signals:
            self._signals[key] = self._ray.put(by_axis(signal))

    def withdraw(self, key: str) -> None:
        self._signals.pop(key, None)
        for seat in self._seats.values():
            if key in seat.held:
                seat.held.discard(key)
                seat.actor.drop.remote(key)

    def start(self, device_id: str, turn: Turn) -> None:
        seat, missing = seat_for(device_id, turn, self._seats, self._signals)
        for key in missing:
            seat.actor.hold.remote(key, self._signals[key])
            seat.held.add(key)
        seat.turn = seat.actor.turn.remote(turn)

    def wait(self, timeout: float) -> list[TurnDone | DeviceLost]:
        playing = {seat.turn: seat for seat in self._seats.values() if seat.turn is not None}
        waking = [seat.alive for seat in self._seats.values() if seat.pid is None]
        if not playing and not waking:
            if not self._seats:
                time.sleep(timeout)  # no device lives: the caller must not spin until one can be started
            return []
        self._ray.wait([*playing, *waking], num_returns=1, timeout=timeout)
        self._welcome()
        if not playing:
            return []
        ended, _ = self._ray.wait(list(playing), num_returns=len(playing), timeout=0)
        return [self._outcome(playing[reference]) for reference in ended]

    def close(self) -> None:
        if self._ray.is_initialized():
            for seat in self._seats.values():
                self._ray.kill(seat.actor)
            self._ray.shutdown()
        self._seats.clear()
        self._signals.clear()
        if self._reaper is not None:
            self._reaper.kill()
            self._reaper.wait()
            self._reaper = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _connect(self, address: str | None, cpus: int | None) -> None:
        quiet = {"log_to_driver": False, "logging_level": "error"}
        if address is not None:
            self._ray.init(address=address, **quiet)
            return
        # Sockets live in there, and a socket's path may have 107 characters at most.
        place = "/tmp" if Path("/tmp").is_dir() else None
        self._directory = Path(tempfile.mkdtemp(prefix=f"vi3nr-{os.getpid()}-", dir=place))
        self._watch(self._directory)
        self._ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            object_store_memory=LOCAL_OBJECT_STORE,
            _temp_dir=str(self._directory),
            **quiet,
        )

    def _watch(self, directory: Path) -> None:
        """Start the process that ends what is left of a local Ray, should this one be killed, be it while it starts."""
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", ray_reaper.__file__, str(os.getpid()), str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _grow(self) -> None:
        """Start a trainer for every device of the cluster that has none yet."""
        resource = "GPU" if self._kind == "cuda" else "CPU"
        missing = int(self._ray.cluster_resources().get(resource, 0)) - len(self._seats)
        for _ in range(missing):
            self._open()

    def _open(self) -> None:
        slots = self._gpu_slots if self._kind == "cuda" else 1
        device = Device(f"{self._kind}-{self._numbers}", self._kind, slots)
        self._numbers += 1
        needs = {"num_gpus": 1, "num_cpus": 0} if self._kind == "cuda" else {"num_cpus": 1}
        trainer = self._ray.remote(_TrainerActor).options(max_restarts=0, **needs)
        actor = trainer.remote(self._player, self._kind, slots)
        self._seats[device.id] = _Seat(device, actor, actor.pid.remote())

    def _await_first(self, *, everyone: bool) -> None:
        """Block until a trainer lives, or everyone has answered or failed; raise if none lives.

        In a cluster others may hold some of the devices: what answers later joins then.
        """
        references = [seat.alive for seat in self._seats.values()]
        if references:
            self._ray.wait(references, num_returns=len(references) if everyone else 1, timeout=START_SECONDS)
        self._welcome()
        if all(seat.pid is None for seat in self._seats.values()):
            raise RuntimeError("no trainer could be started: the Ray cluster has no device that is free, or all failed")

    def _welcome(self) -> None:
        """Take note of the trainers that have answered for the first time; forget those that failed to start."""
        waking = {seat.alive: seat for seat in self._seats.values() if seat.pid is None}
        if not waking:
            return
        answered, _ = self._ray.wait(list(waking), num_returns=len(waking), timeout=0)
        for reference in answered:
            seat = waking[reference]
            try:
                seat.pid = self._ray.get(reference)
            except self._ray.exceptions.RayError:
                del self._seats[seat.device.id]  # `_grow` tries again, not more often than it looks

    def _outcome(self, seat: _Seat) -> TurnDone | DeviceLost:
        """A turn's reports, or the loss of its device, which is replaced."""
        reference, seat.turn = seat.turn, None
        try:
            return TurnDone(seat.device.id, tuple(self._ray.get(reference)))
        except self._ray.exceptions.RayTaskError as error:
            loss = f"The trainer of {seat.device.id} failed: {error.cause}"
        except self._ray.exceptions.RayError as error:
            loss = f"The trainer of {seat.device.id} died: {_first_line(error)}"
        self._ray.kill(seat.actor)
        del self._seats[seat.device.id]
        self._open()
        return DeviceLost(seat.device.id, loss)


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


def _import_ray(*, local: bool) -> ModuleType:
    """Ray reads these variables when it is imported, hence so late. What the user has set is left alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if local:
        # On every system this is the switch between loopback and a reachable address; the address itself cannot be
        # asked for, since Ray replaces 127.0.0.1.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if local and "RAY_AUTH_MODE" not in os.environ:
        # Without a token of our own, Ray would write one into the home directory, which may be read-only.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", uuid.uuid4().hex + uuid.uuid4().hex)
    import ray

    # The deaths of actors, which `wait` reports, would also be printed to stdout, whatever `log_to_driver` says.
    ray._private.worker._worker_logs_enabled = False
    module: ModuleType = ray
    return module


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
