"""``vi3nr report`` and ``vi3nr export``: the answer of a study as files."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import DataDir, Json, KeyFile, print_json, refuse, sentence_of, settings_of
from service.commands.places import running_service, study_here
from service.export_forms import Form

if TYPE_CHECKING:
    from service.exports import Train

__all__ = ["export", "report"]

StudyId = Annotated[str, typer.Argument(metavar="ID", help="Of the study.")]
OtherUrl = Annotated[
    str | None,
    typer.Option(envvar="VI3NR_URL", help="Ask this running service; default: read this machine's data folder."),
]


class Weights(StrEnum):
    """Which weights a file holds."""

    TRAINED = "trained"
    RETRAINED = "retrained"
    INITIAL = "initial"


def report(
    study: StudyId,
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the page.")] = Path("report.html"),
    url: OtherUrl = None,
    key_file: KeyFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write the report of a study: one HTML page that needs no network."""
    try:
        if url is not None:
            with running_service(url, key_file) as client:
                output.write_text(client.report(study), encoding="utf-8")
        else:
            from service.pages.report import write_report

            with study_here(study, data_dir) as (store, blobs, _):
                write_report(store, blobs, study, output)
    except OSError as error:
        refuse(sentence_of(error))
    if as_json:
        print_json({"study": study, "report": str(output)})
    else:
        typer.echo(f"report: {output}")


def export(
    study: StudyId,
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="json: the init config. pytorch: a script that needs PyTorch alone. safetensors: weights for "
            "vi3nr.INR. siren: weights for modules that compute sin(omega_0 * linear(x)).",
        ),
    ] = Form.JSON,
    weights: Annotated[
        Weights,
        typer.Option(
            help="Of safetensors and siren: as confirmed; the same, trained again on this machine; or drawn from the "
            "config."
        ),
    ] = Weights.TRAINED,
    seed: Annotated[int, typer.Option(min=0, help="Of initial weights.")] = 0,
    family: Annotated[str | None, typer.Option(help="Default: the best one.")] = None,
    arm: Annotated[str | None, typer.Option(help="A row of the family's table; default: its winner.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File; default: standard output for text, ID-... for weights."),
    ] = None,
    url: OtherUrl = None,
    key_file: KeyFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """The answer of a study in a form to load: config, PyTorch script, weights."""
    drawn = weights is Weights.INITIAL and not form.is_text
    asked = Form.JSON if drawn else form
    again = weights is Weights.RETRAINED and not form.is_text
    if again and url is not None:
        refuse("--weights retrained trains on this machine's data folder: leave out --url")
    name, data = _exported(study, asked, (family, arm), url, key_file, data_dir, again)
    if output is None and form.is_text and not as_json:
        typer.echo(data.decode(), nl=False)
        return
    path = output or Path(name)
    try:
        if drawn:
            path = output or path.with_suffix(f".initial.{form.suffix}")
            _draw(data.decode(), form, seed, path)
        else:
            path.write_bytes(data)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        refuse(sentence_of(error))
    if as_json:
        print_json({"study": study, "format": form.value, "file": str(path), "bytes": path.stat().st_size})
    else:
        typer.echo(f"{form.value}: {path}")


def _exported(
    study: str, form: Form, which: tuple[str | None, str | None], url: str | None, key_file: Path | None,
    data_dir: Path | None, again: bool,
) -> tuple[str, bytes]:  # fmt: skip
    """The name of the file and what is in it."""
    from service.exports import export_study
    from service.problems import Problem

    if url is not None:
        with running_service(url, key_file) as client:
            return f"{study}.{form.suffix}", client.export(study, form, *which)
    with study_here(study, data_dir) as (store, blobs, found):
        train: Train | None = None
        if again:
            from service.retraining import retrained

            train = partial(retrained, store, blobs, settings_of(data_dir), found)
        try:
            made = export_study(store, blobs, found, form, *which, train)
        except Problem as problem:
            refuse(problem.detail)
    return made.name, made.data


def _draw(config_json: str, form: Form, seed: int, path: Path) -> None:
    """Write the weights that the config stands for with this seed."""
    from vi3nr.config import InitConfig
    from vi3nr.network_files import save_safetensors
    from vi3nr.networks import INR
    from vi3nr.state_dicts import parameter_names

    config = InitConfig.from_json(config_json)
    parameter_names(config, form.layout)  # refuses before anything is drawn
    about = {"weights": "initial", "seed": str(seed)}
    save_safetensors(path, INR.from_config(config, seed=seed), config, form=form.layout, about=about)
