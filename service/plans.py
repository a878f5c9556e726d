"""A validated study request -> the plan that workers carry out. Checks what needs the settings, the families
or the dataset; everything that is wrong is told at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from service.problems import FieldError, Problem, shown
from service.schemas import (
    ActivationRequest,
    HeldOut,
    RangeRequest,
    ShareRange,
    ShareRequest,
    StepsToTarget,
    StudyRequest,
)
from service.schemas_theory import FamilyRequest, InitRequest
from service.settings import Settings
from vi3nr.activations import Activation, families, family_of
from vi3nr.activations import activation as build
from vi3nr.baselines import BASELINE_RULES, ONE_FAMILY_ONLY
from vi3nr.ensemble.interface import Recipe
from vi3nr.formula import is_formula
from workers.memorising import memorising_warning
from workers.objective import OWN_CURVE, Objective
from workers.plan import Axis, BiasChoice, Budget, FamilyPlan, Network, Range, StudyPlan
from workers.scheduler import REPORTS, fewest_steps, segment_length

if TYPE_CHECKING:  # records are rows of SQLAlchemy's, which `vi3nr init` has no use for
    from service.records import Dataset

__all__ = ["DEFAULT_HORIZON", "asked_scale", "family_errors", "network_errors", "scale_errors", "study_plan"]

_NO_FAMILY = f"there is no such activation family; choose one of {', '.join(families())}, or write a formula of x"
DEFAULT_HORIZON = 0.4  # of the steps: keeping the best 3 there costs 0.0 to 0.3 dB on three landscapes of four


def study_plan(
    study_id: str, request: StudyRequest, dataset: Dataset, settings: Settings
) -> tuple[StudyPlan, tuple[str, ...]]:
    """The plan, and warnings as sentences.

    Raises:
        Problem: 422, naming every field that is wrong and its value.
    """
    errors = [*_over_limits(request, settings), *_wrong_names(request)]
    batch = request.training.batch_size
    if batch is not None and batch > dataset.fewest_points:
        has = "the smallest signal" if len(dataset.signals) > 1 else "the dataset"
        errors.append(_error("training.batch_size", batch, f"{has} has only {dataset.fewest_points} points"))
    held_out, signals = request.held_out_signals, len(dataset.signals)
    if held_out >= signals:
        message = f"must leave at least one of the dataset's {signals} signals to search on"
        errors.append(_error("held_out_signals", held_out, message))
    for place, activation in enumerate(request.activations):
        errors += scale_errors(f"activations[{place}].", activation)
    errors += _bias_errors(request, dataset)
    if errors:
        raise Problem.of_fields(errors)
    training, search = request.training, request.search
    horizon = DEFAULT_HORIZON if search.horizon is None else search.horizon
    plan = StudyPlan(
        study_id=study_id,
        families=tuple(_family(activation) for activation in request.activations),
        network=Network(request.network.width, request.network.hidden_layers),
        recipe=Recipe(training.steps, training.optimizer, training.batch_size, training.schedule),
        budget=Budget(search.trials, search.seconds, search.compute_seconds),
        seed=search.seed,
        search_steps=max(1, round(horizon * training.steps)),
        method=request.method,
        objective=_objective(request),
        finalists=min(request.confirm.finalists, search.trials),
        seeds=request.confirm.seeds,
        baselines=None if request.baselines is None else tuple(request.baselines),
        race=search.race,
        held_out_signals=held_out,
    )
    return plan, tuple(_warnings(plan, dataset))


def _error(field: str, value: object, message: str) -> FieldError:
    return FieldError(field=field, value=shown(value), message=message)


def _over_limits(request: StudyRequest, settings: Settings) -> Iterator[FieldError]:
    checks = (
        ("training.steps", request.training.steps, settings.max_steps),
        ("search.trials", request.search.trials, settings.max_trials),
        ("confirm.finalists", request.confirm.finalists, settings.max_finalists),
        ("confirm.seeds", request.confirm.seeds, settings.max_seeds),
    )
    yield from network_errors(request, settings)
    for field, value, most in checks:
        if value > most:
            yield _error(field, value, f"must be at most {most}")


def network_errors(request: StudyRequest | InitRequest, settings: Settings) -> Iterator[FieldError]:
    """A network larger than the deployment allows."""
    if request.network.width > settings.max_width:
        yield _error("network.width", request.network.width, f"must be at most {settings.max_width}")
    if request.network.hidden_layers > settings.max_hidden_layers:
        message = f"must be at most {settings.max_hidden_layers}"
        yield _error("network.hidden_layers", request.network.hidden_layers, message)


def _wrong_names(request: StudyRequest) -> Iterator[FieldError]:
    counts = Counter(activation.family for activation in request.activations)
    for place, activation in enumerate(request.activations):
        yield from family_errors(f"activations[{place}].", activation)
        if counts[activation.family] > 1:
            message = f"is asked for {counts[activation.family]} times: ask once, with a wider range"
            yield _error(f"activations[{place}].family", activation.family, message)
            counts[activation.family] = 1
    rules = request.baselines or []
    for place, rule in enumerate(rules):
        if rule not in BASELINE_RULES:
            yield _error(f"baselines[{place}]", rule, f"there is no such rule; choose of {', '.join(BASELINE_RULES)}")
        elif rule in ONE_FAMILY_ONLY and ONE_FAMILY_ONLY[rule] not in counts:
            message = f"is a rule for the {ONE_FAMILY_ONLY[rule]} family, which is not asked for"
            yield _error(f"baselines[{place}]", rule, message)
        elif rule in rules[:place]:
            yield _error(f"baselines[{place}]", rule, "is named twice")


def family_errors(prefix: str, asked: ActivationRequest | FamilyRequest) -> Iterator[FieldError]:
    """An unknown family or a formula that cannot be read, or a parameter that it does not have or cannot take."""
    try:
        family = family_of(asked.family)
    except ValueError as error:
        sentence = str(error) if is_formula(asked.family) else _NO_FAMILY
        yield _error(f"{prefix}family", asked.family, sentence)
        return
    known = (*family.parameter_names(), *(name for name in family.scale_names() if name != "omega"))
    wrong = [name for name in asked.parameters if name not in known]
    for name in wrong:
        message = f"{asked.family} has no such parameter; it has {', '.join(known) or 'none besides its scale'}"
        yield _error(f"{prefix}parameters.{shown(name)[1:-1]}", asked.parameters[name], message)
    if not wrong:
        try:
            build(asked.family, None, **asked.parameters)
        except ValueError as error:
            yield _error(f"{prefix}parameters", dict(asked.parameters) or None, str(error))


def scale_errors(prefix: str, asked: ActivationRequest | FamilyRequest) -> Iterator[FieldError]:
    """A scale given under a name, or with a value, that the family does not have, or twice."""
    family = _known(asked.family)
    if family is None:
        return
    if asked.omega is not None and "omega" not in family.scale_names():
        message = f"{asked.family} has no omega: give sigma_a"
        if "omega" in family.parameter_names():
            message = f"the omega of {asked.family} is a parameter and not its scale: give it in parameters"
        yield _error(f"{prefix}omega", _plain(asked.omega), message)
    if asked.sigma_a is not None and asked.sigma_a != 1.0 and not family.has_scale:
        message = f"{asked.family} has no scale: leave sigma_a out, or give 1"
        yield _error(f"{prefix}sigma_a", _plain(asked.sigma_a), message)
    names = [name for name in family.scale_names() if name in asked.parameters]
    if names and (len(names) > 1 or asked.sigma_a is not None or asked.omega is not None):
        message = "is a name of the scale, which is given under another name too: give one of them"
        yield _error(f"{prefix}parameters.{names[0]}", asked.parameters[names[0]], message)


def _known(name: str) -> type[Activation] | None:
    try:
        return family_of(name)
    except ValueError:
        return None


def _plain(value: object) -> object:
    return value.model_dump() if isinstance(value, RangeRequest) else value


def _family(asked: ActivationRequest) -> FamilyPlan:
    return FamilyPlan(
        family=asked.family,
        parameters=dict(asked.parameters),
        sigma_a=asked_scale(asked),
        sigma_p=_axis(asked.sigma_p),
        sigma_p_first="same" if isinstance(asked.sigma_p_first, str) else _axis(asked.sigma_p_first),
        bias=_bias(asked.bias),
        bias_first=_bias(asked.bias_first),
        learning_rate=_axis(asked.learning_rate),
        output_scale=_axis(asked.output_scale),
        sigma_p_growth=_axis(asked.sigma_p_growth),
    )


def _objective(request: StudyRequest) -> Objective:
    match request.objective:
        case HeldOut(share=share):
            return Objective("held_out", share=share)
        case StepsToTarget(target=target):
            return Objective("steps_to_target", target=target)
        case "held_out":
            return Objective("held_out", share=HeldOut(name="held_out").share)
        case name:
            return Objective(name)


def asked_scale(asked: ActivationRequest) -> Axis:
    """sigma_a as asked for, under that name or as omega; None: not by either."""
    if asked.omega is None:
        return _axis(asked.sigma_a)
    constant, _ = family_of(asked.family).scale_names()["omega"]
    if isinstance(asked.omega, RangeRequest):
        return Range(constant / asked.omega.high, constant / asked.omega.low)
    return constant / asked.omega


def _axis(asked: RangeRequest | float | None) -> Axis:
    return Range(asked.low, asked.high) if isinstance(asked, RangeRequest) else asked


def _bias(asked: ShareRequest | str | None) -> BiasChoice | None:
    if asked is None or isinstance(asked, str):
        return None if asked is None else BiasChoice(asked)
    share = asked.share
    return BiasChoice("share", Range(share.low, share.high) if isinstance(share, ShareRange) else share)


def _warnings(plan: StudyPlan, dataset: Dataset) -> Iterator[str]:
    widths = plan.network.widths(dataset.in_dim, dataset.out_dim)
    families = [family.family for family in plan.families]
    warning = memorising_warning(widths, families, dataset.fewest_points, plan.objective)
    if warning is not None:
        yield warning
    if plan.objective.name in OWN_CURVE:
        yield from _few_scores(plan, max(signal.points for signal in dataset.signals))


def _few_scores(plan: StudyPlan, points: int) -> Iterator[str]:
    """Where an objective is read off the learning curve, and minibatches leave that few scores (workers.scheduler)."""
    batch, steps = plan.recipe.batch_size, plan.search_steps
    segment = segment_length(steps, fewest_steps(points, batch))
    if batch is None or segment == segment_length(steps):
        return
    scores = -(-steps // segment)
    stop = ", and no trial is stopped early on its first signal" if scores == 1 else ""
    yield (
        f"With batches of {batch} a score over all {points} points costs as much as {points / batch / 3:.0f} steps, so "
        f"a trial of {steps} steps has {scores} of the usual {REPORTS} scores: {plan.objective.name} is read off these "
        f"and blind before the first{stop}. Larger batches or more steps give more."
    )


def _bias_errors(request: StudyRequest, dataset: Dataset) -> Iterator[FieldError]:
    """Bias rules for which no trial could be trained."""
    for place, asked in enumerate(request.activations):
        prefix = f"activations[{place}]."
        if asked.bias_first == "stability":
            message = "the stability rule balances a layer with the one before it: the first layer has none"
            yield _error(f"{prefix}bias_first", asked.bias_first, message)
        rules = (
            ("sigma_p_first", asked.bias_first, asked.sigma_p_first, dataset.in_dim),
            ("sigma_p", asked.bias, asked.sigma_p, request.network.width),
        )
        for field, rule, axis, fan_in in rules:
            floor = 1.0 / math.sqrt(3.0 * fan_in)  # the std of nn.Linear's own biases
            reach = asked.sigma_p if isinstance(axis, str) else axis  # "same": as the hidden layers
            highest = reach.high if isinstance(reach, RangeRequest) else reach
            if highest is None:  # the default ranges of sigma_p reach above the floor, those of sigma_p_first may not
                highest = math.inf if field == "sigma_p" else 0.0
            if rule == "torch_default" and highest <= floor:
                message = f"torch_default biases alone have a std of {floor:.3g}: give a {field} that reaches above it"
                yield _error(f"{prefix}{field}", _plain(axis), message)
