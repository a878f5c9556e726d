"""The pool of trainers as the engine sees it: devices with slots, one turn at a time on each.

``LocalPool`` (workers.pool_local) trains in this process, ``RayPool`` (workers.pool_ray) in one actor per device.
Both pass the same contract suite.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from vi3nr.ensemble.interface import Member, Progress, Recipe
from vi3nr.signals import Signal

__all__ = [
    "Admission",
    "Device",
    "DeviceLost",
    "Group",
    "Player",
    "PlayerFactory",
    "Pool",
    "Seat",
    "Turn",
    "TurnDone",
    "by_axis",
    "seat_for",
]


@dataclass(frozen=True)
class Group:
    """Members that may share an ensemble: same signal, network shape, family (with parameters) and recipe."""

    signal_key: str
    widths: tuple[int, ...]
    family: str
    recipe: Recipe


@dataclass(frozen=True)
class Admission:
    """Put this member into a slot of the ensemble of its group."""

    group: Group
    member: Member


@dataclass(frozen=True)
class Turn:
    """One actor call: evict, admit, then advance everything on the device by ``steps``."""

    admit: tuple[Admission, ...]
    evict: tuple[str, ...]
    steps: int


@dataclass(frozen=True)
class Device:
    """A place that trains. ``id`` is never used again once the device is lost."""

    id: str
    kind: str  # "cpu" or "cuda"
    slots: int
    model: str = ""  # as its maker calls it

    @property
    def name(self) -> str:
        """For people: CUDA (NVIDIA H200)."""
        return self.kind.upper() + (f" ({self.model})" if self.model else "")


@dataclass(frozen=True)
class TurnDone:
    """A turn has ended; where each member of the device stands."""

    device_id: str
    progress: tuple[Progress, ...]


@dataclass(frozen=True)
class DeviceLost:
    """The trainer died; what it trained is gone. ``error`` is a sentence."""

    device_id: str
    error: str


class Pool(Protocol):
    """Where turns are run. A device that is running a turn accepts no second one."""

    def devices(self) -> list[Device]:
        """The devices that are alive now; a lost one is replaced by one with a new id."""

    def publish(self, key: str, signal: Signal) -> None:
        """Make a signal known under ``key``; held once per node. A key that is known keeps what it has."""

    def withdraw(self, key: str) -> None:
        """Forget a signal, and free the ensembles that use it."""

    def start(self, device_id: str, turn: Turn) -> None:
        """Begin a turn; returns at once. Raises ValueError for an unknown or busy device, or an unknown signal."""

    def wait(self, timeout: float) -> list[TurnDone | DeviceLost]:
        """What has ended since the last call; blocks up to ``timeout`` seconds for the first.

        It returns at once, with an empty list, if no turn is being played and no device is starting.
        """

    def close(self) -> None:
        """End every trainer and free what the pool holds."""


class Player(Protocol):
    """What a pool runs on each device: ``workers.trainer.Trainer``, or what takes its place in a benchmark."""

    def hold(self, key: str, signal: Signal) -> None:
        """Keep a signal under ``key``."""

    def drop(self, key: str) -> None:
        """Forget a signal and what trains on it."""

    def turn(self, turn: Turn) -> tuple[Progress, ...]:
        """Play a turn."""


PlayerFactory = Callable[[str, int], Player]  # (kind of device, slots); called once, in the process that trains


class Seat(Protocol):
    """What every pool keeps of a device: the signals that it has, and the turn that it plays."""

    held: set[str]
    turn: Any | None


S = TypeVar("S", bound=Seat)


def seat_for(device_id: str, turn: Turn, seats: Mapping[str, S], published: Container[str]) -> tuple[S, list[str]]:
    """The seat that may play this turn, and the signals that it has to be given before.

    Raises:
        ValueError: the device is unknown or busy, or a signal was not published.
    """
    seat = seats.get(device_id)
    if seat is None:
        raise ValueError(f"device {device_id!r} is not in the pool")
    if seat.turn is not None:
        raise ValueError(f"device {device_id!r} is playing a turn already")
    missing = sorted({admission.group.signal_key for admission in turn.admit} - seat.held)
    for key in missing:
        if key not in published:
            raise ValueError(f"signal {key!r} was not published")
    return seat, missing


def by_axis(signal: Signal) -> Signal:
    """The same signal, each axis in one piece of memory: so the CPU executor trains on it without a copy of its own."""
    coordinates, values = np.asfortranarray(signal.coordinates), np.asfortranarray(signal.values)
    return replace(signal, coordinates=coordinates, values=values)
