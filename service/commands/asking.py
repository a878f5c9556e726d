"""The options that say what a study is to try, for ``search`` and ``studies start`` alike."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.commands.options import families_beginning

__all__ = [
    "Activations",
    "Finalists",
    "Layers",
    "LearningRate",
    "Objective",
    "Reuse",
    "Seed",
    "Seeds",
    "Steps",
    "Trials",
    "Width",
    "request_of",
]

Activations = Annotated[
    list[str],
    typer.Option(help="Family to study; give it several times for several.", autocompletion=families_beginning),
]
Steps = Annotated[int, typer.Option(help="Full-batch Adam steps of a training.")]
Trials = Annotated[int, typer.Option(help="Trials a family.")]
Width = Annotated[int, typer.Option(help="Units of a hidden layer.")]
Layers = Annotated[int, typer.Option(help="Hidden layers, beside the first and the output layer.")]
LearningRate = Annotated[float | None, typer.Option(help="Default: customary for the family.")]
Objective = Annotated[str, typer.Option(help="What is maximised: fit, held_out (points not trained on) or area.")]
Finalists = Annotated[int, typer.Option(help="Configs that are trained to the end.")]
Seeds = Annotated[int, typer.Option(help="Fresh seeds of the confirmation.")]
Seed = Annotated[int, typer.Option(help="Of the search.")]
Reuse = Annotated[bool, typer.Option(help="Go on with the same study, or give its answer, if there is one.")]


def request_of(
    activations: list[str],
    *,
    steps: int,
    trials: int,
    width: int,
    layers: int,
    learning_rate: float | None,
    objective: str,
    finalists: int,
    seeds: int,
    seed: int,
    reuse: bool,
) -> dict[str, Any]:
    """The body of ``POST /v1/studies`` without its dataset."""
    return {
        "activations": [{"family": family, "learning_rate": learning_rate} for family in activations],
        "network": {"width": width, "hidden_layers": layers},
        "training": {"steps": steps},
        "search": {"trials": trials, "seed": seed},
        "objective": objective,
        "confirm": {"finalists": finalists, "seeds": seeds},
        "reuse": reuse,
    }
