"""Options that several commands have, and how a command ends when it cannot do what was asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from service.exit_statuses import WRONG
from service.settings import Settings

__all__ = [
    "LAST_PORT",
    "DataDir",
    "Family",
    "Host",
    "Json",
    "KeyFile",
    "Parameters",
    "Url",
    "families_beginning",
    "parameters_of",
    "print_deleted",
    "print_json",
    "refuse",
    "sentence_of",
    "settings_of",
]


def families_beginning(incomplete: str) -> list[str]:
    """For the shell's completion."""
    from vi3nr.activations import families

    return [name for name in families() if name.startswith(incomplete)]


DataDir = Annotated[Path | None, typer.Option(help="Folder of the database and the datasets.", show_default=False)]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
LAST_PORT = 65535
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Url = Annotated[str, typer.Option(envvar="VI3NR_URL", help="Of the running service.")]
KeyFile = Annotated[
    Path | None, typer.Option(help="File with an API key; else VI3NR_API_KEY holds it.", show_default=False)
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        help="NAME=NUMBER: a parameter of the family, or another name of its scale (s, a, sinc_omega). Repeat it.",
        show_default=False,
    ),
]
Family = Annotated[str, typer.Option(help="Family, or a formula of x.", autocompletion=families_beginning)]


def settings_of(data_dir: Path | None) -> Settings:
    """The settings, from the environment; refused in a sentence where that holds a wrong value."""
    try:
        return Settings() if data_dir is None else Settings(data_dir=data_dir)
    except ValueError as error:
        refuse(sentence_of(error, prefix="VI3NR_"))


def parameters_of(given: list[str] | None) -> dict[str, float]:
    """NAME=NUMBER, several times."""
    found = {}
    for text in given or []:
        name, _, number = text.partition("=")
        if not name.strip():
            refuse(f"--parameter must be NAME=NUMBER, got {text!r}")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            refuse(f"--parameter must be NAME=NUMBER, got {text!r}")
    return found


def sentence_of(error: Exception, prefix: str = "") -> str:
    """What went wrong, on one line. ``prefix`` comes before the names of fields, in capitals: of the environment's."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(
            f"{_field(item['loc'], prefix)}: {item['msg']}, got {json.dumps(item['input'], default=str)}"
            for item in error.errors()
        )
    if isinstance(error, OSError) and error.strerror and isinstance(error.filename, str):
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _field(location: tuple[int | str, ...], prefix: str) -> str:
    name = ".".join(str(part) for part in location if not str(part).startswith("<"))
    return f"{prefix}{name.upper()}" if prefix else name


def print_json(data: Any) -> None:
    """On standard output, nothing else of which is written there."""
    typer.echo(json.dumps(data, indent=2, default=str, allow_nan=False))


def print_deleted(ids: Sequence[str], as_json: bool) -> None:
    """What a command has deleted."""
    if as_json:
        print_json({"deleted": list(ids)})
    else:
        typer.echo(f"deleted: {', '.join(ids)}")


def refuse(message: str, status: int = WRONG) -> NoReturn:
    """End with a sentence on standard error."""
    typer.echo(f"vi3nr: {message}", err=True)
    raise typer.Exit(status)
