"""The commands. What a command needs is imported when it runs, so that ``vi3nr --help`` answers at once."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from service.settings import Settings

__all__ = ["app"]

app = typer.Typer(
    help="Find the initialisation that suits your signal: variance-informed, searched, and confirmed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
database = typer.Typer(help="The service's database.", no_args_is_help=True)
app.add_typer(database, name="db")
secrets = typer.Typer(help="The secrets of a deployment.", no_args_is_help=True)
app.add_typer(secrets, name="secrets")

DataDir = Annotated[Path | None, typer.Option(help="Folder of the database and the datasets.", show_default=False)]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Fd = Annotated[int | None, typer.Option(help="Inherited listening socket, instead of host and port.", hidden=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of the API; 0 takes a free one.")] = 8000,
    dashboard_port: Annotated[int, typer.Option(help="Of the Optuna dashboard; 0 takes a free one.")] = 8080,
    data_dir: DataDir = None,
) -> None:
    """Run everything on this machine: API, runner with a local Ray, Optuna dashboard."""
    from service.embedded import Embedded
    from service.stopping import stopped_by_signals

    try:
        settings = _settings(data_dir)
        with stopped_by_signals() as stop, Embedded(settings, host, port, dashboard_port) as service:
            typer.echo(f"API        {service.url}  (docs at {service.url}/docs)")
            typer.echo(f"dashboard  {service.dashboard_url}")
            typer.echo(f"data       {settings.data_dir.absolute()}  (logs in {service.log_dir().name}/)")
            typer.echo("Ctrl-C stops it; studies go on at the next start.")
            stop.wait()
            typer.echo("stopping: the runner gives its studies back")
    except (OSError, RuntimeError, ValueError) as error:
        _refuse(_sentence(error))


@app.command()
def search(
    file: Annotated[Path, typer.Argument(help="A photograph: PNG, JPEG, WebP or TIFF.")],
    activation: Annotated[list[str], typer.Option(help="Family to study; give it several times for several.")],
    steps: Annotated[int, typer.Option(help="Full-batch Adam steps of a training.")] = 500,
    trials: Annotated[int, typer.Option(help="Trials a family.")] = 24,
    width: Annotated[int, typer.Option(help="Units of a hidden layer.")] = 64,
    layers: Annotated[int, typer.Option(help="Hidden layers.")] = 3,
    learning_rate: Annotated[float | None, typer.Option(help="Default: customary for the family.")] = None,
    finalists: Annotated[int, typer.Option(help="Configs that are trained to the end.")] = 3,
    seeds: Annotated[int, typer.Option(help="Fresh seeds of the confirmation.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    max_points: Annotated[int, typer.Option(help="The picture is downscaled to as many pixels.")] = 16384,
    output: Annotated[Path, typer.Option(help="Folder for the configs.")] = Path(),
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Search the best initialisation for a photograph on this machine, without a server."""
    from service.problems import Problem
    from service.search_command import search_file

    request = {
        "activations": [{"family": family, "learning_rate": learning_rate} for family in activation],
        "network": {"width": width, "hidden_layers": layers},
        "training": {"steps": steps},
        "search": {"trials": trials, "seed": seed},
        "confirm": {"finalists": finalists, "seeds": seeds},
    }
    try:
        search_file(_settings(data_dir), file, max_points, request, output, as_json)
    except (Problem, OSError, RuntimeError, ValueError) as error:
        _refuse(_sentence(error))


