"""``vi3nr search``: a study on this machine, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.asking import (
    Activations,
    Finalists,
    Layers,
    LearningRate,
    Objective,
    Reuse,
    Seed,
    Seeds,
    Steps,
    Trials,
    Width,
    request_of,
)
from service.commands.options import DataDir, Json, refuse, sentence_of, settings_of
from service.commands.places import database_errors_told

__all__ = ["search"]


def search(
    file: Annotated[Path, typer.Argument(help="An image, a sound, an array or a shape: docs/signals.md.")],
    activation: Activations,
    steps: Steps = 300,
    trials: Trials = 12,
    width: Width = 64,
    layers: Layers = 3,
    learning_rate: LearningRate = None,
    objective: Objective = "fit",
    finalists: Finalists = 2,
    seeds: Seeds = 5,
    seed: Seed = 0,
    max_points: Annotated[int, typer.Option(min=4, help="What has more points is made smaller.")] = 9216,
    output: Annotated[Path, typer.Option(help="Folder for the configs.")] = Path(),
    report: Annotated[Path | None, typer.Option(help="Write the report, an HTML page, to this file.")] = None,
    reuse: Reuse = True,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Search the best initialisation for a file on this machine, without a server.

    The defaults answer for two families in under five minutes on two cores. A closer look:
    --steps 500 --trials 24 --finalists 3 --max-points 16384.

    Ctrl-C keeps what was found; the same command goes on from there.
    """
    from service.local_search import Asked, search_file
    from service.problems import Problem

    request = request_of(
        activation, steps=steps, trials=trials, width=width, layers=layers, learning_rate=learning_rate,
        objective=objective, finalists=finalists, seeds=seeds, seed=seed, reuse=reuse,
    )  # fmt: skip
    asked = Asked(file, max_points, request)
    try:
        with database_errors_told():
            search_file(settings_of(data_dir), asked, output, as_json, report)
    except (Problem, OSError, RuntimeError, ValueError) as error:
        refuse(sentence_of(error))
