# ruff: noqa: D102 - what the methods do is said once, by the Pool protocol
"""A pool of Ray actors, one per device: the GPUs of a node that has some, else its CPU cores, one torch thread each."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vi3nr.ensemble.interface import Progress
from vi3nr.signals import Signal
from workers.hardware import model_of
from workers.pool import Device, DeviceLost, Player, PlayerFactory, Turn, TurnDone, by_axis, seat_for
from workers.ray_session import RaySession

__all__ = ["RayPool", "devices_of", "torch_trainer"]

GPU_SLOTS = 64
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
        self._kind, self._trainer = kind, player(kind, slots)

    def who(self) -> tuple[int, str]:
        """Its process id, and what its device is called."""
        return os.getpid(), model_of(self._kind)

    def hold(self, key: str, signal: Signal) -> None:
        self._trainer.hold(key, signal)

    def drop(self, key: str) -> None:
        self._trainer.drop(key)

    def turn(self, turn: Turn) -> tuple[Progress, ...]:
        return self._trainer.turn(turn)


@dataclass
class _Seat:
    """One actor: its device and node, the first answer that shows that it lives, what it holds, the turn it plays."""

    device: Device
    node: str
    actor: Any
    alive: Any  # reference to who the actor is
    pid: int | None = None  # None until it has answered
    held: set[str] = field(default_factory=set)
    turn: Any = None  # reference to the turn's reports


class RayPool:
    """Trainer actors of a Ray cluster.

    Args:
        address: ``host:port`` of a running cluster, whose nodes may come and go; None starts a local Ray
            (workers.ray_session). Ray reads its settings when it is imported, so a process opens pools of one of the
            two sorts only. Start it in the thread that lives longest: Ray's processes end with the thread that started
            them.
        gpu_slots: members that a GPU trains at once; a CPU core trains one.
        cpus: cores of a local Ray; None: those that Ray finds (it knows containers).
        node_ip: this machine's address in the cluster; None: the one that Ray finds.
        player: makes what trains on a device, in the actor's process.

    Raises:
        RuntimeError: this process is connected to a Ray already, the cluster cannot be joined, or no trainer could be
            started in a local Ray.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        gpu_slots: int = GPU_SLOTS,
        cpus: int | None = None,
        node_ip: str | None = None,
        player: PlayerFactory = torch_trainer,
    ) -> None:
        self._gpu_slots, self._player = gpu_slots, player
        self._signals: dict[str, Any] = {}  # references into Ray's object store, which holds them once per node
        self._seats: dict[str, _Seat] = {}
        self._numbers = 0
        self._session = RaySession(address, cpus=cpus, node_ip=node_ip)
        self._ray = self._session.ray
        try:
            self._refreshed = time.monotonic()
            self._grow()
            if address is None:
                self._await_all()
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
        self._seats.clear()
        self._signals.clear()
        self._session.close()

    def _grow(self) -> None:
        """Start a trainer for every device that has none yet, and let go of those whose node is gone."""
        places = devices_of(self._session.nodes())
        for seat in list(self._seats.values()):
            if seat.node not in places and seat.turn is None:
                del self._seats[seat.device.id]
        for node, (kind, count) in places.items():
            for _ in range(count - sum(seat.node == node for seat in self._seats.values())):
                self._open(node, kind)

    def _open(self, node: str, kind: str) -> None:
        device = Device(f"{kind}-{self._numbers}", kind, self._gpu_slots if kind == "cuda" else 1)
        self._numbers += 1
        needs = {"num_gpus": 1, "num_cpus": 0} if kind == "cuda" else {"num_cpus": 1}
        there = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        trainer = self._ray.remote(_TrainerActor).options(max_restarts=0, scheduling_strategy=there, **needs)
        actor = trainer.remote(self._player, kind, device.slots)
        self._seats[device.id] = _Seat(device, node, actor, actor.who.remote())

    def _await_all(self) -> None:
        """Block until every trainer has answered or failed; raise if none lives. For a local Ray.

        In a cluster others may hold some of the devices, or there may be none yet: what answers later joins then.
        """
        references = [seat.alive for seat in self._seats.values()]
        if references:
            self._ray.wait(references, num_returns=len(references), timeout=START_SECONDS)
        self._welcome()
        if all(seat.pid is None for seat in self._seats.values()):
            raise RuntimeError("no trainer could be started: the local Ray has no device that is free, or all failed")

    def _welcome(self) -> None:
        """Take note of the trainers that have answered for the first time; forget those that failed to start."""
        waking = {seat.alive: seat for seat in self._seats.values() if seat.pid is None}
        if not waking:
            return
        answered, _ = self._ray.wait(list(waking), num_returns=len(waking), timeout=0)
        for reference in answered:
            seat = waking[reference]
            try:
                seat.pid, model = self._ray.get(reference)
                seat.device = replace(seat.device, model=model)
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
        self._grow()
        return DeviceLost(seat.device.id, loss)


def devices_of(nodes: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
    """What each living node trains on, by its id: its GPUs if it has any, else its CPU cores, and how many.

    Args:
        nodes: as ``ray.nodes()`` lists them.
    """
    alive = {node["NodeID"]: node["Resources"] for node in nodes if node["Alive"]}
    return {
        node: ("cuda", int(has["GPU"])) if has.get("GPU", 0) >= 1 else ("cpu", int(has.get("CPU", 0)))
        for node, has in alive.items()
    }


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