@app.command("init")
def init_config(
    activation: Annotated[str, typer.Option(help="Family.")],
    sigma_a: Annotated[float | None, typer.Option(help="Its scale; default: customary.")] = None,
    omega: Annotated[float | None, typer.Option(help="Sine only, instead of sigma_a: omega = 1 / sigma_a.")] = None,
    sigma_p: Annotated[float | None, typer.Option(help="Std of pre-activations; default: the theory's own.")] = None,
    sigma_p_first: Annotated[float | None, typer.Option(help="Of the first layer; default: sigma_p.")] = None,
    width: Annotated[int, typer.Option(help="Units of a hidden layer.")] = 256,
    layers: Annotated[int, typer.Option(help="Hidden layers.")] = 3,
    in_dim: Annotated[int, typer.Option(help="Coordinates.")] = 2,
    out_dim: Annotated[int, typer.Option(help="Values.")] = 3,
    bias: Annotated[str | None, typer.Option(help="zero, stability, like_weights, torch_default, or a share.")] = None,
    bias_first: Annotated[str | None, typer.Option(help="The same for the first layer.")] = None,
    method: Annotated[str, typer.Option(help="analytic, quadrature or monte_carlo.")] = "analytic",
    distribution: Annotated[str, typer.Option(help="uniform or normal.")] = "uniform",
    as_json: Json = False,
) -> None:
    """An init config at once, without training."""
    from service.inits import init_of
    from service.problems import Problem
    from service.render import print_init
    from service.schemas import InitRequest

    given: dict[str, Any] = {
        "family": activation, "sigma_a": sigma_a, "omega": omega, "sigma_p": sigma_p, "sigma_p_first": sigma_p_first,
        "network": {"width": width, "hidden_layers": layers}, "in_dim": in_dim, "out_dim": out_dim,
        "bias": _bias(bias), "bias_first": _bias(bias_first), "method": method, "distribution": distribution,
    }  # fmt: skip
    try:
        config = init_of(InitRequest.model_validate(given), Settings())
    except (Problem, ValueError) as error:
        _refuse(_sentence(error))
    if as_json:
        typer.echo(config.to_json())
    else:
        print_init(Console(), config)


@app.command()
def demo() -> None:
    """The main job from end to end on a photograph, in a few minutes: start, search, confirm, answer, stop."""
    from service.demo import run_demo

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run_demo()


@database.command("upgrade")
def upgrade_database(
    data_dir: DataDir = None,
    reader: Annotated[str | None, typer.Option(help="PostgreSQL role to make, that may read the trials.")] = None,
    reader_password_file: Annotated[Path | None, typer.Option(help="A file with its password.")] = None,
) -> None:
    """Bring the database to this version's schema, ours and Optuna's."""
    from service.database import DatabaseVersionError, make_engine, upgrade
    from workers.storage import open_storage

    if (reader is None) != (reader_password_file is None):
        _refuse("--reader and --reader-password-file go together")
    settings = _settings(data_dir)
    try:
        engine = make_engine(settings.url)
        upgrade(engine)
        open_storage(settings.url)
        if reader is not None and reader_password_file is not None:
            from service.database_roles import make_reader

            make_reader(engine, reader, reader_password_file.read_text().strip())
    except (DatabaseVersionError, OSError, ValueError) as error:
        _refuse(str(error))
    typer.echo("the database is up to date")


@secrets.command("init")
def init_secrets(folder: Annotated[Path, typer.Argument(help="Where to.")] = Path("secrets")) -> None:
    """Write the passwords and the token that docker-compose.yml expects; what is there stays as it is."""
    from service.secret_files import make_secrets

    typer.echo(f"{folder}: made {', '.join(make_secrets(folder)) or 'nothing, all are there'}")


@app.command()
def api(host: Host = "127.0.0.1", port: int = 8000, fd: Fd = None, data_dir: DataDir = None) -> None:
    """Run the HTTP API alone (a part of a deployment)."""
    from service.processes import run_api

    run_api(_settings(data_dir), host, port, fd)


@app.command()
def runner(data_dir: DataDir = None) -> None:
    """Run a runner alone (a part of a deployment)."""
    from service.processes import run_runner

    run_runner(_settings(data_dir))


@app.command()
def dashboard(host: Host = "127.0.0.1", port: int = 8080, fd: Fd = None, data_dir: DataDir = None) -> None:
    """Run the read-only Optuna dashboard alone (a part of a deployment)."""
    from service.processes import run_dashboard

    run_dashboard(_settings(data_dir), host, port, fd)


def _settings(data_dir: Path | None) -> Settings:
    return Settings() if data_dir is None else Settings(data_dir=data_dir)


def _bias(text: str | None) -> Any:
    """A rule's name, or a number that is a share."""
    try:
        return text if text is None else {"rule": "share", "share": float(text)}
    except ValueError:
        return text


def _sentence(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(str(part) for part in item['loc'] if not str(part).startswith('<'))}: {item['msg']}, "
            f"got {json.dumps(item['input'], default=str)}"
            for item in error.errors()
        )
    return str(error)


def _refuse(message: str) -> NoReturn:
    typer.echo(f"vi3nr: {message}", err=True)
    raise typer.Exit(2)
