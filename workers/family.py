"""The program of one family of a study: search, continue, confirm, done.

What comes next is a function of the recorded trials and runs alone, so a study taken up again does exactly the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from vi3nr.activations import family_of
from vi3nr.ensemble.interface import Progress
from workers.arms import ArmSpec, as_found_arms, customary_arms, finalist_arm, theory_arm
from workers.confirm import leading_finalists, missing_runs
from workers.events import Event, Run
from workers.exhibits import Trained
from workers.jobs import Job, Setting
from workers.outcomes import Outcome
from workers.plan import FamilyPlan, Range, StudyPlan
from workers.result import FamilyResult
from workers.runs import CONTINUATION, RunPhase, Wish
from workers.seeds import confirmation_seed
from workers.tours import split
from workers.trials import TrialPhase
from workers.verdict import arm_of, family_result

__all__ = ["PHASES", "FamilyProgram"]

PHASES = ("search", "continue", "confirm", "done")


class FamilyProgram:
    """Hands out jobs for free slots and takes reports in; knows its phase and, in the end, its result."""

    def __init__(
        self,
        plan: StudyPlan,
        family: FamilyPlan,
        setting: Setting,
        trials: TrialPhase,
        recorded: Iterable[Run],
        outbox: list[Event],
    ) -> None:
        self.family, self.trials = family.family, trials
        self._plan, self._setting = plan, setting
        self.runs = RunPhase(setting, recorded, outbox)
        asked, customary = family.learning_rate, family_of(family.family).learning_rate
        self._rate = rate = asked if isinstance(asked, float) else customary
        self._rate_searched = isinstance(asked, Range)
        self._signals = len(setting.signal_keys)
        self._customary = customary_arms(family.family, family.parameters, setting.widths, plan.baselines, rate)
        self._theory = _theory_arms(family, setting.widths, trials.input_second_moment, rate)
        self._again: dict[str, Sequence[ArmSpec]] = {}  # by finalist: the usual rules at its sigma_a and rate

    @property
    def phase(self) -> str:
        """``search`` until the study ends it, then ``continue``, ``confirm`` and ``done``. Where nothing could be
        trained only ``done``.
        """
        if not self.trials.done:
            return "search"
        if self._continuing():
            return "continue"
        return "confirm" if self._unconfirmed() else "done"

    @property
    def running(self) -> int:
        """Trials and runs that have begun and not ended."""
        return self.trials.running + self.runs.running

    @property
    def runs_total(self) -> int:
        """Runs in all: an estimate while arms are unknown; then what is recorded and what is still wanted."""
        plan = self._plan
        if self.settled:
            return len(self.runs.scores) + len(self._unconfirmed())
        first, chosen = min(2, plan.seeds), (2 if self._customary else 1)
        baselines = len(self._customary) + self._at_one_more_scale + len(self._theory)
        finalists = self._finalists_expected
        continued = finalists if self._continues else 0
        return continued + (finalists + baselines) * first + chosen * (plan.seeds - first)

    @property
    def steps(self) -> tuple[int, int]:
        """Member steps done and in all."""
        plan = self._plan
        full, rest = plan.recipe.steps, plan.recipe.steps - plan.search_steps
        done = self.trials.steps_done + self._run_steps
        finalists = self._finalists_expected
        continuations = finalists if self._continues else 0
        trials = self.trials.finished + self.trials.running if self.trials.ended else self.trials.share
        trials = max(trials, self.trials.finished + self.trials.running)
        fitted = self._setting.fitted
        searched = (trials * plan.search_steps + continuations * rest) * fitted
        total = searched + (self.runs_total - continuations) * full * self._signals
        return min(done, total), total

    @property
    def steps_trained(self) -> int:
        """Member steps that were really made: a pruned trial counts as far as it came."""
        return self.trials.steps_trained + self._run_steps

    @property
    def _run_steps(self) -> int:
        plan = self._plan
        continued = len([arm for arm, replicate in self.runs.scores if replicate == CONTINUATION])
        confirmed = self.runs.finished - continued
        rest = plan.recipe.steps - plan.search_steps
        ended = continued * rest * self._setting.fitted + confirmed * plan.recipe.steps * self._signals
        return ended + self.runs.steps_running

    @property
    def steps_ahead(self) -> int:
        """Member steps that are still to come if no further trial begins: of the running trials and of all runs."""
        plan = self._plan
        continuing = self._finalists_expected if self._continues and not self.trials.done else len(self._continuing())
        runs = self.runs_total - self.runs.finished
        continued = continuing * (plan.recipe.steps - plan.search_steps) * self._setting.fitted
        confirmed = max(0, runs - continuing) * plan.recipe.steps * self._signals
        return self.trials.steps_ahead + continued + confirmed

    def next_signal(self) -> Job | None:
        """What goes on with its next signal: before anything new is begun."""
        return self.trials.next_signal() or self.runs.next_signal()

    def next_run(self) -> Job | None:
        """A run for a free slot: the usual initialisations may start before the search has ended."""
        job = None
        if self.trials.done and (wishes := self._continuing()):
            job = self.runs.next_job(wishes)
        return job or self.runs.next_job(self._unconfirmed())

    def absorb(self, progress: Progress) -> bool:
        """Take a report in; True if the member has to leave its slot."""
        if self.trials.holds(progress.key):
            return self.trials.absorb(progress)
        self.runs.absorb(progress)
        return False

    def lost(self, key: str) -> None:
        """The trainer of a member died."""
        (self.trials if self.trials.holds(key) else self.runs).lost(key)

    def close(self) -> None:
        """Stop; nothing is left running in the record."""
        self.trials.close()
        self.runs.close()

    def result(self) -> FamilyResult:
        """The answer, once the phase is ``done``."""
        plan = self._plan
        arms = [arm_of(arm, self.runs.recorded(arm.name), plan.objective, plan.recipe.steps) for arm in self._arms]
        return family_result(
            self.family, arms, replicates=plan.seeds, trials=self.trials.finished, objective=plan.objective,
            fitted=self._setting.fitted, rate=self._rate,
        )  # fmt: skip

    def trained(self) -> list[Trained]:
        """Networks to look at, once the phase is ``done``: the winner's, and what it is compared with, one for each
        signal that networks are kept for.

        An arm whose every replicate was trained before this process took the study up is left out.
        """
        result = self.result()
        usual = [] if result.comparison is None else [result.comparison.baseline]
        names = [result.winner.name, *usual, *[arm.name for arm in result.arms if arm.kind == "finalist"][:1]]
        specs = {arm.name: arm for arm in self._arms}
        found = [(specs[name], self.runs.trained(name)) for name in dict.fromkeys(names)]
        return [
            Trained(
                self.family, arm.name, arm.kind, arm.config, confirmation_seed(self._plan.seed, one[0]), weights, place
            )
            for arm, one in found
            if one is not None
            for place, weights in sorted(one[1].items())
        ]

    @property
    def settled(self) -> bool:
        """Whether all arms are known: the search is over and its finalists are ranked at the full horizon."""
        return self.trials.done and not self._continuing()

    @property
    def _continues(self) -> bool:
        return self._plan.search_steps < self._plan.recipe.steps

    @cached_property
    def _found(self) -> tuple[tuple[Outcome, ArmSpec], ...]:
        """The finalists and their arms; asked for only when the search is over, and constant from then on."""
        trials, found = self.trials, []
        for outcome in trials.finalists():
            config, rate = trials.config(outcome.params), trials.learning_rate(outcome.params)
            found.append((outcome, finalist_arm(self.family, outcome.number, config, rate)))
        return tuple(found)

    @property
    def _finalists(self) -> list[ArmSpec]:
        return [arm for _, arm in self._found] if self.trials.done else []

    @property
    def _arms(self) -> list[ArmSpec]:
        """The arms known now: the usual ones from the start, then the finalists, then the usual ones at their scale.
        None of a family that could not be trained.
        """
        if self.trials.untrainable is not None:
            return []
        return [*self._finalists, *self._customary, *self._theory, *(self._as_found if self.settled else ())]

    @property
    def _as_found(self) -> tuple[ArmSpec, ...]:
        """The usual rules at the ``sigma_a`` and rate of the finalist that leads, and of those that have led."""
        scores = self.runs.scores
        if self._continues:
            best = max(self._finalists, key=lambda arm: scores[arm.name, CONTINUATION])
        else:
            best = self._finalists[0]
        leaders = leading_finalists(self._finalists, scores, self._plan.seeds)
        arms: dict[str, ArmSpec] = {}
        for leader in [best, *leaders]:
            if leader.name not in self._again:
                self._again[leader.name] = as_found_arms(self._customary, leader, self._setting.widths)
            arms |= {arm.name: arm for arm in self._again[leader.name]}
        return tuple(arms.values())

    @property
    def _finalists_expected(self) -> int:
        return len(self._finalists) if self.trials.done else min(self._plan.finalists, self.trials.share)

    @cached_property
    def _at_one_more_scale(self) -> int:
        """How many arms a finalist adds that leads: the usual rules at its ``sigma_a``, and at its rate if searched."""
        if not self._customary:
            return 0
        usual = self._customary[0]
        rate = usual.learning_rate * (2.0 if self._rate_searched else 1.0)
        found = replace(
            usual, config=replace(usual.config, sigma_a=1.234567 * usual.config.sigma_a), learning_rate=rate
        )
        return len(as_found_arms(self._customary, found, self._setting.widths))

    def _continuing(self) -> list[Wish]:
        """The finalists that still have to be trained on to the full horizon; only when the search is over."""
        if not self._continues:
            return []
        scores = self.runs.scores
        return [
            Wish(
                arm,
                CONTINUATION,
                outcome.seed,
                self._setting.fitted,
                self.trials.states(outcome.order),
                dict(enumerate(split(outcome.curve, self._plan.search_steps))),
            )
            for outcome, arm in self._found
            if (arm.name, CONTINUATION) not in scores
        ]

    def _unconfirmed(self) -> Sequence[Wish]:
        """The confirmation runs that may start now."""
        missing = missing_runs(self._arms, self.runs.scores, self._plan.seeds, settled=self.settled)
        seed = self._plan.seed
        every = self._signals
        return [Wish(arm, replicate, confirmation_seed(seed, replicate), every) for arm, replicate in missing]


def _theory_arms(family: FamilyPlan, widths: tuple[int, ...], moment: float, rate: float) -> tuple[ArmSpec, ...]:
    """The theory's own init; none where a family (a formula) has no moments at its customary scale."""
    try:
        return (theory_arm(family.family, family.parameters, widths, moment, rate),)
    except (ValueError, ArithmeticError):
        return ()
