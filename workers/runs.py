"""Runs of one family: continuations of finalists and confirmations, each trained once whatever dies on the way."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vi3nr.ensemble.interface import Member, MemberState, Progress
from workers.arms import ArmSpec
from workers.confirm import Scores
from workers.events import Event, Run, RunFinished
from workers.exhibits import shown_signals
from workers.jobs import MAX_ATTEMPTS, Job, Setting
from workers.objective import Curve
from workers.tours import mean_score, on_line

__all__ = ["CONTINUATION", "RunPhase", "Wish"]

CONTINUATION = -1  # the replicate of a continued finalist: it ranks, and never enters an interval


@dataclass(frozen=True)
class Wish:
    """A run that is wanted: this arm from this seed to the full horizon on each of the first ``signals`` signals, or
    on from where ``starts`` has a state for a signal.
    """

    arm: ArmSpec
    replicate: int
    seed: int
    signals: int
    starts: Mapping[int, MemberState] = field(default_factory=dict)
    curves: Mapping[int, Curve] = field(default_factory=dict)  # of each signal, up to its start


@dataclass
class _Live:
    wish: Wish
    signal: int = 0
    step: int = 0  # on this signal
    line: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    best_scores: list[float] = field(default_factory=list)
    diverged: bool = False

    @property
    def start(self) -> MemberState | None:
        return self.wish.starts.get(self.signal)


class RunPhase:
    """Holds the recorded runs and those that train. What has happened is appended to ``outbox``."""

    def __init__(self, setting: Setting, recorded: Iterable[Run], outbox: list[Event]) -> None:
        self._setting, self._outbox = setting, outbox
        self._segment = setting.segment(setting.recipe.steps)
        self._runs = {(run.arm, run.replicate): run for run in recorded}
        self._live: dict[str, _Live] = {}
        self._between: deque[_Live] = deque()  # runs that wait for a slot to train on their next signal
        self._attempts: Counter[tuple[str, int, int]] = Counter()  # by arm, replicate and signal
        self._trained: dict[str, tuple[int, dict[int, np.ndarray]]] = {}  # by arm: replicate, parameters by signal

    @property
    def running(self) -> int:
        """Runs that have begun and not ended."""
        return len(self._live) + len(self._between)

    @property
    def finished(self) -> int:
        """Runs recorded."""
        return len(self._runs)

    @property
    def steps_running(self) -> int:
        """Member steps behind the runs that train now."""
        steps = self._setting.recipe.steps
        return sum(
            on_line(live.signal, live.step, steps)
            - sum(start.step for signal, start in live.wish.starts.items() if (signal, 0) < (live.signal, live.step))
            for live in self._begun
        )

    @property
    def _begun(self) -> list[_Live]:
        return [*self._live.values(), *self._between]

    @property
    def seconds(self) -> float:
        """Device seconds of recorded and running runs."""
        recorded = sum(run.seconds for run in self._runs.values())
        return recorded + sum(live.seconds for live in self._begun)

    @property
    def scores(self) -> Scores:
        """The score at the full horizon of every recorded run, by arm and replicate."""
        return {key: run.score for key, run in self._runs.items()}

    def recorded(self, arm: str) -> list[Run]:
        """The confirmation runs of an arm, by replicate."""
        runs = [run for run in self._runs.values() if run.arm == arm and run.replicate != CONTINUATION]
        return sorted(runs, key=lambda run: run.replicate)

    def trained(self, arm: str) -> tuple[int, Mapping[int, np.ndarray]] | None:
        """The first replicate of an arm that ended in this process, and its parameters, flat as in ``MemberState``, for
        the first signal and for as many others as are kept (``workers.exhibits.shown_signals``).
        """
        return self._trained.get(arm)

    def next_job(self, wishes: Sequence[Wish]) -> Job | None:
        """The first wish that is neither recorded nor in training, as a member; None if there is none."""
        busy = {(live.wish.arm.name, live.wish.replicate) for live in self._begun}
        for wish in wishes:
            run = (wish.arm.name, wish.replicate)
            if run not in self._runs and run not in busy:
                return self._job(_Live(wish))
        return None

    def next_signal(self) -> Job | None:
        """A run that goes on with its next signal; None if there is none. Only for a free slot."""
        return self._job(self._between.popleft()) if self._between else None

    def absorb(self, progress: Progress) -> None:
        """Take a report in; a run that ends is recorded."""
        live = self._live[progress.key]
        live.step, live.seconds = progress.step, live.seconds + progress.seconds
        psnr = self._setting.objective.reading(progress)
        step = on_line(live.signal, progress.step, self._setting.recipe.steps)
        news = not live.line or step > live.line[-1][0]  # else a trainer was lost, and it goes there again
        if news and (progress.finished or progress.step % self._segment == 0):
            live.line.append((step, psnr))
        if not progress.finished:
            return
        del self._live[progress.key]
        live.best_scores.append(progress.best_score)
        live.diverged = live.diverged or progress.diverged
        if progress.state is not None and live.wish.replicate != CONTINUATION:
            self._keep(live, progress.state.parameters)
        if live.signal + 1 < live.wish.signals:
            live.signal, live.step = live.signal + 1, 0
            self._between.append(live)
            return
        self._record(live, progress.best_step)

    def _keep(self, live: _Live, parameters: np.ndarray) -> None:
        if live.signal == 0:
            self._trained.setdefault(live.wish.arm.name, (live.wish.replicate, {0: parameters}))
            return
        replicate, kept = self._trained.get(live.wish.arm.name, (None, {}))
        signals, fitted = len(self._setting.signal_keys), self._setting.fitted
        if replicate == live.wish.replicate and live.signal in shown_signals(signals, fitted, len(parameters)):
            kept[live.signal] = parameters

    def _record(self, live: _Live, best_step: int) -> None:
        arm, fitted = live.wish.arm, self._setting.fitted
        steps = self._setting.recipe.steps
        run = Run(
            study_id=self._setting.study_id,
            family=self._setting.family,
            arm=arm.name,
            kind=arm.kind,
            replicate=live.wish.replicate,
            score=mean_score(self._setting.objective, live.line, steps, steps, fitted),
            best_score=sum(live.best_scores[:fitted]) / len(live.best_scores[:fitted]),
            best_step=best_step,
            diverged=live.diverged,
            seconds=live.seconds,
            config=arm.config,
            curve=tuple(live.line),
        )
        self._runs[arm.name, run.replicate] = run
        self._outbox.append(RunFinished(run.study_id, run))

    def lost(self, key: str) -> None:
        """A run's trainer died; its signal is begun again. Raises RuntimeError when that has happened too often."""
        live = self._live.pop(key)
        wish, steps = live.wish, self._setting.recipe.steps
        if self._attempts[wish.arm.name, wish.replicate, live.signal] >= MAX_ATTEMPTS:
            run = f"{wish.arm.name!r}, replicate {wish.replicate}"
            raise RuntimeError(f"the run {run}, lost its trainer {MAX_ATTEMPTS} times")
        live.step, live.line = 0, [(step, psnr) for step, psnr in live.line if step <= live.signal * steps]
        self._between.append(live)

    def holds(self, key: str) -> bool:
        """Whether this member is one of the runs in training."""
        return key in self._live

    def close(self) -> None:
        """Forget what trains."""
        self._live.clear()
        self._between.clear()

    def _job(self, live: _Live) -> Job:
        wish, signal, start = live.wish, live.signal, live.start
        self._attempts[wish.arm.name, wish.replicate, signal] += 1
        attempt = self._attempts[wish.arm.name, wish.replicate, signal]
        key = f"{self._setting.study_id} {wish.arm.name} run {wish.replicate} attempt {attempt}"
        key += f" signal {signal}" if signal else ""
        steps = self._setting.recipe.steps
        if start is not None:
            live.step = start.step
            live.line += [(on_line(signal, step, steps), psnr) for step, psnr in wish.curves.get(signal, ())]
        self._live[key] = live
        member = Member(key, wish.arm.config, wish.seed, wish.arm.learning_rate, steps, start)
        return Job.of(self._setting, member, steps, signal=signal)
