"""One family's search: a live handle over one Optuna study in the RDB storage, made to survive crashes.

Every wish of the search is an *order*: 0, 1, 2, ... An order keeps its parameters and its training seed through all its
attempts; each attempt is one Optuna trial (lost ones are FAIL). An order counts once, when one of its attempts is
COMPLETE or PRUNED. All that recovery needs is in the trials themselves, so it can be cut short anywhere and repeated.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from workers.jobs import MAX_ATTEMPTS
from workers.search_policy import make_pruner, make_sampler, pruning_steps
from workers.seeds import sampler_seed, trial_seed
from workers.storage import persistently

__all__ = ["Asked", "FamilySearch", "Outcome"]

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
LOST = "lost its trainer"  # user attribute of a failed attempt
WORDS = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}


@dataclass(frozen=True)
class Asked:
    """A trial to train: parameters by the axes' names, and the seed that every attempt of its order shares."""

    number: int
    order: int
    attempt: int
    params: Mapping[str, float]
    seed: int


@dataclass(frozen=True)
class Outcome:
    """A finished order; ``score`` is the PSNR in dB at the search horizon, or where it was pruned."""

    number: int
    order: int
    state: str  # "complete" or "pruned"
    params: Mapping[str, float]
    score: float
    seed: int
    seconds: float
    note: str | None  # why it could not be trained, if so


