"""One real study against the usual initialisations: the first part of ``benchmarks.search``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import optuna

from benchmarks.paper_store import Row
from benchmarks.photographs import photograph
from vi3nr.ensemble.interface import Recipe
from vi3nr.signals import Signal
from workers.engine import Engine
from workers.events import StudyCompleted, StudyFailed
from workers.objective import Objective
from workers.plan import Budget, FamilyPlan, Network, StudyPlan
from workers.pool_local import LocalPool
from workers.result import FamilyResult
from workers.storage import open_storage
from workers.study import optuna_study_name
from workers.trainer import Trainer

__all__ = ["defaults_row", "quick_row"]

HORIZON, FINALISTS = 0.4, 3


def study_plan(family: str, steps: int, trials: int, seeds: int, seed: int = 0) -> StudyPlan:
    """The service's defaults in this setting."""
    return StudyPlan(
        study_id="benchmark", families=(FamilyPlan(family),), network=Network(64, 3), recipe=Recipe(steps),
        budget=Budget(trials), seed=seed, search_steps=round(HORIZON * steps), method="analytic",
        objective=Objective(), finalists=FINALISTS, seeds=seeds, baselines=None,
    )  # fmt: skip


def run(plan: StudyPlan, signal: Signal, device: str = "cpu") -> tuple[FamilyResult, float]:
    """The study from the first trial to the verdict in this process, one training at a time; and what finding cost, in
    full trainings.
    """
    with TemporaryDirectory() as folder:
        storage = open_storage(f"sqlite:///{Path(folder) / 'optuna.db'}")
        engine = Engine(LocalPool(player=lambda _, slots: Trainer(device, slots)), storage)
        engine.add(plan, signal, (), lease=1)
        while True:
            for event in engine.step(1.0):
                if isinstance(event, StudyFailed):
                    raise RuntimeError(event.error)
                if isinstance(event, StudyCompleted):
                    cost = _cost(optuna_study_name(plan.study_id, plan.families[0].family), storage, plan)
                    storage.engine.dispose()
                    return event.result.families[0], cost


def _cost(name: str, storage: optuna.storages.RDBStorage, plan: StudyPlan) -> float:
    trials = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
    searched = sum(max(trial.intermediate_values, default=0) for trial in trials)
    return (searched + plan.finalists * (plan.recipe.steps - plan.search_steps)) / plan.recipe.steps


def row(name: str, result: FamilyResult, cost: float) -> Row:
    """One line of the table."""
    comparison = result.comparison
    assert comparison is not None
    gain = comparison.gain
    found = next(arm for arm in result.arms if arm.kind == "finalist" and arm.score.n == gain.n)
    return {
        "signal": name, "family": result.family, "gain_db": gain.mean, "ci_low": gain.low, "ci_high": gain.high,
        "trials": result.trials, "cost_trials": round(cost, 2),
        "confirm_trials": sum(arm.score.n for arm in result.arms),
        "found_db": found.score.mean, "baseline": comparison.baseline, "verdict": comparison.verdict,
        "sigma_a": found.sigma_a, "sigma_p": found.sigma_p, "sigma_p_first": found.sigma_p_first,
        "bias_first": found.bias_first,
        "arms": {arm.name: [round(value, 2) for value in arm.values] for arm in result.arms},
    }  # fmt: skip


def defaults_row(name: str, family: str, signal: Signal, device: str) -> Row:
    """24 trials and five seeds on a picture."""
    return row(name, *run(study_plan(family, 400, 24, 5), signal, device))


def quick_row(family: str) -> Row:
    """The same path in seconds: 48x48, 60 steps, 8 trials, two seeds."""
    name = "chelsea"
    return row(name, *run(study_plan(family, 60, 8, 2), photograph(name, 48)))
