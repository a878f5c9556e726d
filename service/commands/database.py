"""``vi3nr db``: the service's database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import DataDir, Json, print_json, refuse, sentence_of, settings_of
from service.commands.places import database_errors_told
from service.exit_statuses import BAD_NEWS

__all__ = ["database"]

database = typer.Typer(help="The service's database.", no_args_is_help=True)


@database.command("upgrade")
def upgrade_database(
    data_dir: DataDir = None,
    reader: Annotated[str | None, typer.Option(help="PostgreSQL role to make, that may read the trials.")] = None,
    reader_password_file: Annotated[Path | None, typer.Option(help="A file with its password.")] = None,
    as_json: Json = False,
) -> None:
    """Bring the database to this version's schema, ours and Optuna's."""
    from service.database import HEAD, DatabaseVersionError, opened, upgrade
    from workers.storage import open_storage

    if (reader is None) != (reader_password_file is None):
        refuse("--reader and --reader-password-file go together")
    settings = settings_of(data_dir)
    try:
        with database_errors_told(), opened(settings.url) as engine:
            upgrade(engine)
            open_storage(settings.url).engine.dispose()
            if reader is not None and reader_password_file is not None:
                from service.database_roles import make_reader

                make_reader(engine, reader, reader_password_file.read_text().strip())
    except (DatabaseVersionError, OSError, ValueError) as error:
        refuse(str(error))
    if as_json:
        print_json({"version": HEAD, "ready": True})
    else:
        typer.echo("the database is up to date")


@database.command("status")
def show_database(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Which schema version the database has, and whether this version can work with it (exit status 1: it cannot)."""
    from service.database import HEAD, current_version, mismatch, opened

    try:
        url = settings_of(data_dir).url
        with database_errors_told(), opened(url) as engine, engine.connect() as connection:
            found = current_version(connection)
    except (OSError, ValueError) as error:
        refuse(f"the database cannot be used: {sentence_of(error)}")
    reason = mismatch(found)
    if as_json:
        print_json({"version": found, "needed": HEAD, "ready": reason is None, "reason": reason})
    else:
        typer.echo(reason or f"the database has schema version {found!r}, the newest")
    raise typer.Exit(BAD_NEWS if reason is not None else 0)
