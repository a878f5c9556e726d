"""The program of one study: its families side by side, and what they amount to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from vi3nr.activations import family_of
from vi3nr.ensemble.held_out import check_points
from vi3nr.ensemble.interface import Progress
from vi3nr.signals import Signal
from workers.events import Event, Run
from workers.exhibitor import exhibits
from workers.exhibits import Exhibit
from workers.family import PHASES, FamilyProgram
from workers.jobs import Job, Setting
from workers.plan import FamilyPlan, StudyPlan
from workers.race import BY_CLOCK, Spent, exhausted, next_family
from workers.result import ProgressNote, StudyResult
from workers.search import FamilySearch
from workers.search_space import SearchSpace
from workers.seeds import moment_seed
from workers.storage import Fence, TrialStorage
from workers.trials import Moments, TrialPhase
from workers.verdict import study_result

__all__ = ["StudyProgram", "optuna_study_name"]


def optuna_study_name(study_id: str, family: str) -> str:
    """What Optuna and its dashboard call the search of one family."""
    return f"{study_id} {family}"


class StudyProgram:
    """Hands out jobs, takes reports in, and says where the study stands.

    ``outbox`` collects what has happened since it was last emptied.
    """

    def __init__(
        self,
        plan: StudyPlan,
        signals: Sequence[Signal],
        runs: Sequence[Run],
        *,
        signal_keys: Sequence[str],
        lease: int,
        storage: TrialStorage,
        clock: Callable[[], float],
        fence: Fence | None = None,
    ) -> None:
        """Take a study up where its recorded trials and runs leave it; ``clock`` tells the seconds since it began,
        ``fence`` whether the lease holds.

        The last ``plan.held_out_signals`` of the signals are held out. Raises ValueError for a plan that cannot run.
        """
        _check(plan)
        _check_signals(plan, signals)
        self._clock = clock
        self.plan, self.signal_keys = plan, tuple(signal_keys)
        self._signals = tuple(signals)
        self.outbox: list[Event] = []
        self._programs = [
            _family_program(plan, family, signals, runs, self.signal_keys, lease, storage, fence, self.outbox)
            for family in plan.families
        ]
        self._owners: dict[str, FamilyProgram] = {}  # by member key
        self._judge()

    @property
    def done(self) -> bool:
        """Whether nothing is left to train."""
        return all(program.phase == "done" for program in self._programs)

    def next_job(self, *, ahead: bool = False) -> Job | None:
        """What to put into a free slot: what has begun and goes on with its next signal, a trial while the search goes
        on, else a run of whom has the fewest slots. ``ahead`` is for a slot that is still taken: nothing while the next
        trial waits for one that runs, since that one's slot is to be its own.
        """
        for begun in self._programs:
            job = begun.next_signal()
            if job is not None:
                return self._owned(job, begun)
        while (program := self._searching()) is not None:
            job = program.trials.next_job()
            if job is not None:
                return self._owned(job, program)
        if ahead and not self._judge():
            return None
        for program in sorted(self._programs, key=lambda program: program.running):
            job = program.next_run()
            if job is not None:
                return self._owned(job, program)
        return None

    def _owned(self, job: Job, program: FamilyProgram) -> Job:
        self._owners[job.member.key] = program
        return job

    def _searching(self) -> FamilyProgram | None:
        """The family to try next; None where it has to wait, and once a limit is spent: that ends the search of all."""
        if self._judge():
            return None
        place = next_family([program.trials.contender(race=self.plan.race) for program in self._programs])
        return None if place is None else self._programs[place]

    def _judge(self) -> bool:
        """Whether the search is over, and tell the families so. A trial that loses its trainer may open it again."""
        phases = [program.trials for program in self._programs]
        ended = next((phase.ended for phase in phases if phase.ended in BY_CLOCK), None)
        if ended is None:
            begun = all(phase.finished for phase in phases)
            ended = exhausted(self.plan.budget, self._trials_in_all, self._spent(), begun=begun)
        for phase in phases:
            phase.judge(ended)
        return ended is not None

    def _spent(self) -> Spent:
        programs = self._programs
        trials = sum(program.trials.finished + program.trials.running for program in programs)
        compute = sum(program.trials.seconds + program.runs.seconds for program in programs)
        steps = sum(program.steps_trained for program in programs)
        ahead = sum(program.steps_ahead for program in programs)
        return Spent(trials, self._clock(), compute, compute / steps * ahead if steps else 0.0)

    def absorb(self, progress: Progress) -> bool:
        """Take a report in; True if the member has to leave its slot."""
        evict = self._owners[progress.key].absorb(progress)
        if progress.finished or evict:
            del self._owners[progress.key]
            self._judge()
        return evict

    def lost(self, key: str) -> None:
        """The trainer of a member died."""
        self._owners.pop(key).lost(key)
        self._judge()

    def close(self) -> None:
        """Stop; nothing is left running in the record."""
        for program in self._programs:
            program.close()

    def progress(self) -> ProgressNote:
        """Where the study stands."""
        programs = self._programs
        steps = [program.steps for program in programs]
        ranked = [(program, best) for program in programs for best in program.trials.ranking()[:1]]
        family, best = max(ranked, key=lambda pair: pair[1].score, default=(None, None))
        return ProgressNote(
            phase=min((program.phase for program in programs), key=PHASES.index),
            trials_done=sum(program.trials.finished for program in programs),
            trials_total=self._trials_total(),
            runs_done=sum(program.runs.finished for program in programs),
            runs_total=sum(program.runs_total for program in programs),
            member_steps_done=sum(done for done, _ in steps),
            member_steps_total=sum(total for _, total in steps),
            device_seconds=sum(program.trials.seconds + program.runs.seconds for program in programs),
            best_family=None if family is None else family.family,
            best_trial=None if best is None else best.number,
            best_score=None if best is None else best.score,
            unit=self.plan.objective.unit,
        )

    def result(self) -> StudyResult:
        """The answer, once ``done``. A family that could not be trained is left out and named in the warnings.

        Raises ValueError when none could be.
        """
        reasons = [reason for program in self._programs if (reason := program.trials.untrainable) is not None]
        if not self._trained:
            raise ValueError("; ".join(reasons))
        results = [program.result() for program in self._trained]
        ended = self._programs[0].trials.ended or "trials"
        points = min(len(signal.values) for signal in self._signals)
        found = study_result(self.plan, results, ended, points=points, signals=len(self._signals))
        left_out = [f"A family is left out of the answer: {reason}." for reason in reasons]
        return replace(found, warnings=(*found.warnings, *left_out))

    def exhibits(self) -> tuple[Exhibit, ...]:
        """What the report shows besides the numbers, once ``done``."""
        return exhibits([one for program in self._trained for one in program.trained()], self._signals)

    @property
    def _trained(self) -> list[FamilyProgram]:
        """The families that there is an answer for, once ``done``."""
        return [program for program in self._programs if program.trials.untrainable is None]

    def _trials_total(self) -> int:
        """As many as the budget has, or as there are once the search has ended."""
        trials = [program.trials for program in self._programs]
        if all(phase.ended for phase in trials):
            return sum(phase.finished + phase.running for phase in trials)
        return self._trials_in_all

    @property
    def _trials_in_all(self) -> int:
        return sum(program.trials.share for program in self._programs)


def _family_program(
    plan: StudyPlan,
    family: FamilyPlan,
    signals: Sequence[Signal],
    runs: Sequence[Run],
    signal_keys: tuple[str, ...],
    lease: int,
    storage: TrialStorage,
    fence: Fence | None,
    outbox: list[Event],
) -> FamilyProgram:
    widths = plan.network.widths(signals[0].coordinates.shape[1], signals[0].values.shape[1])
    fitted = signals[: len(signals) - plan.held_out_signals]
    points = max(len(signal.values) for signal in signals)
    for signal in signals:
        check_points(signal, plan.training.held_out)
    setting = Setting(
        plan.study_id, family.family, signal_keys, len(fitted), widths, plan.training, plan.objective, points
    )  # fmt: skip
    space = SearchSpace.for_family(family, fitted)
    moment = sum(signal.input_second_moment for signal in fitted) / len(fitted)
    search = FamilySearch(
        storage,
        optuna_study_name(plan.study_id, family.family),
        family.family,
        space.distributions(),
        space.start(fitted),
        objective=plan.objective,
        search_steps=plan.search_steps,
        steps=plan.recipe.steps,
        seed=plan.seed,
        lease=lease,
        fence=fence,
        signals=len(fitted),
        prior=[optuna_study_name(study, family.family) for study in family.prior],
        hint=optuna_study_name(family.hint, family.family) if family.hint else None,
    )
    trials = TrialPhase(
        setting,
        search,
        space,
        Moments(moment, plan.method, moment_seed(plan.seed, family.family)),
        trials=plan.budget.trials,
        search_steps=plan.search_steps,
        finalists=plan.finalists,
        outbox=outbox,
    )
    return FamilyProgram(plan, space.plan, setting, trials, [r for r in runs if r.family == family.family], outbox)


def _check_signals(plan: StudyPlan, signals: Sequence[Signal]) -> None:
    if not 0 <= plan.held_out_signals < len(signals):
        raise ValueError(
            f"held_out_signals must leave one of the {len(signals)} signals to search on, got {plan.held_out_signals}"
        )
    ends = {(signal.coordinates.shape[1], signal.values.shape[1]) for signal in signals}
    if len(ends) > 1:
        raise ValueError(
            f"the signals of a study have coordinates and values of the same dimensions, got {sorted(ends)}"
        )


def _check(plan: StudyPlan) -> None:
    names = [family.family for family in plan.families]
    for name in names:
        family_of(name)  # refuses an unknown one
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a study names one or more families, each once, got {names}")
    if not 1 <= plan.search_steps <= plan.recipe.steps:
        raise ValueError(f"search_steps must lie in 1 to {plan.recipe.steps} (steps), got {plan.search_steps}")
    for name, number in (("trials", plan.budget.trials), ("finalists", plan.finalists), ("seeds", plan.seeds)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
