"""From the recorded runs to the answer: arms with intervals, the paired comparison and sentences for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from vi3nr.activations import activation, family_of
from vi3nr.config import Stability
from vi3nr.theory import stable_sigma_p
from workers.arms import ArmSpec, bias_label
from workers.carry_over import carry_over
from workers.events import Run
from workers.exhibits import Exhibit
from workers.memorising import memorising_warning
from workers.objective import Objective
from workers.plan import StudyPlan
from workers.result import (
    Arm,
    Comparison,
    FamilyComparison,
    FamilyResult,
    Interval,
    NetworkMetrics,
    StudyResult,
)
from workers.statistics import mean_interval, paired_interval
from workers.tours import signal_scores

__all__ = ["arm_of", "compare", "compare_families", "family_result", "study_result", "with_metrics"]


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


def compare(
    found: Arm, baseline: Arm, objective: Objective, habitual: Arm | None = None, rate: float | None = None
) -> Comparison:
    """The best found config against the best usual one, over the seeds that both were trained from.

    ``habitual`` is the best usual one as it is customary, for the sentence where ``baseline`` is at another scale or
    rate; ``rate`` what is customary in this study, None: any.
    """
    gain = _paired(found, baseline)
    if gain.low is not None and gain.low > 0.0:
        verdict = "better"
    elif gain.high is not None and gain.high < 0.0:
        verdict = "worse"
    else:
        verdict = "as_good"
    customary = _is_customary(baseline, rate)
    sentence = _sentence(found.name, baseline.name, gain, verdict, objective, customary)
    if habitual is not None and not customary and verdict != "better":
        sentence += _over_habit(found, habitual, objective)
    return Comparison(baseline.name, gain, verdict, sentence, customary)


def _is_customary(arm: Arm, rate: float | None) -> bool:
    """Whether people have it as it is: at a customary scale, and not at a learning rate that the search has found."""
    scales = family_of(arm.family).customary_sigma_a
    scaled = any(math.isclose(arm.sigma_a, scale, rel_tol=1e-6) for scale in scales)
    return scaled and (rate is None or math.isclose(arm.learning_rate, rate, rel_tol=1e-6))


def _over_habit(found: Arm, habitual: Arm, objective: Objective) -> str:
    by, _, _ = _difference(gain := _paired(found, habitual), objective)
    return f" Against the best as it is customary, {habitual.name}, it is {by} (mean of {gain.n} seeds)."


def compare_families(ranked: Sequence[FamilyResult], objective: Objective) -> FamilyComparison | None:
    """The winners of the two best families, which share the seeds of the confirmation; None for one family."""
    if len(ranked) < 2:
        return None
    best, second = ranked[:2]
    gain = _paired(best.winner, second.winner)
    better = gain.low is not None and gain.low > 0.0
    sentence = _family_sentence(best.family, second.family, gain, better, objective)
    return FamilyComparison(best.family, second.family, gain, "better" if better else "as_good", sentence)


def family_result(
    family: str,
    arms: Sequence[Arm],
    *,
    replicates: int,
    trials: int,
    objective: Objective,
    fitted: int = 1,
    rate: float | None = None,
) -> FamilyResult:
    """Rank a family's arms. The winner is the best mean among the arms with all ``replicates``; ``fitted`` signals
    were searched on, the others held out. ``rate`` is the customary learning rate in this study, None: any.
    """
    ranked = sorted(arms, key=lambda arm: -arm.score.mean)
    full = [arm for arm in ranked if arm.score.n >= replicates]
    found = next((arm for arm in full if arm.kind != "baseline"), None)  # by the search, or by theory alone
    usual = next((arm for arm in full if arm.kind == "baseline"), None)
    habitual = next((arm for arm in ranked if arm.kind == "baseline" and _is_customary(arm, rate)), None)
    winner = full[0]
    stable = _stability(winner)
    return FamilyResult(
        family=family,
        learning_rate=winner.learning_rate,
        winner=winner,
        comparison=None if found is None or usual is None else compare(found, usual, objective, habitual, rate),
        arms=tuple(ranked),
        trials=trials,
        stability_sigma_p=stable.sigma_p,
        stability_kind=stable.kind,
        carry_over=None if found is None or usual is None else carry_over(found, usual, fitted, objective),
    )


def study_result(
    plan: StudyPlan, families: Sequence[FamilyResult], ended: str, *, points: int, signals: int = 1
) -> StudyResult:
    """Rank the families by their winners' means, compare the first two, and say what a reader should beware of."""
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
        warnings=(*_memorising(plan, ranked, points), *_diverged(ranked, plan.objective)),
        signals=signals - plan.held_out_signals,
        held_out_signals=plan.held_out_signals,
        family_comparison=compare_families(ranked, plan.objective),
    )


