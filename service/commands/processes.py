"""``vi3nr serve``, ``demo``, and the parts of a deployment: ``api``, ``runner``, ``dashboard``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import LAST_PORT, DataDir, Host, Json, refuse, sentence_of, settings_of
from service.commands.places import database_errors_told
from service.exit_statuses import INTERRUPTED
from service.settings import Settings

__all__ = ["api", "dashboard", "demo", "runner", "serve"]

Port = Annotated[int, typer.Option(min=0, max=LAST_PORT, help="Of the API; 0 takes a free one.")]
DashboardPort = Annotated[int, typer.Option(min=0, max=LAST_PORT, help="Of the Optuna dashboard; 0 takes a free one.")]
Fd = Annotated[int | None, typer.Option(help="Inherited listening socket, instead of host and port.", hidden=True)]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    dashboard_port: DashboardPort = 8080,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Run everything on this machine: API, runner with a local Ray, Optuna dashboard."""
    from service.embedded import Embedded
    from service.stopping import stopped_by_signals

    settings = settings_of(data_dir)
    try:
        with (
            database_errors_told(),
            stopped_by_signals() as stop,
            Embedded(settings, host, port, dashboard_port) as service,
        ):
            folder, logs = settings.data_dir.absolute(), service.log_dir()
            if as_json:  # one line, for a program that starts the service and waits for it
                places = {"url": service.url, "dashboard": service.dashboard_url, "data": str(folder)}
                typer.echo(json.dumps({**places, "logs": str(logs)}))
            else:
                typer.echo(f"API        {service.url}  (docs at {service.url}/docs)")
                typer.echo(f"dashboard  {service.dashboard_url}")
                typer.echo(f"data       {folder}  (logs in {logs.name}/)")
                typer.echo("Ctrl-C stops it; studies go on at the next start.")
            stop.wait()
            typer.echo("stopping: the runner gives its studies back", err=as_json)
    except (OSError, RuntimeError, ValueError) as error:
        refuse(sentence_of(error))


def demo() -> None:
    """The main job from end to end on a photograph, in a few minutes: start, search, confirm, answer, stop."""
    from service.demo import run_demo
    from service.stopping import raised_once

    try:
        with raised_once():
            run_demo()
    except KeyboardInterrupt:
        refuse("interrupted; the demo keeps nothing: `vi3nr demo` begins anew", INTERRUPTED)


def api(host: Host = "127.0.0.1", port: Port = 8000, fd: Fd = None, data_dir: DataDir = None) -> None:
    """Run the HTTP API alone (a part of a deployment)."""
    from service.binding import UnguardedError
    from service.processes import run_api

    try:
        run_api(_with_folder(data_dir), host, port, fd)
    except (UnguardedError, OSError) as error:
        refuse(sentence_of(error))


def runner(data_dir: DataDir = None) -> None:
    """Run a runner alone (a part of a deployment)."""
    from service.processes import run_runner

    run_runner(_with_folder(data_dir))


def dashboard(host: Host = "127.0.0.1", port: DashboardPort = 8080, fd: Fd = None, data_dir: DataDir = None) -> None:
    """Run the read-only Optuna dashboard alone (a part of a deployment)."""
    from service.binding import UnguardedError
    from service.processes import run_dashboard

    try:
        run_dashboard(settings_of(data_dir), host, port, fd)
    except (UnguardedError, OSError) as error:
        refuse(sentence_of(error))


def _with_folder(data_dir: Path | None) -> Settings:
    """The settings, once the folder of an SQLite database is there: a process that starts without it dies untidily."""
    settings = settings_of(data_dir)
    if not settings.database_url:
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            refuse(sentence_of(error))
    return settings
