"""``vi3nr doctor``: what is wrong with an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from service.commands.options import DataDir, Host, Json, print_json, settings_of
from service.exit_statuses import BAD_NEWS

if TYPE_CHECKING:
    from service.doctor.findings import Finding
    from service.settings import Settings

__all__ = ["doctor"]

STYLES = {"ok": "green", "note": "yellow", "fault": "bold red"}


def doctor(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="That the API would have.")] = 8000,
    dashboard_port: Annotated[int, typer.Option(help="That the Optuna dashboard would have.")] = 8080,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with this installation. Exit status 1: there is a fault. Nothing is changed."""
    found = _findings(settings_of(data_dir), host, port, dashboard_port)
    faults = sum(one.level == "fault" for one in found)
    if as_json:
        rows = [{"subject": one.subject, "level": one.level.value, "sentence": one.sentence} for one in found]
        print_json({"ok": not faults, "findings": rows})
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for one in found:
            table.add_row(f"[{STYLES[one.level]}]{one.level.value}[/]", one.subject, _plain(one.sentence))
        Console().print(table)
        typer.echo("nothing is wrong" if not faults else f"{faults} fault{'s' if faults > 1 else ''}")
    raise typer.Exit(BAD_NEWS if faults else 0)


def _findings(settings: Settings, host: str, port: int, dashboard_port: int) -> list[Finding]:
    from service.doctor import software
    from service.doctor.findings import note

    found = [
        software.python(),
        *software.packages(),
        software.torch_threads(),
        software.gpu(),
        software.compiler(),
        software.home_folder(settings),
    ]
    try:
        from service.doctor import surroundings
    except Exception:  # of a broken package, told above
        told = (
            "the database, the data folder, the disk and the ports were not looked at: first the packages must be whole"
        )
        return [*found, note("surroundings", told)]
    return [
        *found,
        *surroundings.ray_cluster(settings),
        surroundings.database(settings),
        surroundings.data_folder(settings),
        surroundings.disk(settings),
        surroundings.port(settings, "API", host, port),
        surroundings.port(settings, "dashboard", host, dashboard_port),
    ]


def _plain(sentence: str) -> str:
    from rich.markup import escape

    return escape(sentence)