def with_metrics(result: StudyResult, exhibits: Sequence[Exhibit]) -> StudyResult:
    """The answer with what its kept networks are worth by the metrics of their signals' kind."""

    def of(family: FamilyResult) -> FamilyResult:
        shown = [one for one in exhibits if one.family == family.family and one.metrics]
        found = tuple(NetworkMetrics(one.arm, one.seed, one.signal, dict(one.metrics)) for one in shown)
        return replace(family, metrics=found)

    return replace(result, families=tuple(of(family) for family in result.families))


def _paired(first: Arm, second: Arm) -> Interval:
    return paired_interval(dict(enumerate(first.values)), dict(enumerate(second.values)))


def _sentence(found: str, usual: str, gain: Interval, verdict: str, objective: Objective, customary: bool) -> str:
    by, size, interval = _difference(gain, objective)
    if interval is None:
        return f"{found} scores {by} against {usual} on one seed; one seed cannot tell which is better."
    interval = f"{interval}, {gain.n} seeds"
    if verdict == "better":
        return f"{found} gains {size} ({interval}) over {usual}."
    told = usual if customary else f"{usual} (a usual rule, at a scale or rate that is not customary)"
    if verdict == "worse":
        best = f"Your usual default, {usual}, is already best: keep it." if customary else f"{told} is best."
        return f"{best} {found} loses {size} ({interval})."
    if gain.mean < 0.0:
        keep = " If that is your default, keep it." if customary else ""
        return f"{found} is about as good as {told}: {by} ({interval}).{keep}"
    return f"{found} is as good as {told}, but not clearly better: {by} ({interval})."


def _difference(gain: Interval, objective: Objective) -> tuple[str, str, str | None]:
    """A paired difference in words: with its sign, without, and its interval; None from one seed."""
    unit, digits = objective.unit, 1 if objective.unit == "dB" else 0
    by, size = f"{gain.mean:+z.{digits}f} {unit}", f"{abs(gain.mean):z.{digits}f} {unit}"
    if gain.low is None or gain.high is None:
        return by, size, None
    return by, size, f"95 % interval {gain.low:z.{digits}f} to {gain.high:z.{digits}f}"


def _family_sentence(best: str, second: str, gain: Interval, better: bool, objective: Objective) -> str:
    by, size, interval = _difference(gain, objective)
    if interval is None:
        return f"{best} scores {by} against {second} on one seed; one seed cannot tell which family is better."
    if better:
        return f"{best} is {size} ({interval}, {gain.n} seeds) better than {second}."
    return f"{best} and {second} are equally good here, as far as {gain.n} seeds can tell: {by} ({interval})."


def _stability(winner: Arm) -> Stability:
    config = winner.init_config
    return stable_sigma_p(activation(config.family, config.sigma_a, **config.parameters))


def _memorising(plan: StudyPlan, families: Sequence[FamilyResult], points: int) -> list[str]:
    widths = families[0].winner.init_config.layer_widths
    warning = memorising_warning(widths, [family.family for family in families], points, plan.objective)
    return [] if warning is None else [warning]


def _diverged(families: Sequence[FamilyResult], objective: Objective) -> list[str]:
    arms = [arm for family in families for arm in family.arms if arm.diverged]
    return [
        f"{arm.name} diverged in {arm.diverged} of {arm.score.n} runs, which its mean includes: its lowest score is "
        f"{min(arm.values):.0f} {objective.unit}."
        for arm in arms
    ]
