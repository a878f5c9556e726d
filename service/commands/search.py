"""``vi3nr search``: a study on this machine, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import Activations, DataDir, Json, refuse, sentence_of, settings_of
from service.commands.places import database_errors_told

__all__ = ["search"]


def search(
    file: Annotated[Path, typer.Argument(help="An image, a sound, an array or a shape: docs/signals.md.")],
    activation: Activations,
    steps: Annotated[int, typer.Option(help="Full-batch Adam steps of a training.")] = 500,
    trials: Annotated[int, typer.Option(help="Trials a family.")] = 24,
    width: Annotated[int, typer.Option(help="Units of a hidden layer.")] = 64,
    layers: Annotated[int, typer.Option(help="Hidden layers.")] = 3,
    learning_rate: Annotated[float | None, typer.Option(help="Default: customary for the family.")] = None,
    finalists: Annotated[int, typer.Option(help="Configs that are trained to the end.")] = 3,
    seeds: Annotated[int, typer.Option(help="Fresh seeds of the confirmation.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    max_points: Annotated[int, typer.Option(help="What has more points is made smaller.")] = 16384,
    output: Annotated[Path, typer.Option(help="Folder for the configs.")] = Path(),
    report: Annotated[Path | None, typer.Option(help="Write the report, an HTML page, to this file.")] = None,
    reuse: Annotated[
        bool, typer.Option(help="Go on with the same search, or give its answer, if the data folder has it.")
    ] = True,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Search the best initialisation for a file on this machine, without a server.

    Ctrl-C keeps what was found; the same command goes on from there.
    """
    from service.local_search import Asked, search_file
    from service.problems import Problem

    asked = Asked(
        file=file,
        max_points=max_points,
        request={
            "activations": [{"family": family, "learning_rate": learning_rate} for family in activation],
            "network": {"width": width, "hidden_layers": layers},
            "training": {"steps": steps},
            "search": {"trials": trials, "seed": seed},
            "confirm": {"finalists": finalists, "seeds": seeds},
            "reuse": reuse,
        },
    )
    try:
        with database_errors_told():
            search_file(settings_of(data_dir), asked, output, as_json, report)
    except (Problem, OSError, RuntimeError, ValueError) as error:
        refuse(sentence_of(error))
