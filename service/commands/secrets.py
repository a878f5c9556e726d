"""``vi3nr secrets``: what a deployment keeps to itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import Json, print_json, refuse
from service.secret_files import make_secrets

__all__ = ["secrets"]

secrets = typer.Typer(help="The secrets of a deployment.", no_args_is_help=True)


@secrets.callback()
def _group() -> None:
    """Make the subcommand's name part of the command line, though there is but one."""


@secrets.command()
def init(folder: Annotated[Path, typer.Argument(help="Where to.")] = Path("secrets"), as_json: Json = False) -> None:
    """Write the passwords and the token that docker-compose.yml expects; what is there stays as it is."""
    try:
        made = make_secrets(folder)
    except OSError as error:
        refuse(f"the secrets cannot be written: {error}")
    if as_json:
        print_json({"folder": str(folder), "made": made})
    else:
        typer.echo(f"{folder}: made {', '.join(made) or 'nothing, all are there'}")
