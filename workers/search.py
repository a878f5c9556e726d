"""One family's search: a live handle over one Optuna study in the RDB storage, made to survive crashes.

Every wish of the search is an *order*: 0, 1, 2, ... An order keeps its parameters and its training seed through all its
attempts; each attempt is one Optuna trial (lost ones are FAIL). An order counts once, when one of its attempts is
COMPLETE or PRUNED. All that recovery needs is in the trials themselves, so it can be cut short anywhere and repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from vi3nr.ensemble.interface import WORST_SCORE
from workers.jobs import MAX_ATTEMPTS
from workers.objective import OWN_CURVE, Curve, Objective
from workers.outcomes import CURVE, FINISHED, WORDS, Asked, Outcome, attempt_of, order_of, outcome_of
from workers.prior import known_trials, start_with
from workers.sampler import SurfaceSampler
from workers.search_policy import make_pruner, make_sampler, name_metric, pruning_steps
from workers.seeds import sampler_seed, trial_seed
from workers.storage import Fence, FencedOffError, TrialStorage, persistently
from workers.tours import mean_score

__all__ = ["FamilySearch"]

LOST = "lost its trainer"  # user attribute of a failed attempt
ENDED = "search ended by"  # user attribute of the study: the limit that was spent


@dataclass
class _Live:
    trial: Trial
    asked: Asked
    curve: list[tuple[int, float]] = field(default_factory=list)


class FamilySearch:
    """Ask, report, tell. Holds what is running and what has finished; the record of it is the storage's."""

    def __init__(
        self,
        storage: TrialStorage,
        name: str,
        family: str,
        distributions: Mapping[str, FloatDistribution],
        start: Sequence[Mapping[str, float]],
        *,
        objective: Objective,
        search_steps: int,
        steps: int,
        seed: int,
        lease: int,
        signals: int = 1,
        prior: Sequence[str] = (),
        hint: str | None = None,
        fence: Fence | None = None,
    ) -> None:
        """Open or create the study ``name`` and recover what other leases left running.

        ``steps`` are those of the full training, of which ``search_steps`` are trained here on each of so many
        ``signals``; ``prior`` names like searches: their best trials are tried first, and all of them are known to the
        sampler; of ``hint`` the best trials are tried, beside the first of ``start``, and no more is known. Nothing is
        written once ``fence`` says that the lease is lost: FencedOffError then, from every method that writes.
        """
        self._family, self._distributions = family, dict(distributions)
        hints = () if hint is None else (hint,)
        self._known, self._prior = (*prior, *hints), known_trials(storage, prior, self._distributions)
        hinted = start_with(known_trials(storage, hints, self._distributions), start, self._distributions, usual_kept=1)
        self._start = start_with(self._prior, hinted, self._distributions)
        self._objective, self._steps, self._seed, self._lease = objective, steps, seed, lease
        self._search_steps, self._signals, self._decibel = search_steps, signals, objective.in_units(1.0, steps)
        self._checkpoints = pruning_steps(search_steps, signals)
        pruner = make_pruner(len(self._start), search_steps)
        create = partial(optuna.create_study, study_name=name, storage=storage, direction="maximize", pruner=pruner)
        self._study = persistently(partial(create, load_if_exists=True))
        storage.fence_off(self._study._study_id, fence)
        self._forget = partial(storage.forget, self._study._study_id)
        persistently(partial(name_metric, self._study, f"{objective.metric}; {search_steps} steps"))
        self.ended: str | None = persistently(lambda: self._study.user_attrs).get(ENDED)
        self._live: dict[int, _Live] = {}
        self._waiting: set[int] = set()
        self._outcomes: dict[int, Outcome] = {}
        self._next_order = 0
        self._unanswered = False  # whether the last question for a trial got no answer
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

    @property
    def start_points(self) -> int:
        """Trials whose parameters were given."""
        return len(self._start)

    def expected_best(self) -> float:
        """The score that the fitted surface expects of its best point so far; minus infinity without trials."""
        return self._sampler(0).expected_best(self._trials())

    def promise(self, best: float) -> float:
        """The improvement on ``best`` that the sampler expects of its next proposal."""
        return self._sampler(0).promise(self._trials(), best)

    def end(self, reason: str) -> None:
        """Write down why nothing more is asked for: a verdict of the clock must hold after a restart too."""
        if self.ended is None:
            persistently(partial(self._study.set_user_attr, ENDED, reason))
            self.ended = reason

    def ask(self) -> Asked:
        """The next trial: a lost one again, else a start point, else the sampler's proposal."""
        order, trial = persistently(self._begin)
        params = {
            name: persistently(partial(trial.suggest_float, name, axis.low, axis.high, log=axis.log))
            for name, axis in self._distributions.items()
        }
        known = persistently(lambda: trial.user_attrs)
        if "order" not in known:
            self._waiting.clear()  # what we thought queued was taken by a runner that had lost its lease
        order = int(known.get("order", order))
        attempt, seed = int(known.get("attempt", 1)), trial_seed(self._seed, order, self._known)
        asked = Asked(trial.number, order, attempt, params, seed)
        missing = {"order": order, "attempt": 1, "first_number": trial.number}
        facts = {key: value for key, value in missing.items() if key not in known}
        self._live[trial.number] = _Live(trial, asked)
        self._waiting.discard(order)
        self._next_order = max(self._next_order, order + 1)
        self.describe(asked.number, {**facts, "seed": asked.seed, "lease": self._lease})
        return asked

    def _begin(self) -> tuple[int, Trial]:
        """Optuna's next trial, and its order if it was not queued for one.

        A try without an answer may have begun a trial that nobody knows of: it is failed before the next try.
        """
        if self._unanswered:
            self.recover()
        self._unanswered = True
        order = self._next_order
        self._study.sampler = self._sampler(sampler_seed(self._seed, self._family, order))
        if not self._waiting and order < len(self._start):
            self._enqueue(self._start[order], {"order": order, "attempt": 1})
        trial = self._study.ask()
        self._unanswered = False
        return order, trial

    def describe(self, number: int, facts: Mapping[str, Any]) -> None:
        """Write user attributes on a running trial, for people and for the record."""
        trial = self._live[number].trial
        for key, value in facts.items():
            try:
                persistently(partial(trial.set_user_attr, key, value))
            except UpdateFinishedTrialError:
                return  # another runner took the study over and ended the trial: its record stands

    def report(self, number: int, step: int, psnr: float) -> bool:
        """Record a PSNR in dB at a step of the line of signals; True if the trial should be pruned there.

        A step that was reported already stands: a trainer was lost, and the trial goes over the same steps again.
        """
        live = self._live[number]
        if live.curve and step <= live.curve[-1][0]:
            return False
        live.curve.append((step, psnr))
        try:
            persistently(partial(live.trial.report, self._score(live.curve), step))
        except UpdateFinishedTrialError:
            return False
        return step in self._checkpoints and bool(persistently(live.trial.should_prune))

    def finish(self, number: int, *, seconds: float = 0.0, note: str | None = None) -> Outcome:
        """Tell the score of what was reported; where nothing was, the config was impossible and has the worst one."""
        return self._end(number, TrialState.COMPLETE, seconds, note)

    def prune(self, number: int, *, seconds: float = 0.0) -> Outcome:
        """Tell that a trial was pruned at its last report."""
        return self._end(number, TrialState.PRUNED, seconds, None)

    def fail_and_retry(self, number: int) -> bool:
        """Tell that a trial was lost and queue its order again; False if it is given up."""
        self.describe(number, {LOST: True})
        asked = self._live.pop(number).asked
        frozen = self._fail(number)
        if frozen.state in FINISHED:
            self._record(frozen)
            return True
        return self._again(frozen, asked.order)

    def close(self) -> None:
        """Tell what is still running as failed: nobody will train it. Another runner's trials are left to it."""
        numbers, self._live = list(self._live), {}
        with suppress(FencedOffError):
            for number in numbers:
                self._fail(number)
        self._forget()

    def recover(self) -> None:
        """Take the study over: keep finished orders; fail trials that run under another lease and queue them again."""
        orders: dict[int, list[FrozenTrial]] = {}
        for trial in self._trials():
            orphaned = trial.state == TrialState.RUNNING and trial.number not in self._live
            known = self._fail(trial.number) if orphaned else trial
            order = order_of(known)
            if order is not None:  # without one it was cut short while being asked: never trained
                orders.setdefault(order, []).append(known)
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
                self._again(max(attempts, key=lambda trial: (attempt_of(trial), LOST in trial.user_attrs)), order)

    def _enqueue(self, params: Mapping[str, float], facts: Mapping[str, Any]) -> None:
        order, tried = int(facts["order"]), False

        def queue() -> None:
            nonlocal tried
            if tried and any(one.state == TrialState.WAITING and order_of(one) == order for one in self._trials()):
                return  # it was queued, and only the answer was lost
            tried = True
            self._study.enqueue_trial(dict(params), user_attrs=dict(facts))

        persistently(queue)
        self._waiting.add(order)

    def _again(self, failed: FrozenTrial, order: int) -> bool:
        """Queue an order again. Only a lost trainer costs an attempt; a runner's end is no fault of the trial."""
        if self.ended is not None:
            return False  # a search that the clock has ended trains nothing more
        attempt = attempt_of(failed) + int(bool(failed.user_attrs.get(LOST)))
        if attempt > MAX_ATTEMPTS:
            self.dropped += 1
            return False
        first = failed.user_attrs.get("first_number", failed.number)
        # Without all of them the runner died before Optuna had written them down: what the order was queued with.
        whole = len(failed.params) == len(self._distributions)
        params = failed.params if whole else dict(failed.system_attrs.get("fixed_params", {}))
        self._enqueue(params, {"order": order, "attempt": attempt, "first_number": first})
        return True

    def _score(self, curve: Curve) -> float:
        return mean_score(self._objective, curve, self._search_steps, self._steps)

    def _sampler(self, seed: int) -> SurfaceSampler:
        return make_sampler(self._distributions, seed, self._decibel, self._prior, self._start)

    def _trials(self) -> list[FrozenTrial]:
        return persistently(partial(self._study.get_trials, deepcopy=False))

    def _end(self, number: int, state: TrialState, seconds: float, note: str | None) -> Outcome:
        live = self._live[number]
        none = [(self._steps, WORST_SCORE)]
        score = self._score(live.curve) if live.curve else self._objective.score(none, self._steps)
        facts: dict[str, Any] = {"seconds": round(seconds, 3)} | ({} if note is None else {"note": note})
        if self._objective.name in OWN_CURVE or self._signals > 1:
            facts[CURVE] = live.curve
        self.describe(number, facts)
        asked = self._live.pop(number).asked
        frozen = self._tell(number, score if state == TrialState.COMPLETE else None, state)
        if frozen.state not in FINISHED:  # ended by another runner, which trains the order again
            curve = tuple(live.curve)
            return Outcome(number, asked.order, WORDS[state], asked.params, score, asked.seed, seconds, note, curve)
        return self._record(frozen)

    def _fail(self, number: int) -> FrozenTrial:
        return self._tell(number, None, TrialState.FAIL)

    def _tell(self, number: int, score: float | None, state: TrialState) -> FrozenTrial:
        """The trial as it then stands in the record: one that was finished before is left as it was."""
        try:
            return persistently(partial(self._study.tell, number, score, state=state, skip_if_finished=True))
        except UpdateFinishedTrialError:
            return next(trial for trial in self._trials() if trial.number == number)

    def _record(self, trial: FrozenTrial) -> Outcome:
        outcome = outcome_of(trial, self._seed)
        return self._outcomes.setdefault(outcome.order, outcome)
