"""``vi3nr studies``: the studies of a running service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

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
from service.commands.options import Json, KeyFile, Url, print_deleted, print_json
from service.commands.places import running_service
from service.exit_statuses import BAD_NEWS, INTERRUPTED
from service.states import StudyState

if TYPE_CHECKING:
    from service.answers import StudyAnswer
    from service.client import Client

__all__ = ["studies"]

studies = typer.Typer(help="The studies of a running service.", no_args_is_help=True)

HERE = "http://localhost:8000"
StudyId = Annotated[str, typer.Argument(metavar="ID", help="Of the study.")]
StudyIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Of the studies.")]


@studies.command("list")
def list_studies(
    state: Annotated[
        list[StudyState] | None, typer.Option(help="Only in this state; several times for several.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Only of this dataset.")] = None,
    family: Annotated[str | None, typer.Option(help="Only with this activation family.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the newest.")] = 50,
    url: Url = HERE,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Newest first."""
    from itertools import islice

    query = {"state": [one.value for one in state or ()] or None, "dataset_id": dataset, "family": family}
    with running_service(url, key_file) as client:
        found = list(islice(client.studies(**query), limit))
    if as_json:
        print_json([study.model_dump(mode="json") for study in found])
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "state", "families", "best so far", "created"):
        table.add_column(heading, no_wrap=heading == "id")
    for study in found:
        best = "" if study.best_so_far is None else f"{study.best_so_far.score:.2f} {study.unit}"
        table.add_row(study.id, study.state.value, _families(study), best, f"{study.created:%Y-%m-%d %H:%M}")
    Console().print(table, markup=False)


@studies.command()
def start(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Its id, as `vi3nr datasets upload` tells it.")],
    activation: Activations,
    steps: Steps = 500,
    trials: Trials = 24,
    width: Width = 64,
    layers: Layers = 3,
    learning_rate: LearningRate = None,
    objective: Objective = "fit",
    finalists: Finalists = 3,
    seeds: Seeds = 5,
    seed: Seed = 0,
    reuse: Reuse = True,
    url: Url = HERE,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Ask for a study of a dataset; `studies show ID --wait` waits for its answer."""
    request = request_of(
        activation, steps=steps, trials=trials, width=width, layers=layers, learning_rate=learning_rate,
        objective=objective, finalists=finalists, seeds=seeds, seed=seed, reuse=reuse,
    )  # fmt: skip
    with running_service(url, key_file) as client:
        study = client.start({"dataset_id": dataset, **request})
    if as_json:
        print_json(study.model_dump(mode="json"))
    else:
        _print_study(Console(), study)


@studies.command()
def show(
    study_id: StudyId,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended, with its progress.")] = False,
    url: Url = HERE,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """How a study stands, and its answer once it has one. Exit status 1: it ended without."""
    from service.records import result_json
    from service.render import print_result

    console = Console()
    with running_service(url, key_file) as client:
        study = _waited(client, study_id, url) if wait else client.study(study_id)
        result = client.best(study_id) if study.state is StudyState.COMPLETED else None
    if as_json:
        print_json({**study.model_dump(mode="json"), "result": None if result is None else result_json(result)})
    else:
        _print_study(console, study)
        if result is not None:
            print_result(console, result, {})
            console.print(f"\nthe files: vi3nr export {study.id} --url {url}", highlight=False, markup=False)
    if study.state in (StudyState.FAILED, StudyState.CANCELLED):
        raise typer.Exit(BAD_NEWS)


@studies.command()
def cancel(study_ids: StudyIds, url: Url = HERE, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Stop studies that wait or run; they end without an answer."""
    with running_service(url, key_file) as client:
        found = [client.cancel(study_id) for study_id in study_ids]
    if as_json:
        print_json([study.model_dump(mode="json") for study in found])
        return
    for study in found:
        typer.echo(f"{study.id} is {study.state.value}")


@studies.command()
def delete(study_ids: StudyIds, url: Url = HERE, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Delete studies that have ended, with their trials and answers."""
    with running_service(url, key_file) as client:
        for study_id in study_ids:
            client.delete_study(study_id)
    print_deleted(study_ids, as_json)


def _waited(client: Client, study_id: str, url: str) -> StudyAnswer:
    """The study once it has ended; progress goes to standard error. Ctrl-C ends the wait, not the study."""
    from service.progress_view import shown_progress

    console = Console(stderr=True)
    try:
        with shown_progress(console) as show:
            return client.wait(study_id, lambda study: show(study.progress, study.seconds_left))
    except KeyboardInterrupt:
        again = f"vi3nr studies show {study_id} --wait" + ("" if url == HERE else f" --url {url}")
        console.print(f"interrupted; the study goes on: {again}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def _families(study: StudyAnswer) -> str:
    return ", ".join(str(asked.get("family")) for asked in study.request.get("activations", []))


def _print_study(console: Console, study: StudyAnswer) -> None:
    from service.render import progress_text

    lines = [f"{study.id}  {study.state.value}", f"families   {_families(study)}", f"dataset    {study.dataset_id}"]
    lines += [f"progress   {progress_text(study.progress, study.seconds_left)}"] if study.progress else []
    lines += [f"note       {warning}" for warning in study.warnings]
    lines += [f"error      {study.error}"] if study.error else []
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
