"""What can go wrong, each as something that is really done to the service: drawn by a seeded generator."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping

import psutil
from sqlalchemy import text

from benchmarks.chaos_house import House, wait_until
from service.blobs import BlobStore
from service.database import make_engine
from service.runner import Runner
from service.store import Store
from workers.engine import Engine
from workers.pool_local import LocalPool
from workers.storage import open_storage

__all__ = ["FAULTS", "possible"]

LONGEST_AWAY = 30.0  # seconds that a database is away
LONGEST_FULL = 8.0  # seconds that the disk is full
STARTING = 60.0  # seconds in which a Ray starts on a busy machine
JUMP = 3600.0  # seconds that the clock jumps, forwards or back

Fault = Callable[[House, random.Random], str]


def kill_api(house: House, _: random.Random) -> str:
    return _kill(house.pid("api"))


def kill_runner(house: House, _: random.Random) -> str:
    return _kill(house.pid("runner"))


def kill_trainer(house: House, draw: random.Random) -> str:
    return _kill_one(_await(house, "ray::_TrainerActor"), draw)


def kill_raylet(house: House, draw: random.Random) -> str:
    return _kill_one(_await(house, "raylet"), draw)


def restart_database(house: House, _: random.Random) -> str:
    assert house.postgres is not None
    house.postgres.kill()
    house.postgres.ensure()
    return "killed and started again"


def database_away(house: House, draw: random.Random) -> str:
    """PostgreSQL is gone for a while; an SQLite file is locked for as long."""
    seconds = draw.uniform(1.0, LONGEST_AWAY)
    if house.postgres is not None:
        house.postgres.kill()
        time.sleep(seconds)
        house.postgres.ensure()
    else:
        with contextlib.closing(sqlite3.connect(house.settings.data_dir / "vi3nr.db", timeout=30.0)) as connection:
            connection.isolation_level = None
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
    return f"{seconds:.1f} s"


def full_disk(house: House, draw: random.Random) -> str:
    seconds = draw.uniform(1.0, LONGEST_FULL)
    with house.full_disk():
        time.sleep(seconds)
    if house.postgres is not None:
        house.postgres.ensure()
    return f"{seconds:.1f} s"


def clock_jump(house: House, draw: random.Random) -> str:
    """The database's clock, which every lease is measured by, jumps: all times that are stored move the other way.

    To whoever compares them with the clock that is the same; the machine's own clock belongs to others too.
    """
    jump = draw.choice((-JUMP, JUMP))
    engine = make_engine(house.settings.url)
    columns = ("lease_until", "started", "progressed", "paced_from")
    moved = ", ".join(f"{column} = {column} - :jump" for column in columns)
    try:
        with engine.execution_options(vi3nr_writes=True).begin() as connection:
            connection.execute(text(f"UPDATE vi3nr_studies SET {moved}"), {"jump": jump})
    finally:
        engine.dispose()
    return f"{jump:+.0f} s"


def freeze_runner(house: House, draw: random.Random) -> str:
    """The runner stands still for longer than its lease; another one works meanwhile, and gives back what it took."""
    pid = house.pid("runner")
    with contextlib.suppress(ProcessLookupError):
        _freeze(house, pid or 0)
        try:
            time.sleep(house.settings.lease_seconds + 0.5)
            stand_in(house, draw.uniform(0.5, 4.0))
        finally:
            os.kill(pid or 0, signal.SIGCONT)
    return f"process {pid}"


def _freeze(house: House, pid: int) -> None:
    """Where the database is a file, not in the middle of a write: nobody could write until the process goes on."""
    os.kill(pid, signal.SIGSTOP)
    while house.postgres is None and not _can_be_written(house):
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.05)
        os.kill(pid, signal.SIGSTOP)


def _can_be_written(house: House) -> bool:
    with contextlib.closing(sqlite3.connect(house.settings.data_dir / "vi3nr.db", timeout=0.5)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.rollback()
        return True


def stand_in(house: House, seconds: float) -> None:
    """A runner of this process works on whatever it can claim."""
    database, storage = make_engine(house.settings.url), open_storage(house.settings.url)
    engine = Engine(LocalPool(), storage)
    runner = Runner(
        Store(database), BlobStore(house.settings.blob_place), engine, owner="stand-in",
        lease_seconds=house.settings.lease_seconds,
    )  # fmt: skip
    end = time.monotonic() + seconds
    try:
        runner.run(threading.Event(), lambda: time.monotonic() > end)
    finally:
        storage.engine.dispose()
        database.dispose()


FAULTS: Mapping[str, Fault] = {
    "kill the API": kill_api,
    "kill the runner": kill_runner,
    "kill a trainer": kill_trainer,
    "kill the raylet": kill_raylet,
    "restart PostgreSQL": restart_database,
    "database away": database_away,
    "full disk": full_disk,
    "clock jump": clock_jump,
    "freeze the runner": freeze_runner,
}


def possible(house: House) -> list[str]:
    """The faults that this house can have: a full disk needs a disk of its own, a restart a server."""
    without = {"restart PostgreSQL"} if house.postgres is None else set()
    without |= set() if house.small_disk else {"full disk"}
    return [name for name in FAULTS if name not in without]


def _await(house: House, word: str) -> list[psutil.Process]:
    """Processes of Ray; if it is just starting, those that come soon."""
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: house.below_runner(word), word, STARTING)
    return house.below_runner(word)


def _kill(pid: int | None) -> str:
    if pid is None:
        return "was not there"
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return "was not there"
    return f"process {pid}"


def _kill_one(found: list[psutil.Process], draw: random.Random) -> str:
    if not found:
        return "was not there"
    return _kill(draw.choice(sorted(found, key=lambda process: process.pid)).pid)
