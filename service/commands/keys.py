"""``vi3nr key``: make, list and revoke API keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import DataDir, Json, print_json, refuse
from service.commands.places import database_of
from service.scopes import Scope

if TYPE_CHECKING:
    from service.keys import Key, KeyRing

__all__ = ["keys"]

keys = typer.Typer(help="API keys: who may use the service.", no_args_is_help=True)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is; for you to know it again.")],
    scope: Annotated[Scope, typer.Option(help="read, write (and read) or admin (everything of everybody).")] = (
        Scope.WRITE
    ),
    max_queued: Annotated[
        int | None, typer.Option(min=1, help="Studies that may wait or run at a time.", show_default=False)
    ] = None,
    max_studies: Annotated[
        int | None, typer.Option(min=1, help="Studies that may be kept.", show_default=False)
    ] = None,
    per_minute: Annotated[int | None, typer.Option(min=1, help="Requests a minute.", show_default=False)] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is printed once, on its own line, and kept nowhere."""
    if not name.strip() or len(name) > 255 or not name.isprintable():
        raise typer.BadParameter(f"a name has 1 to 255 printable letters, got {name[:300]!r}", param_hint="NAME")
    with _ring(data_dir) as ring:
        key, token = ring.create(name, scope, max_queued=max_queued, max_studies=max_studies, per_minute=per_minute)
    if as_json:
        print_json({**_shown(key), "key": token})
    else:
        typer.echo(token)
        typer.echo(f"{key.prefix} may {key.scope.value}. Keep the line above: it is not shown again.", err=True)


@keys.command("list")
def list_keys(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Every key by its beginning, with its scope and limits; secrets are not kept."""
    with _ring(data_dir) as ring:
        found = ring.list()
    if as_json:
        print_json([_shown(key) for key in found])
        return
    for key in found:
        state = "revoked" if key.revoked is not None else key.scope.value
        typer.echo(f"{key.prefix}_...  {state:<8}{_day(key.created)}  {key.name}")


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The 12 digits after vi3nr_, or the key's beginning.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """End a key at once and for good. What it made stays, for admin keys to see."""
    short = key_id.removeprefix("vi3nr_").partition("_")[0]
    with _ring(data_dir) as ring:
        if not ring.revoke(short):
            refuse(f"there is no key {short[:40]!r} that counts")
    if as_json:
        print_json({"id": short, "revoked": True})
    else:
        typer.echo(f"vi3nr_{short} is revoked")


@contextmanager
def _ring(data_dir: Path | None) -> Iterator[KeyRing]:
    from service.keys import KeyRing

    with database_of(data_dir) as engine:
        yield KeyRing(engine)


def _shown(key: Key) -> dict[str, object]:
    times = {"created": _time(key.created), "revoked": None if key.revoked is None else _time(key.revoked)}
    return {**asdict(key), **times, "prefix": key.prefix}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _day(seconds: float) -> str:
    return _time(seconds)[:10]
