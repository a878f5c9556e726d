"""The program of one study: its families side by side, and what they amount to."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.storages import RDBStorage

from vi3nr.activations import family_of
from vi3nr.ensemble.interface import Progress
from vi3nr.guess import start_points
from vi3nr.signals import Signal
from workers.events import Event, Run
from workers.family import PHASES, FamilyProgram
from workers.jobs import Job, Setting
from workers.plan import FamilyPlan, StudyPlan
from workers.result import ProgressNote, StudyResult
from workers.search import FamilySearch
from workers.search_space import SearchSpace
from workers.seeds import moment_seed
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
        self, plan: StudyPlan, signal: Signal, runs: Sequence[Run], *, signal_key: str, lease: int, storage: RDBStorage
    ) -> None:
        """Take a study up where its recorded trials and runs leave it. Raises ValueError for a plan that cannot run."""
        _check(plan)
        self.plan, self.signal_key = plan, signal_key
        self._points, self._channels = signal.values.shape[0], signal.values.shape[1]
        self.outbox: list[Event] = []
        self._programs = [
            _family_program(plan, family, signal, runs, signal_key, lease, storage, self.outbox)
            for family in plan.families
        ]
        self._owners: dict[str, FamilyProgram] = {}  # by member key

    @property
    def done(self) -> bool:
        """Whether nothing is left to train."""
        return all(program.phase == "done" for program in self._programs)

    def next_job(self) -> Job | None:
        """What to put into a free slot: from the family that holds the fewest, the first named first."""
        for program in sorted(self._programs, key=lambda program: program.running):
            job = program.next_job()
            if job is not None:
                self._owners[job.member.key] = program
                return job
        return None

    def absorb(self, progress: Progress) -> bool:
        """Take a report in; True if the member has to leave its slot."""
        evict = self._owners[progress.key].absorb(progress)
        if progress.finished or evict:
            del self._owners[progress.key]
        return evict

    def lost(self, key: str) -> None:
        """The trainer of a member died."""
        self._owners.pop(key).lost(key)

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
            trials_done=sum(min(program.trials.finished, self.plan.trials) for program in programs),
            trials_total=self.plan.trials * len(programs),
            runs_done=sum(program.runs.finished for program in programs),
            runs_total=sum(program.runs_total for program in programs),
            member_steps_done=sum(done for done, _ in steps),
            member_steps_total=sum(total for _, total in steps),
            device_seconds=sum(program.trials.seconds + program.runs.seconds for program in programs),
            best_family=None if family is None else family.family,
            best_trial=None if best is None else best.number,
            best_score=None if best is None else best.score,
        )

    def result(self) -> StudyResult:
        """The answer, once ``done``."""
        results = [program.result() for program in self._programs]
        return study_result(self.plan, results, points=self._points, channels=self._channels)


def _family_program(
    plan: StudyPlan,
    family: FamilyPlan,
    signal: Signal,
    runs: Sequence[Run],
    signal_key: str,
    lease: int,
    storage: RDBStorage,
    outbox: list[Event],
) -> FamilyProgram:
    widths = plan.network.widths(signal.coordinates.shape[1], signal.values.shape[1])
    rate = family_of(family.family).learning_rate if family.learning_rate is None else family.learning_rate
    setting = Setting(plan.study_id, family.family, signal_key, widths, plan.recipe, rate)
    space = SearchSpace.for_family(family, signal)
    search = FamilySearch(
        storage,
        optuna_study_name(plan.study_id, family.family),
        family.family,
        space.distributions(),
        [space.to_params(point) for point in start_points(family.family, signal, space.plan.parameters)],
        search_steps=plan.search_steps,
        seed=plan.seed,
        lease=lease,
    )
    trials = TrialPhase(
        setting,
        search,
        space,
        Moments(signal.input_second_moment, plan.method, moment_seed(plan.seed, family.family)),
        trials=plan.trials,
        search_steps=plan.search_steps,
        finalists=plan.finalists,
        outbox=outbox,
    )
    return FamilyProgram(plan, space.plan, setting, trials, [r for r in runs if r.family == family.family], outbox)


def _check(plan: StudyPlan) -> None:
    names = [family.family for family in plan.families]
    for name in names:
        family_of(name)  # refuses an unknown one
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a study names one or more families, each once, got {names}")
    if not 1 <= plan.search_steps <= plan.recipe.steps:
        raise ValueError(f"search_steps must lie in 1 to {plan.recipe.steps} (steps), got {plan.search_steps}")
    for name, number in (("trials", plan.trials), ("finalists", plan.finalists), ("seeds", plan.seeds)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
