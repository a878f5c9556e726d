"""A small study and the loop that a runner turns, for the tests of the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from vi3nr.ensemble.interface import Recipe
from vi3nr.signals import Signal, image_signal
from workers.engine import Engine
from workers.events import Event, Run, RunFinished, StudyCompleted, StudyFailed, TrialFinished
from workers.objective import Objective
from workers.plan import Budget, FamilyPlan, Network, StudyPlan
from workers.result import StudyResult
from workers.study import optuna_study_name

COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)


def small_signal() -> Signal:
    """A 12 x 12 picture with some detail."""
    y, x = np.mgrid[0:12, 0:12] / 12
    pixels = 128 + 100 * np.sin(9 * x) * np.cos(7 * y)
    return image_signal(np.stack([pixels, pixels.T, 255 - pixels], axis=-1).astype(np.uint8))


PLAN = StudyPlan(
    study_id="s",
    families=(FamilyPlan("gaussian"),),
    network=Network(width=8, hidden_layers=1),
    recipe=Recipe(steps=200),
    budget=Budget(trials=8),
    seed=3,
    search_steps=80,
    method="analytic",
    objective=Objective(),
    finalists=2,
    seeds=3,
    baselines=None,
)


def plan(
    study_id: str,
    families: Sequence[str | FamilyPlan] = ("gaussian",),
    trials: int = PLAN.budget.trials,
    **changes: object,
) -> StudyPlan:
    """The small study under a name, with changes."""
    chosen = tuple(FamilyPlan(one) if isinstance(one, str) else one for one in families)
    return replace(PLAN, study_id=study_id, families=chosen, **{"budget": Budget(trials), **changes})


@dataclass
class Record:
    """What a runner would have written down."""

    runs: list[Run] = field(default_factory=list)
    trials: list[TrialFinished] = field(default_factory=list)
    results: dict[str, StudyResult] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def take(self, events: Sequence[Event]) -> None:
        self.events += events
        for event in events:
            if isinstance(event, RunFinished):
                self.runs.append(event.run)
            elif isinstance(event, TrialFinished):
                self.trials.append(event)
            elif isinstance(event, StudyCompleted):
                self.results[event.study_id] = event.result
            elif isinstance(event, StudyFailed):
                self.errors[event.study_id] = event.error


def drive(engine: Engine, record: Record, stop: Callable[[int], bool] = lambda _: False, limit: int = 20000) -> Record:
    """Step until no study is active, or until ``stop`` (given the number of steps made)."""
    for count in range(limit):
        record.take(engine.step(0.0))
        if not engine.studies or stop(count + 1):
            return record
    raise AssertionError(f"no end after {limit} steps")


def trials_of(storage: RDBStorage, study_id: str, family: str = "gaussian") -> list[optuna.trial.FrozenTrial]:
    """What Optuna recorded."""
    return optuna.load_study(study_name=optuna_study_name(study_id, family), storage=storage).get_trials()


def counted(storage: RDBStorage, study_id: str, family: str = "gaussian") -> list[FrozenTrial]:
    """The trials that count against the budget."""
    return [trial for trial in trials_of(storage, study_id, family) if trial.state in COUNTED]


def assert_whole(storage: RDBStorage, record: Record, asked: StudyPlan) -> dict[str, int]:
    """Every order counted once, as many as the budget has, no run twice, nothing left running, and an answer."""
    each = {}
    for family in asked.families:
        orders = Counter(trial.user_attrs["order"] for trial in counted(storage, asked.study_id, family.family))
        assert set(orders.values()) == {1}
        assert sorted(orders) == list(range(len(orders)))
        states = {trial.state for trial in trials_of(storage, asked.study_id, family.family)}
        assert states <= {*COUNTED, TrialState.FAIL}
        each[family.family] = len(orders)
    assert sum(each.values()) == asked.budget.trials * len(each)
    assert min(each.values()) >= asked.budget.trials // 2
    runs = Counter((run.family, run.arm, run.replicate) for run in record.runs)
    assert set(runs.values()) == {1}
    assert {family.family: family.trials for family in record.results[asked.study_id].families} == each
    return each
