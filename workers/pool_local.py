# ruff: noqa: D102 - what the methods do is said once, by the Pool protocol
"""A pool in this process: a turn runs inside ``wait``. For tests, scripts and machines without Ray."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from vi3nr.signals import Signal
from workers.hardware import model_of
from workers.pool import Device, DeviceLost, Player, PlayerFactory, Turn, TurnDone, by_axis, seat_for
from workers.trainer import Trainer

__all__ = ["LocalPool"]


@dataclass
class _Seat:
    """A device, its trainer, the signals it has and the turn that it still has to play."""

    device: Device
    trainer: Player
    held: set[str] = field(default_factory=set)
    turn: Turn | None = None


class LocalPool:
    """``devices`` trainers of ``slots`` slots each, played one after the other by the caller's own thread."""

    def __init__(self, slots: int = 1, devices: int = 1, *, player: PlayerFactory = Trainer) -> None:
        self._slots, self._player = slots, player
        self._signals: dict[str, Signal] = {}
        self._seats: dict[str, _Seat] = {}
        self._losses: deque[DeviceLost] = deque()
        self._order: deque[str] = deque()  # devices with a turn to play, first come first served
        self._numbers = 0
        for _ in range(devices):
            self._open()

    def devices(self) -> list[Device]:
        return [seat.device for seat in self._seats.values()]

    def publish(self, key: str, signal: Signal) -> None:
        if key not in self._signals:
            self._signals[key] = by_axis(signal)

    def withdraw(self, key: str) -> None:
        self._signals.pop(key, None)
        for seat in self._seats.values():
            seat.trainer.drop(key)
            seat.held.discard(key)

    def start(self, device_id: str, turn: Turn) -> None:
        seat, missing = seat_for(device_id, turn, self._seats, self._signals)
        for key in missing:
            seat.trainer.hold(key, self._signals[key])
            seat.held.add(key)
        seat.turn = turn
        self._order.append(device_id)

    def wait(self, timeout: float) -> list[TurnDone | DeviceLost]:
        if self._losses:
            losses = list(self._losses)
            self._losses.clear()
            return [*losses]
        if not self._order:
            return []
        seat = self._seats[self._order.popleft()]
        turn, seat.turn = seat.turn, None
        if turn is None:
            return []
        try:
            return [TurnDone(seat.device.id, seat.trainer.turn(turn))]
        except Exception as error:
            return [self._replace(seat, f"The trainer of {seat.device.id} failed: {error}")]

    def lose(self, device_id: str) -> None:
        """Let a device die, as a killed process would: what it trained is gone, and ``wait`` reports it once."""
        self._losses.append(self._replace(self._seats[device_id], f"The trainer of {device_id} was told to die."))

    def close(self) -> None:
        self._seats.clear()
        self._signals.clear()
        self._order.clear()
        self._losses.clear()

    def _replace(self, seat: _Seat, error: str) -> DeviceLost:
        del self._seats[seat.device.id]
        if seat.device.id in self._order:
            self._order.remove(seat.device.id)
        self._open()
        return DeviceLost(seat.device.id, error)

    def _open(self) -> None:
        device = Device(f"local-{self._numbers}", "cpu", self._slots, model_of("cpu"))
        self._numbers += 1
        self._seats[device.id] = _Seat(device, self._player("cpu", self._slots))
