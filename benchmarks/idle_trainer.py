"""A trainer that does nothing, for measuring everything else. It imports no torch: a process of it is small."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vi3nr.config import InitConfig
from vi3nr.ensemble.interface import Member, MemberState, Progress
from vi3nr.signals import Signal
from workers.pool import Turn

__all__ = ["IdleTrainer"]

NOTHING = np.zeros(1, np.float32)


@dataclass
class _Trainee:
    member: Member
    step: int


class IdleTrainer:
    """Plays turns in no time. A member's score rises towards a smooth hill over its scales.

    Args:
        kind: of device; ignored.
        slots: ignored: it would take any number of members.
    """

    def __init__(self, kind: str, slots: int) -> None:
        self._trainees: dict[str, _Trainee] = {}

    def hold(self, key: str, signal: Signal) -> None:
        """Nothing is kept."""

    def drop(self, key: str) -> None:
        """Nothing was kept; members of withdrawn signals are evicted by their pool's next turn."""

    def turn(self, turn: Turn) -> tuple[Progress, ...]:
        """As a trainer would report, in no time."""
        for key in turn.evict:
            self._trainees.pop(key, None)
        for admission in turn.admit:
            member = admission.member
            self._trainees[member.key] = _Trainee(member, 0 if member.start is None else member.start.step)
        return tuple(self._advance(trainee, turn.steps) for trainee in list(self._trainees.values()))

    def _advance(self, trainee: _Trainee, steps: int) -> Progress:
        member = trainee.member
        trainee.step = step = min(trainee.step + steps, member.until)
        score = _hill(member.config) * (1.0 - math.exp(-step / 100.0))
        finished = step == member.until
        state = MemberState(step, NOTHING, NOTHING, NOTHING, score, step) if finished else None
        if finished:
            del self._trainees[member.key]
        return Progress(member.key, step, score, score, score, step, False, finished, 0.0, state)


def _hill(config: InitConfig) -> float:
    scale = math.log(config.sigma_a / 0.02)
    ratio = math.log((config.sigma_p or config.sigma_a) / config.sigma_a / 2.0)
    return 30.0 - 0.8 * scale**2 - 0.5 * ratio**2
