"""A pool that trains nothing and keeps the pool's rules: it raises when the engine breaks one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from vi3nr.config import InitConfig
from vi3nr.ensemble.interface import WORST_SCORE, Member, MemberState, Progress
from vi3nr.signals import Signal
from workers.pool import Admission, Device, DeviceLost, Turn, TurnDone

SCALE = {"gaussian": 0.018, "sine": 0.02}
USUAL = {"pytorch_default": 26.0, "siren": 28.0, "xavier": 22.0, "kaiming": 21.0, "normal": 10.0}


class RuleBrokenError(Exception):
    """The engine asked for what no pool has to do."""


def landscape(config: InitConfig, seed: int) -> float:
    """PSNR after endless training: a smooth hill around one sigma_a and one rho, with a little noise per seed."""
    noise = random.Random(seed).gauss(0.0, 0.15) + random.Random(f"{seed} {config.sigma_a} {config.rule}").gauss(
        0.0, 0.05
    )
    off = math.log(config.sigma_a / SCALE.get(config.family, 1.0))
    if config.rule != "vi3nr":
        return USUAL[config.rule] - 0.2 * off**2 + noise
    rho = math.log(config.sigma_p / config.sigma_a / 2.0)
    share = (config.bias_first.share or 0.0) - 0.5
    return 30.0 - 0.8 * off**2 - 0.5 * rho**2 - 4.0 * share**2 + noise


class FakePool:
    """Devices with slots; a turn ends when ``wait`` says so, in an order drawn from ``seed``.

    Args:
        slots: of each device.
        score: what a config comes to; None for a member that diverges.
        loss: chance that a turn ends with the device's death.
        pace: seconds that a step is said to take.
        seed: of the order in which turns end and of the deaths.
    """

    def __init__(
        self,
        slots: tuple[int, ...] = (1,),
        *,
        score: Callable[[InitConfig, int], float | None] = landscape,
        loss: float = 0.0,
        pace: float = 0.01,
        seed: int = 0,
    ) -> None:
        self._score, self._loss, self._pace, self._random = score, loss, pace, random.Random(seed)
        self._slots: dict[str, int] = {}
        self._members: dict[str, dict[str, tuple[Admission, int]]] = {}
        self._busy: dict[str, Turn] = {}
        self.signals: dict[str, Signal] = {}
        self.trained: list[Member] = []  # everything that was ever admitted
        self.turns: list[tuple[int, int]] = []  # of each: empty slots, steps
        self.losses = 0
        self.news: list[DeviceLost] = []  # to be told at the next wait
        self._opened = 0
        for count in slots:
            self._open(count)

    def devices(self) -> list[Device]:
        return [Device(key, "cpu", slots) for key, slots in self._slots.items()]

    def publish(self, key: str, signal: Signal) -> None:
        self.signals[key] = signal

    def withdraw(self, key: str) -> None:
        if key not in self.signals:
            raise RuleBrokenError(f"signal {key!r} was never published")
        for device in self._busy:
            if any(admission.group.signal_key == key for admission, _ in self._members[device].values()):
                raise RuleBrokenError(f"signal {key!r} is in a turn that is running")
        del self.signals[key]
        for members in self._members.values():
            for name in [name for name, (a, _) in members.items() if a.group.signal_key == key]:
                del members[name]

    def start(self, device_id: str, turn: Turn) -> None:
        if device_id not in self._slots:
            raise RuleBrokenError(f"device {device_id!r} is not alive")
        if device_id in self._busy:
            raise RuleBrokenError(f"device {device_id!r} is running a turn")
        members = self._members[device_id]
        for key in turn.evict:
            members.pop(key, None)
        for admission in turn.admit:
            self._admit(members, admission)
        if len(members) > self._slots[device_id]:
            raise RuleBrokenError(f"{len(members)} members in {self._slots[device_id]} slots")
        if not members or turn.steps < 1:
            raise RuleBrokenError(f"an empty turn: {len(members)} members, {turn.steps} steps")
        self._busy[device_id] = turn
        self.turns.append((self._slots[device_id] - len(members), turn.steps))

    def wait(self, timeout: float) -> list[TurnDone | DeviceLost]:
        if self.news:
            return [self.news.pop()]
        if not self._busy:
            return []
        device_id = self._random.choice(sorted(self._busy))
        if self._random.random() < self._loss:
            return [self.lose(device_id)]
        turn = self._busy.pop(device_id)
        return [TurnDone(device_id, tuple(self._advance(self._members[device_id], turn.steps)))]

    def lose(self, device_id: str, *, replaced: bool = True) -> DeviceLost:
        """Let a device die; another one with a new id takes its place, unless told otherwise."""
        self._busy.pop(device_id, None)
        del self._members[device_id]
        slots = self._slots.pop(device_id)
        if replaced:
            self._open(slots)
        self.losses += 1
        return DeviceLost(device_id, f"{device_id} died")

    def close(self) -> None:
        self._busy.clear()

    @property
    def seated(self) -> int:
        """Members in slots now."""
        return sum(len(members) for members in self._members.values())

    @property
    def ending(self) -> int:
        """Members that reach the end of their leg in a turn that is running."""
        turns = [(turn, self._members[device].values()) for device, turn in self._busy.items()]
        return sum(step + turn.steps >= a.member.until for turn, members in turns for a, step in members)

    def _open(self, slots: int) -> None:
        device_id = f"fake-{self._opened}"
        self._opened += 1
        self._slots[device_id], self._members[device_id] = slots, {}

    def _admit(self, members: dict[str, tuple[Admission, int]], admission: Admission) -> None:
        member = admission.member
        if admission.group.signal_key not in self.signals:
            raise RuleBrokenError(f"signal {admission.group.signal_key!r} is not published")
        everywhere = [key for held in self._members.values() for key in held]
        if member.key in everywhere:
            raise RuleBrokenError(f"member {member.key!r} trains already")
        begin = 0 if member.start is None else member.start.step
        if not begin < member.until <= admission.group.recipe.steps:
            raise RuleBrokenError(f"member {member.key!r} goes from {begin} to {member.until}")
        members[member.key] = (admission, begin)
        self.trained.append(member)

    def _advance(self, members: dict[str, tuple[Admission, int]], steps: int) -> list[Progress]:
        reports = []
        for key, (admission, begin) in list(members.items()):
            member = admission.member
            step = min(begin + steps, member.until)
            final = self._score(member.config, member.seed)
            diverged = final is None
            score = (
                WORST_SCORE if final is None else final * (1.0 - math.exp(-6.0 * step / admission.group.recipe.steps))
            )
            finished = diverged or step == member.until
            nothing = np.zeros(1, np.float32)
            state = MemberState(step, nothing, nothing, nothing, score, step) if finished and not diverged else None
            members[key] = (admission, step)
            if finished:
                del members[key]
            seconds = self._pace * (step - begin)
            reports.append(Progress(key, step, score, score, score, step, diverged, finished, seconds, state))
        return reports
