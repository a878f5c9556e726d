"""The database, the data folder, the disk, the ports, the Ray cluster."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from pathlib import Path

from service.binding import UnguardedError, check_binding
from service.doctor.findings import Finding, fault, fine, note
from service.own_server import ask
from service.routes_health import LEAST_FREE
from service.settings import Settings

__all__ = ["data_folder", "database", "disk", "port", "ray_cluster"]

SECONDS = 3.0  # for an answer
LAST_PORT = 65535
LITTLE_FREE = 1_000_000_000  # bytes
OPTION = {"API": "--port", "dashboard": "--dashboard-port"}


def database(settings: Settings) -> Finding:
    """Whether it can be reached, and its schema. Makes no file."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import OperationalError, SQLAlchemyError

    from service.database import HEAD, current_version, mismatch, missing_file, opened

    try:
        shown = make_url(settings.url).render_as_string(hide_password=True)
        if missing_file(settings.url) is not None:
            return fine("database", f"{shown} is not there yet: the first start makes it")
        with opened(settings.url) as engine, engine.connect() as connection:
            found = current_version(connection)
    except OperationalError as error:
        return fault("database", f"{shown} cannot be reached: {' '.join(str(error.orig).split())}")
    except (OSError, ValueError, SQLAlchemyError) as error:
        return fault("database", " ".join(str(error).split()))
    reason = mismatch(found)
    return fault("database", f"{shown}: {reason}") if reason else fine("database", f"{shown}, schema version {HEAD}")


def data_folder(settings: Settings) -> Finding:
    """Whether it can be written, tried out with a file that is gone afterwards."""
    folder = settings.data_dir.absolute()
    there = _existing(folder)
    if not there.is_dir():
        return fault(
            "data folder", f"{there} is a file, so {folder} cannot be made: set VI3NR_DATA_DIR to another folder"
        )
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"vi3nr")
    except OSError as error:
        return fault(
            "data folder", f"{there} cannot be written: {error.strerror}; set VI3NR_DATA_DIR to another folder"
        )
    return fine(
        "data folder", str(folder) if there == folder else f"{folder} is not there yet: the first start makes it"
    )


def disk(settings: Settings) -> Finding:
    """What is free where the data lies."""
    there = _existing(settings.data_dir.absolute())
    free = shutil.disk_usage(there).free
    told = f"{free / 1e9:.1f} GB free at {there}"
    if free < LEAST_FREE:
        return fault("disk", f"{told}: uploads are refused below {LEAST_FREE / 1e6:.0f} MB; make room")
    return note("disk", f"{told}: it may fill up") if free < LITTLE_FREE else fine("disk", told)


def port(settings: Settings, what: str, host: str, number: int) -> Finding:
    """Whether ``vi3nr serve`` could listen there."""
    subject = f"{what} port"
    if not 0 <= number <= LAST_PORT:
        return fault(subject, f"a port lies between 0 and {LAST_PORT}, not at {number}")
    try:
        check_binding(settings, host)
        with socket.create_server((host, number)):
            return fine(subject, f"{host}:{number} is free")
    except UnguardedError as error:
        return fault(subject, str(error))
    except OSError as error:
        if what == "API" and _is_ours(host, number):
            return fine(subject, f"a service of this kind answers at http://{host}:{number}")
        reason = os.strerror(error.errno) if error.errno else str(error)
        return fault(subject, f"{host}:{number} cannot be listened on: {reason}; choose another with {OPTION[what]}")


def ray_cluster(settings: Settings) -> list[Finding]:
    """Whether the cluster of the settings answers at all; nothing where Ray is local."""
    if not settings.ray_address:
        return []
    host, _, number = settings.ray_address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(number)), timeout=SECONDS):
            return [fine("ray cluster", f"{settings.ray_address} takes connections")]
    except (OSError, ValueError) as error:
        return [fault("ray cluster", f"{settings.ray_address} cannot be reached: {error}; is the head node running?")]


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _is_ours(host: str, number: int) -> bool:
    try:
        return bool(json.loads(ask(f"http://{host}:{number}/healthz", SECONDS)) == {"status": "ok"})
    except (OSError, ValueError):
        return False
