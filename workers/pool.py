"""The pool of trainers as the engine sees it: devices with slots, one turn at a time on each.

``LocalPool`` (workers.pool_local) trains in this process, ``RayPool`` (workers.pool_ray) in one actor per device.
Both pass the same contract suite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vi3nr.ensemble.interface import Member, Progress, Recipe
from vi3nr.signals import Signal

__all__ = ["Admission", "Device", "DeviceLost", "Group", "Pool", "Turn", "TurnDone"]


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