class FamilySearch:
    """Ask, report, tell. Holds what is running and what has finished; the record of it is the storage's."""

    def __init__(
        self,
        storage: RDBStorage,
        name: str,
        family: str,
        distributions: Mapping[str, FloatDistribution],
        start: Sequence[Mapping[str, float]],
        *,
        search_steps: int,
        seed: int,
        lease: int,
    ) -> None:
        """Open or create the study ``name`` and recover what other leases left running."""
        self._family, self._distributions, self._start = family, dict(distributions), tuple(start)
        self._seed, self._lease = seed, lease
        self._checkpoints = pruning_steps(search_steps)
        pruner = make_pruner(len(self._start))
        create = partial(optuna.create_study, study_name=name, storage=storage, direction="maximize", pruner=pruner)
        self._study = persistently(partial(create, load_if_exists=True))
        persistently(partial(_name_metric, self._study, f"PSNR (dB) after {search_steps} steps"))
        self._live: dict[int, tuple[Trial, Asked]] = {}
        self._waiting: set[int] = set()
        self._outcomes: dict[int, Outcome] = {}
        self._next_order = 0
        self.dropped = 0  # orders that lost their trainer MAX_ATTEMPTS times
        self.recover()

    @property
    def outcomes(self) -> list[Outcome]:
        """Finished orders, each once, in their order."""
        return [self._outcomes[order] for order in sorted(self._outcomes)]

    @property
    def running(self) -> int:
        """Trials asked for and not yet told."""
        return len(self._live)

    def ask(self) -> Asked:
        """The next trial: a lost one again, else a start point, else the sampler's proposal."""
        order = self._next_order
        seed = sampler_seed(self._seed, self._family, order)
        self._study.sampler = make_sampler(self._distributions, seed)
        if not self._waiting and order < len(self._start):
            self._enqueue(self._start[order], {"order": order, "attempt": 1})
        trial = persistently(self._study.ask)
        params = {
            name: persistently(partial(trial.suggest_float, name, axis.low, axis.high, log=axis.log))
            for name, axis in self._distributions.items()
        }
        known = persistently(lambda: trial.user_attrs)
        if "order" not in known:
            self._waiting.clear()  # what we thought queued was taken by a runner that had lost its lease
        order = int(known.get("order", order))
        asked = Asked(trial.number, order, int(known.get("attempt", 1)), params, trial_seed(self._seed, order))
        missing = {"order": order, "attempt": 1, "first_number": trial.number}
        facts = {key: value for key, value in missing.items() if key not in known}
        self._live[trial.number] = (trial, asked)
        self._waiting.discard(order)
        self._next_order = max(self._next_order, order + 1)
        self.describe(asked.number, {**facts, "seed": asked.seed, "lease": self._lease})
        return asked

    def describe(self, number: int, facts: Mapping[str, Any]) -> None:
        """Write user attributes on a running trial, for people and for the record."""
        trial, _ = self._live[number]
        for key, value in facts.items():
            try:
                persistently(partial(trial.set_user_attr, key, value))
            except UpdateFinishedTrialError:
                return  # another runner took the study over and ended the trial: its record stands

    def report(self, number: int, step: int, score: float) -> bool:
        """Record a score in dB at a step; True if the trial should be pruned there."""
        trial, _ = self._live[number]
        try:
            persistently(partial(trial.report, score, step))
        except UpdateFinishedTrialError:
            return False
        return step in self._checkpoints and bool(persistently(trial.should_prune))

    def finish(self, number: int, score: float, *, seconds: float = 0.0, note: str | None = None) -> Outcome:
        """Tell the score at the search horizon; a diverged trial's is the finite ``WORST_SCORE``."""
        return self._end(number, TrialState.COMPLETE, score, seconds, note)

    def prune(self, number: int, score: float, *, seconds: float = 0.0) -> Outcome:
        """Tell that a trial was pruned at its last report, whose score was ``score``."""
        return self._end(number, TrialState.PRUNED, score, seconds, None)

    def fail_and_retry(self, number: int) -> bool:
        """Tell that a trial was lost and queue its order again; False if the order had its last attempt."""
        self.describe(number, {LOST: True})
        _, asked = self._live.pop(number)
        frozen = self._fail(number)
        if frozen.state in FINISHED:
            self._record(frozen)
            return True
        return self._again(frozen, asked.order)

    def close(self) -> None:
        """Tell what is still running as failed: nobody will train it."""
        for number in list(self._live):
            del self._live[number]
            self._fail(number)

    def recover(self) -> None:
        """Take the study over: keep finished orders; fail trials that run under another lease and queue them again."""
        orders: dict[int, list[FrozenTrial]] = {}
        for trial in persistently(partial(self._study.get_trials, deepcopy=False)):
            orphaned = trial.state == TrialState.RUNNING and trial.number not in self._live
            known = self._fail(trial.number) if orphaned else trial
            if "order" in known.user_attrs:  # without one it was cut short while being asked: never trained
                orders.setdefault(int(known.user_attrs["order"]), []).append(known)
        self._next_order = max(orders, default=-1) + 1
        self._waiting.clear()
        self.dropped = 0
        for order, attempts in sorted(orders.items()):
            finished = [trial for trial in attempts if trial.state in FINISHED]
            if finished:
                self._record(finished[0])
            elif any(trial.state == TrialState.WAITING for trial in attempts):
                self._waiting.add(order)
            elif not any(trial.number in self._live for trial in attempts):
                self._again(max(attempts, key=lambda trial: (_attempt(trial), LOST in trial.user_attrs)), order)

    def _enqueue(self, params: Mapping[str, float], facts: Mapping[str, Any]) -> None:
        persistently(partial(self._study.enqueue_trial, dict(params), user_attrs=dict(facts)))
        self._waiting.add(int(facts["order"]))

    def _again(self, failed: FrozenTrial, order: int) -> bool:
        """Queue an order again. Only a lost trainer costs an attempt; a runner's end is no fault of the trial."""
        attempt = _attempt(failed) + int(bool(failed.user_attrs.get(LOST)))
        if attempt > MAX_ATTEMPTS:
            self.dropped += 1
            return False
        first = failed.user_attrs.get("first_number", failed.number)
        params = failed.params if len(failed.params) == len(self._distributions) else self._fixed(failed)
        self._enqueue(params, {"order": order, "attempt": attempt, "first_number": first})
        return True

    @staticmethod
    def _fixed(failed: FrozenTrial) -> dict[str, float]:
        """What an order was queued with, when the runner died before Optuna had written its parameters down."""
        return dict(failed.system_attrs.get("fixed_params", {}))

    def _end(self, number: int, state: TrialState, score: float, seconds: float, note: str | None) -> Outcome:
        facts: dict[str, Any] = {"seconds": round(seconds, 3)} | ({} if note is None else {"note": note})
        self.describe(number, facts)
        _, asked = self._live.pop(number)
        frozen = self._tell(number, score if state == TrialState.COMPLETE else None, state)
        if frozen.state not in FINISHED:  # ended by another runner, which trains the order again
            return Outcome(number, asked.order, WORDS[state], asked.params, score, asked.seed, seconds, note)
        return self._record(frozen)

    def _fail(self, number: int) -> FrozenTrial:
        return self._tell(number, None, TrialState.FAIL)

    def _tell(self, number: int, score: float | None, state: TrialState) -> FrozenTrial:
        """The trial as it then stands in the record: one that was finished before is left as it was."""
        try:
            return persistently(partial(self._study.tell, number, score, state=state, skip_if_finished=True))
        except UpdateFinishedTrialError:
            trials = persistently(partial(self._study.get_trials, deepcopy=False))
            return next(trial for trial in trials if trial.number == number)

    def _record(self, trial: FrozenTrial) -> Outcome:
        facts = trial.user_attrs
        order = int(facts["order"])
        outcome = Outcome(
            number=trial.number,
            order=order,
            state=WORDS[trial.state],
            params=trial.params,
            score=float(trial.values[0]) if trial.values else float("-inf"),
            seed=int(facts.get("seed", trial_seed(self._seed, order))),
            seconds=float(facts.get("seconds", 0.0)),
            note=facts.get("note"),
        )
        return self._outcomes.setdefault(order, outcome)


def _name_metric(study: optuna.Study, name: str) -> None:
    """What the dashboard calls the score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # the interface may change; the name is only for people
        study.set_metric_names([name])


def _attempt(trial: FrozenTrial) -> int:
    return int(trial.user_attrs.get("attempt", 1))
