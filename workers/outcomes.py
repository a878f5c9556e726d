"""A trial as the search asks for it, and an order as it stands finished in Optuna's record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from workers.objective import Curve
from workers.seeds import trial_seed

__all__ = ["CURVE", "FINISHED", "WORDS", "Asked", "Outcome", "attempt_of", "order_of", "outcome_of"]

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
WORDS = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
CURVE = "PSNR curve"  # user attribute of trials whose reports to Optuna are not PSNR, and of those on several signals


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
    """A finished order; ``score`` is the objective's at the search horizon, or where it was pruned."""

    number: int
    order: int
    state: str  # "complete" or "pruned"
    params: Mapping[str, float]
    score: float
    seed: int
    seconds: float
    note: str | None  # why it could not be trained, if so
    curve: Curve = ()  # PSNR in dB at each report, in the line of workers.tours


def outcome_of(trial: FrozenTrial, study_seed: int) -> Outcome:
    """What Optuna's record says of a finished trial."""
    facts = trial.user_attrs
    order = int(facts["order"])
    curve = facts.get(CURVE, sorted(trial.intermediate_values.items()))
    return Outcome(
        number=trial.number,
        order=order,
        state=WORDS[trial.state],
        params=trial.params,
        score=float(trial.values[0]) if trial.values else float("-inf"),
        seed=int(facts.get("seed", trial_seed(study_seed, order))),
        seconds=float(facts.get("seconds", 0.0)),
        note=facts.get("note"),
        curve=tuple((int(step), psnr) for step, psnr in curve),
    )


def order_of(trial: FrozenTrial) -> int | None:
    """The order that an Optuna trial is an attempt at; None where it was cut short while being asked for."""
    return None if "order" not in trial.user_attrs else int(trial.user_attrs["order"])


def attempt_of(trial: FrozenTrial) -> int:
    """Which attempt at its order a trial is, from 1."""
    return int(trial.user_attrs.get("attempt", 1))
