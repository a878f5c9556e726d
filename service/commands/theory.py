"""``vi3nr init`` and ``vi3nr theory``: answers at once, without training, without torch and Ray."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from service.commands.options import Family, Json, Parameters, parameters_of, refuse, sentence_of, settings_of

__all__ = ["init_config", "theory"]

SigmaA = Annotated[float | None, typer.Option(help="Its scale; default: customary.")]
Omega = Annotated[float | None, typer.Option(help="Of waves, instead of sigma_a: omega = 1 / sigma_a.")]
Method = Annotated[str, typer.Option(help="analytic, quadrature or monte_carlo.")]


def init_config(
    activation: Family,
    sigma_a: SigmaA = None,
    omega: Omega = None,
    parameter: Parameters = None,
    sigma_p: Annotated[float | None, typer.Option(help="Std of pre-activations; default: the theory's own.")] = None,
    sigma_p_first: Annotated[float | None, typer.Option(help="Of the first layer; default: sigma_p.")] = None,
    width: Annotated[int, typer.Option(help="Units of a hidden layer.")] = 256,
    layers: Annotated[int, typer.Option(help="Hidden layers, beside the first and the output layer.")] = 3,
    in_dim: Annotated[int, typer.Option(help="Coordinates.")] = 2,
    out_dim: Annotated[int, typer.Option(help="Values.")] = 3,
    bias: Annotated[str | None, typer.Option(help="zero, stability, like_weights, torch_default, or a share.")] = None,
    bias_first: Annotated[str | None, typer.Option(help="The same for the first layer.")] = None,
    method: Method = "analytic",
    distribution: Annotated[str, typer.Option(help="uniform or normal.")] = "uniform",
    as_json: Json = False,
) -> None:
    """An init config at once, without training."""
    from service.inits import init_of
    from service.problems import Problem
    from service.render import print_init
    from service.schemas_theory import InitRequest

    given: dict[str, Any] = {
        "family": activation, "sigma_a": sigma_a, "omega": omega, "parameters": parameters_of(parameter),
        "sigma_p": sigma_p, "sigma_p_first": sigma_p_first,
        "network": {"width": width, "hidden_layers": layers}, "in_dim": in_dim, "out_dim": out_dim,
        "bias": _bias(bias), "bias_first": _bias(bias_first), "method": method, "distribution": distribution,
    }  # fmt: skip
    try:
        config = init_of(InitRequest.model_validate(given), settings_of(None))
    except (Problem, ValueError) as error:
        refuse(sentence_of(error))
    if as_json:
        typer.echo(config.to_json())
    else:
        print_init(Console(), config)


def theory(
    activation: Family,
    sigma_a: SigmaA = None,
    omega: Omega = None,
    parameter: Parameters = None,
    width_ratio: Annotated[float, typer.Option(help="Fan-out over fan-in of a hidden layer.")] = 1.0,
    sigma_p: Annotated[float | None, typer.Option(help="Where moments are taken; default: the stable one.")] = None,
    method: Method = "analytic",
    as_json: Json = False,
) -> None:
    """What the theory says of an activation: moments, gain, and the sigma_p that keeps signal and gradient."""
    from service.problems import Problem
    from service.render import print_theory
    from service.schemas_theory import TheoryRequest
    from service.theories import theory_of

    given: dict[str, Any] = {
        "family": activation, "sigma_a": sigma_a, "omega": omega, "parameters": parameters_of(parameter),
        "width_ratio": width_ratio, "sigma_p": sigma_p, "method": method,
    }  # fmt: skip
    try:
        answer = theory_of(TheoryRequest.model_validate(given))
    except (Problem, ValueError) as error:
        refuse(sentence_of(error))
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        print_theory(Console(), answer)


def _bias(text: str | None) -> Any:
    """A rule's name, or a number that is a share."""
    try:
        return text if text is None else {"rule": "share", "share": float(text)}
    except ValueError:
        return text
