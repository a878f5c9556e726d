"""A validated init request -> the init config, by theory alone or by the first guess for a dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.plans import family_errors, network_errors, scale_errors
from service.problems import FieldError, Problem, shown
from service.schemas import FixedShare
from service.schemas_theory import FamilyRequest, InitRequest
from service.settings import Settings
from vi3nr.activations import activation, family_of
from vi3nr.config import BiasRule, InitConfig
from vi3nr.guess import start_points
from vi3nr.profile import vi3nr_config
from vi3nr.signals import Signal
from workers.plan import Network

__all__ = ["init_of", "scale_of"]

OF_THE_DATASET = ("in_dim", "out_dim", "input_second_moment")


def init_of(request: InitRequest, settings: Settings, signals: Sequence[Signal] = ()) -> InitConfig:
    """The VI3NR config that is asked for; with a dataset's ``signals`` what it leaves open is guessed from all of them.

    Raises:
        Problem: 422, naming every field that is wrong; or saying what the theory cannot do with these numbers.
    """
    errors = [
        *network_errors(request, settings),
        *family_errors("", request),
        *scale_errors("", request),
        *_ends_errors(request),
    ]
    if errors:
        raise Problem.of_fields(errors)
    sigma_a = scale_of(request)
    try:
        if not signals:
            ends = _Ends(request.in_dim, request.out_dim, request.input_second_moment)
            return _config(request, ends, sigma_a, {})
        return _guessed(request, signals, sigma_a)
    except (ValueError, ArithmeticError) as error:
        raise Problem(422, f"there is no such init config: {error}") from None


def scale_of(asked: FamilyRequest) -> float | None:
    """sigma_a as asked for, under that name or as omega; None: not by either."""
    if asked.omega is None:
        return asked.sigma_a
    constant, _ = family_of(asked.family).scale_names()["omega"]
    return constant / asked.omega


@dataclass(frozen=True)
class _Ends:
    in_dim: int
    out_dim: int
    input_second_moment: float


def _guessed(request: InitRequest, signals: Sequence[Signal], sigma_a: float | None) -> InitConfig:
    """The search's first start point; what the request gives stands, and the ratios are kept where a scale is given:
    the first layer's bandwidth too, whatever its biases are.
    """
    family, parameters = family_of(request.family), request.parameters
    names = family.scale_names()
    rest = {name: value for name, value in parameters.items() if name not in names}
    guess = start_points(request.family, signals, rest)[0]
    if len(rest) < len(parameters):  # the scale under another name
        sigma_a = activation(request.family, None, **parameters).sigma_a
    sigma_a = guess.sigma_a if sigma_a is None else sigma_a
    scale = sigma_a / guess.sigma_a
    rule = _rule(request.bias_first) or BiasRule("share", guess.share_first)
    weighted = math.sqrt((1.0 - guess.share_first) / (1.0 - (rule.share or 0.0)))
    chosen: dict[str, Any] = {"sigma_p": guess.sigma_p * scale, "sigma_p_first": guess.sigma_p_first * weighted * scale}
    if guess.share_first > 0.0:
        chosen["bias_first"] = rule
    first, moments = signals[0], [signal.input_second_moment for signal in signals]
    ends = _Ends(first.coordinates.shape[1], first.values.shape[1], sum(moments) / len(moments))
    return _config(request, ends, sigma_a, {"bias": BiasRule("zero"), **chosen}, rest)


def _config(
    request: InitRequest,
    ends: _Ends,
    sigma_a: float | None,
    guess: dict[str, Any],
    parameters: dict[str, float] | None = None,
) -> InitConfig:
    network = Network(request.network.width, request.network.hidden_layers)
    asked = {
        "sigma_p": request.sigma_p,
        "sigma_p_first": request.sigma_p_first,
        "bias": _rule(request.bias),
        "bias_first": _rule(request.bias_first),
    }
    return vi3nr_config(
        activation(request.family, sigma_a, **(request.parameters if parameters is None else parameters)),
        network.widths(ends.in_dim, ends.out_dim),
        distribution=request.distribution,
        method=request.method,
        sigma_p_growth=request.sigma_p_growth,
        input_second_moment=ends.input_second_moment,
        **{**asked, **{name: value for name, value in guess.items() if asked[name] is None}},
    )


def _ends_errors(request: InitRequest) -> list[FieldError]:
    """What the dataset settles may not be given beside it."""
    if request.dataset_id is None:
        return []
    given = [name for name in OF_THE_DATASET if name in request.model_fields_set]
    message = "is the dataset's: leave it out where dataset_id is given"
    return [FieldError(field=name, value=shown(getattr(request, name)), message=message) for name in given]


def _rule(asked: FixedShare | str | None) -> BiasRule | None:
    if asked is None or isinstance(asked, str):
        return None if asked is None else BiasRule(asked)
    return BiasRule("share", asked.share)
