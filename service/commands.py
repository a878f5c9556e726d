"""The commands. What a command needs is imported when it runs, so that ``vi3nr --help`` answers at once."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from service.key_commands import keys
from service.secret_commands import secrets
from service.settings import Settings

__all__ = ["app"]

app = typer.Typer(
    help="Find the initialisation that suits your signal: variance-informed, searched, and confirmed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
database = typer.Typer(help="The service's database.", no_args_is_help=True)
app.add_typer(database, name="db")
app.add_typer(secrets, name="secrets")
app.add_typer(keys, name="key")

DataDir = Annotated[Path | None, typer.Option(help="Folder of the database and the datasets.", show_default=False)]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Fd = Annotated[int | None, typer.Option(help="Inherited listening socket, instead of host and port.", hidden=True)]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        help="NAME=NUMBER: a parameter of the family, or another name of its scale (s, a, sinc_omega). Repeat it.",
        show_default=False,
    ),
]
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
    report: Annotated[Path | None, typer.Option(help="Write the report, an HTML page, to this file.")] = None,
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
        search_file(_settings(data_dir), file, max_points, request, output, as_json, report)
    except (Problem, OSError, RuntimeError, ValueError) as error:
        _refuse(_sentence(error))


@app.command()
def report(
    study: Annotated[str, typer.Argument(help="Its id.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the page.")] = Path("report.html"),
    data_dir: DataDir = None,
) -> None:
    """Write the report of a study: one HTML page that needs no network."""
    from service.blobs import BlobStore
    from service.database import make_engine
    from service.pages.report import write_report
    from service.store import Store

    settings = _settings(data_dir)
    store = Store(make_engine(settings.url))
    try:
        if sentence := store.unready():
            raise ValueError(sentence)
        write_report(store, BlobStore(settings.blob_place), study, output)
    except (OSError, ValueError) as error:
        _refuse(_sentence(error))
    typer.echo(f"report: {output}")


@app.command("init")
def init_config(
    activation: Annotated[str, typer.Option(help="Family.")],
    sigma_a: Annotated[float | None, typer.Option(help="Its scale; default: customary.")] = None,
    omega: Annotated[float | None, typer.Option(help="Of waves, instead of sigma_a: omega = 1 / sigma_a.")] = None,
    parameter: Parameters = None,
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
    from service.schemas_theory import InitRequest

    given: dict[str, Any] = {
        "family": activation, "sigma_a": sigma_a, "omega": omega, "parameters": _parameters(parameter),
        "sigma_p": sigma_p, "sigma_p_first": sigma_p_first,
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
def theory(
    activation: Annotated[str, typer.Option(help="Family, or a formula of x.")],
    sigma_a: Annotated[float | None, typer.Option(help="Its scale; default: customary.")] = None,
    omega: Annotated[float | None, typer.Option(help="Of waves, instead of sigma_a: omega = 1 / sigma_a.")] = None,
    parameter: Parameters = None,
    width_ratio: Annotated[float, typer.Option(help="Fan-out over fan-in of a hidden layer.")] = 1.0,
    sigma_p: Annotated[float | None, typer.Option(help="Where moments are taken; default: the stable one.")] = None,
    method: Annotated[str, typer.Option(help="analytic, quadrature or monte_carlo.")] = "analytic",
    as_json: Json = False,
) -> None:
    """What the theory says of an activation: moments, gain, and the sigma_p that keeps signal and gradient."""
    from service.problems import Problem
    from service.render import print_theory
    from service.schemas_theory import TheoryRequest
    from service.theories import theory_of

    given: dict[str, Any] = {
        "family": activation, "sigma_a": sigma_a, "omega": omega, "parameters": _parameters(parameter),
        "width_ratio": width_ratio, "sigma_p": sigma_p, "method": method,
    }  # fmt: skip
    try:
        answer = theory_of(TheoryRequest.model_validate(given))
    except (Problem, ValueError) as error:
        _refuse(_sentence(error))
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        print_theory(Console(), answer)


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
    from service.database import DatabaseVersionError, opened, upgrade
    from workers.storage import open_storage

    if (reader is None) != (reader_password_file is None):
        _refuse("--reader and --reader-password-file go together")
    settings = _settings(data_dir)
    try:
        with opened(settings.url) as engine:
            upgrade(engine)
            open_storage(settings.url).engine.dispose()
            if reader is not None and reader_password_file is not None:
                from service.database_roles import make_reader

                make_reader(engine, reader, reader_password_file.read_text().strip())
    except (DatabaseVersionError, OSError, ValueError) as error:
        _refuse(str(error))
    typer.echo("the database is up to date")


@database.command("status")
def show_database(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Which schema version the database has, and whether this version can work with it (exit status 1: it cannot)."""
    from sqlalchemy.exc import OperationalError

    from service.database import HEAD, current_version, mismatch, opened

    try:
        with opened(_settings(data_dir).url) as engine, engine.connect() as connection:
            found = current_version(connection)
    except (OperationalError, OSError, ValueError) as error:
        _refuse(f"the database cannot be reached: {error.orig if isinstance(error, OperationalError) else error}")
    reason = mismatch(found)
    if as_json:
        typer.echo(json.dumps({"version": found, "needed": HEAD, "ready": reason is None, "reason": reason}))
    else:
        typer.echo(reason or f"the database has schema version {found!r}, the newest")
    raise typer.Exit(int(reason is not None))


@app.command()
def api(host: Host = "127.0.0.1", port: int = 8000, fd: Fd = None, data_dir: DataDir = None) -> None:
    """Run the HTTP API alone (a part of a deployment)."""
    from service.binding import UnguardedError
    from service.processes import run_api

    try:
        run_api(_settings(data_dir), host, port, fd)
    except UnguardedError as error:
        _refuse(str(error))


@app.command()
def runner(data_dir: DataDir = None) -> None:
    """Run a runner alone (a part of a deployment)."""
    from service.processes import run_runner

    run_runner(_settings(data_dir))


@app.command()
def dashboard(host: Host = "127.0.0.1", port: int = 8080, fd: Fd = None, data_dir: DataDir = None) -> None:
    """Run the read-only Optuna dashboard alone (a part of a deployment)."""
    from service.binding import UnguardedError
    from service.processes import run_dashboard

    try:
        run_dashboard(_settings(data_dir), host, port, fd)
    except UnguardedError as error:
        _refuse(str(error))


def _settings(data_dir: Path | None) -> Settings:
    return Settings() if data_dir is None else Settings(data_dir=data_dir)


def _bias(text: str | None) -> Any:
    """A rule's name, or a number that is a share."""
    try:
        return text if text is None else {"rule": "share", "share": float(text)}
    except ValueError:
        return text


def _parameters(given: list[str] | None) -> dict[str, float]:
    found = {}
    for text in given or []:
        name, _, number = text.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            _refuse(f"--parameter must be NAME=NUMBER, got {text!r}")
    return found


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
