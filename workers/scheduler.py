"""Who gets the next free slot, and how far a turn goes. Pure: it knows neither torch nor ray nor optuna.

What it maximises
  1. slots in use: a free slot is offered to every study in turn until one has something to train;
  2. fairness between studies: the offer goes first to the study that holds the fewest slots, then to the one that
     was served the least device time, so a study of long trials and one of short trials get equal time;
  3. few turns: a turn runs to the nearest report that any member on the device owes, but no longer than some seconds,
     so that nobody waits long for a slot that was cancelled or pruned. Every turn ends with a score over all points;
     where that is dear beside a step (a minibatch), reports are rarer and turns longer: ``fewest_steps``.
  A training is made of legs of about ten seconds. After each, its slot is offered as any free one: to its own study,
  unless another one is behind. So a study that arrives late waits for a leg, not for a training.

What it never does
  - ask a study for work that no slot will be free for at the end of the turn (an asked trial occupies the sampler's
    mind until it is told);
  - let a newcomer catch up on the time before it came: it starts level with the least served;
  - carry a member past its report or its horizon: all reports of a study stand on one grid of steps, so that
    pruning compares like with like;
  - change what a training comes to: a leg begins with the very numbers that the one before ended with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = [
    "LEG_SECONDS",
    "REPORTS",
    "REPORT_STEPS",
    "TURN_SECONDS",
    "FairShare",
    "Pace",
    "Position",
    "fewest_steps",
    "segment_length",
    "turn_steps",
]

TURN_SECONDS = 5.0  # that a turn may take
LEG_SECONDS = 10.0  # that a member trains before its slot is offered to others: a hundred times what a change costs
FIRST_STEPS = 10  # of a turn whose members' pace is not known yet
REPORTS = 8  # reports that a full training gives: enough for two pruning checkpoints and a curve, few for a database
REPORT_STEPS = 18  # on all points that one score costs 2 % of: it is the way forward, about a third of a step


@dataclass(frozen=True)
class Position:
    """Where a member stands: at ``step``, owing a report at each multiple of ``segment`` and at ``until``."""

    step: int
    segment: int
    until: int

    @property
    def to_report(self) -> int:
        """Steps to the next line of the grid. A member that ends before it stops by itself: it would else leave its
        neighbours, and who comes after it, off the grid, and every turn would be short.
        """
        return self.segment - self.step % self.segment

    def leg_end(self, steps: int) -> int:
        """The step at which a leg of at most ``steps`` steps ends: on the grid where it gets there, else after one of
        the equal parts of the way to the next line, each at least half as long as asked.
        """
        line = (self.step + steps) // self.segment * self.segment
        if line <= self.step:
            parts = -(-self.to_report // steps)
            line = self.step - (-self.to_report // parts)
        return min(self.until, line)


def fewest_steps(points: int, batch_size: int | None, held_out: float | None = None) -> int:
    """Steps between two scores, so that these cost at most 2 % of the training.

    One where a step sees all points that are scored: the executor keeps the score's pass as the first half of the next
    step. ``held_out`` is the share of the points that are scored and not trained on.
    """
    scored = points if held_out is None else held_out * points
    trained = points if held_out is None else points - scored
    if batch_size is None or batch_size >= trained:
        if held_out is None:
            return 1
        batch_size = max(1, round(trained))
    return math.ceil(REPORT_STEPS * scored / batch_size)


def segment_length(horizon: int, fewest: int = 1) -> int:
    """Steps between the reports of a training of ``horizon`` steps: eight reports, or four, two or one where eight
    would lie closer than the ``fewest`` steps. So the lines of the coarser grids are lines of the finer ones.
    """
    segment, reports = max(1, -(-horizon // REPORTS)), REPORTS
    while segment < fewest and reports > 1:
        segment, reports = 2 * segment, reports // 2
    return segment


def turn_steps(positions: Iterable[Position], most: int, fewest: int = 1) -> int:
    """How far to advance a device: to the nearest report of a member, but in parts of ``most`` steps where it is far.

    No part has less than the ``fewest`` steps. Raises ValueError for no members.
    """
    steps = [position.to_report for position in positions]
    if not steps:
        raise ValueError("a turn needs at least one member")
    part = max(most, fewest)
    return part if min(steps) >= part + fewest else min(steps)


class Pace:
    """How long a step takes, by what is trained: keeps turns short however large the networks are."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], float] = {}  # by signal and family

    def learn(self, signal_key: str, family: str, steps: int, seconds: float) -> None:
        """Take note of what ``steps`` steps of one member took."""
        if steps > 0:
            self._seconds[signal_key, family] = seconds / steps

    def forget(self, signal_key: str) -> None:
        """The study of this signal has ended."""
        self._seconds = {key: value for key, value in self._seconds.items() if key[0] != signal_key}

    def most_steps(self, members: Iterable[tuple[str, str]], seconds: float) -> int:
        """How far these members (signal, family), trained one after the other, get in so many seconds."""
        known = [self._seconds.get(member) for member in members]
        paces = [value for value in known if value is not None]
        if len(paces) < len(known):
            return FIRST_STEPS
        return max(1, int(seconds / max(sum(paces), 1e-9)))


class FairShare:
    """The device time that each active study was served, counted from a level start."""

    def __init__(self) -> None:
        self._served: dict[str, float] = {}

    def join(self, study_id: str) -> None:
        """Let a study take part, level with the least served one."""
        self._served[study_id] = min(self._served.values(), default=0.0)

    def leave(self, study_id: str) -> None:
        """Forget a study; unknown ones are ignored."""
        self._served.pop(study_id, None)

    def charge(self, study_id: str, seconds: float) -> None:
        """Book device time on a study; unknown ones are ignored."""
        if study_id in self._served:
            self._served[study_id] += seconds

    def order(self, held: Mapping[str, int]) -> list[str]:
        """Studies in the order in which a free slot is offered; ``held`` counts the slots each one occupies now."""
        joined = list(self._served)
        return sorted(joined, key=lambda study: (held.get(study, 0), self._served[study], joined.index(study)))
