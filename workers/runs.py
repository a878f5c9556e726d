"""Runs of one family: continuations of finalists and confirmations, each trained once whatever dies on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vi3nr.ensemble.interface import WORST_SCORE, Member, MemberState, Progress
from workers.arms import ArmSpec
from workers.confirm import Scores
from workers.events import Event, Run, RunFinished
from workers.jobs import MAX_ATTEMPTS, Job, Setting
from workers.objective import Curve

__all__ = ["CONTINUATION", "RunPhase", "Wish"]

CONTINUATION = -1  # the replicate of a continued finalist: it ranks, and never enters an interval


@dataclass(frozen=True)
class Wish:
    """A run that is wanted: this arm from this seed to the full horizon, or on from ``start``."""

    arm: ArmSpec
    replicate: int
    seed: int
    start: MemberState | None = None
    curve: Curve = ()  # up to ``start``


@dataclass
class _Live:
    wish: Wish
    step: int
    curve: list[tuple[int, float]]
    seconds: float = 0.0


class RunPhase:
    """Holds the recorded runs and those that train. What has happened is appended to ``outbox``."""

    def __init__(self, setting: Setting, recorded: Iterable[Run], outbox: list[Event]) -> None:
        self._setting, self._outbox = setting, outbox
        self._segment = setting.segment(setting.recipe.steps)
        self._runs = {(run.arm, run.replicate): run for run in recorded}
        self._live: dict[str, _Live] = {}
        self._attempts: Counter[tuple[str, int]] = Counter()
        self._trained: dict[str, tuple[int, np.ndarray]] = {}

    @property
    def running(self) -> int:
        """Runs that hold a slot."""
        return len(self._live)

    @property
    def finished(self) -> int:
        """Runs recorded."""
        return len(self._runs)

    @property
    def steps_running(self) -> int:
        """Member steps behind the runs that train now."""
        begun = (live.step - (live.wish.start.step if live.wish.start else 0) for live in self._live.values())
        return sum(begun)

    @property
    def seconds(self) -> float:
        """Device seconds of recorded and running runs."""
        recorded = sum(run.seconds for run in self._runs.values())
        return recorded + sum(live.seconds for live in self._live.values())

    @property
    def scores(self) -> Scores:
        """The score at the full horizon of every recorded run, by arm and replicate."""
        return {key: run.score for key, run in self._runs.items()}

    def recorded(self, arm: str) -> list[Run]:
        """The confirmation runs of an arm, by replicate."""
        runs = [run for run in self._runs.values() if run.arm == arm and run.replicate != CONTINUATION]
        return sorted(runs, key=lambda run: run.replicate)

    def trained(self, arm: str) -> tuple[int, np.ndarray] | None:
        """The first replicate of an arm that ended in this process, and its parameters, flat as in ``MemberState``."""
        return self._trained.get(arm)

    def next_job(self, wishes: Sequence[Wish]) -> Job | None:
        """The first wish that is neither recorded nor in training, as a member; None if there is none."""
        busy = {(live.wish.arm.name, live.wish.replicate) for live in self._live.values()}
        for wish in wishes:
            run = (wish.arm.name, wish.replicate)
            if run not in self._runs and run not in busy:
                return self._start(wish)
        return None

    def absorb(self, progress: Progress) -> None:
        """Take a report in; a run that ends is recorded."""
        live = self._live[progress.key]
        live.step, live.seconds = progress.step, live.seconds + progress.seconds
        psnr = WORST_SCORE if progress.diverged else progress.score
        news = not live.curve or progress.step > live.curve[-1][0]  # else a trainer was lost, and it goes there again
        if news and (progress.finished or progress.step % self._segment == 0):
            live.curve.append((progress.step, psnr))
        if not progress.finished:
            return
        del self._live[progress.key]
        arm = live.wish.arm
        if progress.state is not None and live.wish.replicate != CONTINUATION:
            self._trained.setdefault(arm.name, (live.wish.replicate, progress.state.parameters))
        run = Run(
            study_id=self._setting.study_id,
            family=self._setting.family,
            arm=arm.name,
            kind=arm.kind,
            replicate=live.wish.replicate,
            score=self._setting.objective.score(live.curve, self._setting.recipe.steps),
            best_score=progress.best_score,
            best_step=progress.best_step,
            diverged=progress.diverged,
            seconds=live.seconds,
            config=arm.config,
            curve=tuple(live.curve),
        )
        self._runs[arm.name, run.replicate] = run
        self._outbox.append(RunFinished(run.study_id, run))

    def lost(self, key: str) -> None:
        """A run's trainer died; it is wanted again. Raises RuntimeError when it has died too often."""
        wish = self._live.pop(key).wish
        if self._attempts[wish.arm.name, wish.replicate] >= MAX_ATTEMPTS:
            run = f"{wish.arm.name!r}, replicate {wish.replicate}"
            raise RuntimeError(f"the run {run}, lost its trainer {MAX_ATTEMPTS} times")

    def holds(self, key: str) -> bool:
        """Whether this member is one of the runs in training."""
        return key in self._live

    def close(self) -> None:
        """Forget what trains."""
        self._live.clear()

    def _start(self, wish: Wish) -> Job:
        run = (wish.arm.name, wish.replicate)
        self._attempts[run] += 1
        key = f"{self._setting.study_id} {wish.arm.name} run {wish.replicate} attempt {self._attempts[run]}"
        steps = self._setting.recipe.steps
        begun = (0, ()) if wish.start is None else (wish.start.step, wish.curve)
        self._live[key] = _Live(wish, begun[0], list(begun[1]))
        member = Member(key, wish.arm.config, wish.seed, wish.arm.learning_rate, steps, wish.start)
        return Job.of(self._setting, member, steps)
