"""``vi3nr datasets``: the datasets of a running service."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from service.commands.options import Json, KeyFile, Url, print_deleted, print_json
from service.commands.places import running_service

if TYPE_CHECKING:
    from service.answers import DatasetAnswer

__all__ = ["datasets"]

datasets = typer.Typer(help="The datasets of a running service.", no_args_is_help=True)

HERE = "http://localhost:8000"


@datasets.command("list")
def list_datasets(
    kind: Annotated[str | None, typer.Option(help="Only of this kind: image, sound, array, shape.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the newest.")] = 50,
    url: Url = HERE,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Newest first."""
    with running_service(url, key_file) as client:
        found = list(islice(client.datasets(kind=kind), limit))
    if as_json:
        print_json([dataset.model_dump(mode="json") for dataset in found])
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "kind", "size", "signals", "created", "name"):
        table.add_column(heading, no_wrap=heading == "id")
    for one in found:
        size = " x ".join(map(str, one.size))
        table.add_row(
            one.id, one.kind, size, str(len(one.signals)), f"{one.created:%Y-%m-%d %H:%M}", ascii(one.name)[1:-1]
        )
    Console().print(table, markup=False)


@datasets.command()
def upload(
    files: Annotated[list[Path], typer.Argument(help="One signal each, of one kind.")],
    kind: Annotated[str | None, typer.Option(help="image, sound, array or shape; default: from the content.")] = None,
    max_points: Annotated[int | None, typer.Option(help="What has more points is made smaller.")] = None,
    crop: Annotated[str | None, typer.Option(help="start:stop for each axis, comma between.")] = None,
    value_range: Annotated[str | None, typer.Option(help="low,high: the values that become -1 and 1.")] = None,
    coordinate_range: Annotated[str | None, typer.Option(help="low,high: of every axis.")] = None,
    axes: Annotated[str | None, typer.Option(help="Names of an array's axes, slowest first: t,y,x,c.")] = None,
    array: Annotated[str | None, typer.Option(help="Of an NPZ archive: the array's name.")] = None,
    sample_rate: Annotated[int | None, typer.Option(help="Hz; a sound is resampled to it.")] = None,
    samples: Annotated[int | None, typer.Option(help="Points that a shape is sampled at.")] = None,
    url: Url = HERE,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Store files as one dataset. The options are those of docs/signals.md."""
    options = {
        "kind": kind, "max_points": max_points, "crop": crop, "value_range": value_range,
        "coordinate_range": coordinate_range, "axes": axes, "array": array, "sample_rate": sample_rate,
        "samples": samples,
    }  # fmt: skip
    with running_service(url, key_file) as client:
        made = client.upload(*files, **options)
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        _print_dataset(made)


@datasets.command()
def show(
    dataset_id: Annotated[str, typer.Argument(metavar="ID", help="Of the dataset.")],
    url: Url = HERE,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """What was stored, and what was done to the upload."""
    with running_service(url, key_file) as client:
        found = client.dataset(dataset_id)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print_dataset(found)


@datasets.command()
def delete(
    dataset_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Of the datasets.")],
    url: Url = HERE,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Delete datasets that no study uses."""
    with running_service(url, key_file) as client:
        for dataset_id in dataset_ids:
            client.delete_dataset(dataset_id)
    print_deleted(dataset_ids, as_json)


def _print_dataset(dataset: DatasetAnswer) -> None:
    lines = [
        f"{dataset.id}  {dataset.kind}, {dataset.points} points, {dataset.in_dim} to {dataset.out_dim} numbers",
        *(
            f"{signal.name}: {' x '.join(map(str, signal.shape))}" + "".join(f"; {note}" for note in signal.notes)
            for signal in dataset.signals
        ),
    ]
    for line in lines:
        typer.echo(ascii(line)[1:-1] if not line.isprintable() else line)
