"""From the recorded runs to the answer: arms with intervals, the paired comparison and sentences for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vi3nr.activations import activation
from vi3nr.config import Stability
from vi3nr.ensemble.interface import WORST_SCORE
from vi3nr.theory import stable_sigma_p
from workers.arms import ArmSpec, bias_label
from workers.carry_over import carry_over
from workers.events import Run
from workers.exhibits import Exhibit
from workers.objective import Objective
from workers.plan import StudyPlan
from workers.result import (
    Arm,
    Comparison,
    FamilyResult,
    Interval,
    NetworkMetrics,
    StudyResult,
    memorising_warning,
)
from workers.statistics import mean_interval, paired_interval
from workers.tours import signal_scores

__all__ = ["arm_of", "compare", "family_result", "study_result", "with_metrics"]


def arm_of(spec: ArmSpec, runs: Sequence[Run], objective: Objective, steps: int) -> Arm:
    """One line of the confirmation table. ``runs`` are the arm's, by replicate from 0, of ``steps`` steps a signal."""
    values = tuple(run.score for run in runs)
    config = spec.config
    return Arm(
        name=spec.name,
        kind=spec.kind,
        family=config.family,
        sigma_a=config.sigma_a,
        sigma_p=config.sigma_p,
        sigma_p_first=config.sigma_p_first,
        bias_first=bias_label(config),
        learning_rate=spec.learning_rate,
        score=mean_interval(values),
        values=values,
        diverged=sum(run.diverged for run in runs),
        trial=spec.trial,
        init_config=config,
        per_signal=tuple(tuple(signal_scores(objective, run.curve, steps, steps)) for run in runs),
    )


def compare(found: Arm, baseline: Arm, objective: Objective) -> Comparison:
    """The best found config against the best usual one, over the seeds that both were trained from."""
    gain = paired_interval(dict(enumerate(found.values)), dict(enumerate(baseline.values)))
    if gain.low is not None and gain.low > 0.0:
        verdict = "better"
    elif gain.high is not None and gain.high < 0.0:
        verdict = "worse"
    else:
        verdict = "as_good"
    return Comparison(baseline.name, gain, verdict, _sentence(found.name, baseline.name, gain, verdict, objective))


def family_result(
    family: str, arms: Sequence[Arm], *, replicates: int, trials: int, objective: Objective, fitted: int = 1
) -> FamilyResult:
    """Rank a family's arms. The winner is the best mean among the arms with all ``replicates``; ``fitted`` signals
    were searched on, the others held out.
    """
    ranked = sorted(arms, key=lambda arm: -arm.score.mean)
    full = [arm for arm in ranked if arm.score.n >= replicates]
    found = next((arm for arm in full if arm.kind == "finalist"), None)
    usual = next((arm for arm in full if arm.kind == "baseline"), None)
    winner = full[0]
    stable = _stability(winner)
    return FamilyResult(
        family=family,
        learning_rate=winner.learning_rate,
        winner=winner,
        comparison=None if found is None or usual is None else compare(found, usual, objective),
        arms=tuple(ranked),
        trials=trials,
        stability_sigma_p=stable.sigma_p,
        stability_kind=stable.kind,
        carry_over=None if found is None or usual is None else carry_over(found, usual, fitted, objective),
    )


def study_result(
    plan: StudyPlan, families: Sequence[FamilyResult], ended: str, *, points: int, channels: int, signals: int = 1
) -> StudyResult:
    """Rank the families by their winners' means, and say what a reader should beware of."""
    ranked = sorted(families, key=lambda family: -family.winner.score.mean)
    return StudyResult(
        objective=plan.objective.name,
        metric=plan.objective.metric,
        unit=plan.objective.unit,
        steps=plan.recipe.steps,
        search_steps=plan.search_steps,
        search_ended_by=ended,
        points=points,
        families=tuple(ranked),
        warnings=(*_memorising(ranked[0].winner, points, channels), *_diverged(ranked)),
        signals=signals - plan.held_out_signals,
        held_out_signals=plan.held_out_signals,
    )


def with_metrics(result: StudyResult, exhibits: Sequence[Exhibit]) -> StudyResult:
    """The answer with what its kept networks are worth by the metrics of their signals' kind."""

    def of(family: FamilyResult) -> FamilyResult:
        shown = [one for one in exhibits if one.family == family.family and one.metrics]
        found = tuple(NetworkMetrics(one.arm, one.seed, one.signal, dict(one.metrics)) for one in shown)
        return replace(family, metrics=found)

    return replace(result, families=tuple(of(family) for family in result.families))


def _sentence(found: str, usual: str, gain: Interval, verdict: str, objective: Objective) -> str:
    unit, digits = objective.unit, 1 if objective.unit == "dB" else 0
    by = f"{gain.mean:+.{digits}f} {unit}"
    if gain.low is None or gain.high is None:
        return f"{found} scores {by} against {usual} on one seed; one seed cannot tell which is better."
    interval = f"95 % interval {gain.low:.{digits}f} to {gain.high:.{digits}f}, {gain.n} seeds"
    if verdict == "better":
        return f"{found} gains {gain.mean:.{digits}f} {unit} ({interval}) over {usual}."
    if verdict == "worse":
        loss = f"{-gain.mean:.{digits}f} {unit}"
        return f"Your usual default, {usual}, is already best: keep it. {found} loses {loss} ({interval})."
    if gain.mean < 0.0:
        return f"{found} is about as good as {usual}: {by} ({interval}). If that is your default, keep it."
    return f"{found} is as good as {usual}, but not clearly better: {by} ({interval})."


def _stability(winner: Arm) -> Stability:
    config = winner.init_config
    return stable_sigma_p(activation(config.family, config.sigma_a, **config.parameters))


def _memorising(winner: Arm, points: int, channels: int) -> list[str]:
    parameters = sum((layer.fan_in + 1) * layer.fan_out for layer in winner.init_config.layers)
    warning = memorising_warning(parameters, points, channels)
    return [] if warning is None else [warning]


def _diverged(families: Sequence[FamilyResult]) -> list[str]:
    arms = [arm for family in families for arm in family.arms if arm.diverged]
    return [
        f"{arm.name} diverged in {arm.diverged} of {arm.score.n} runs; each of them counts as {WORST_SCORE:.0f} dB."
        for arm in arms
    ]
