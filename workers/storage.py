"""Optuna's RDB storage as this project runs it: SQLite that several processes may use, and calls that try again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import event

__all__ = ["StorageUnavailableError", "open_storage", "persistently"]

BUSY_TIMEOUT = 30.0  # seconds that SQLite waits for another writer
DELAYS = (0.05, 0.2, 0.8, 2.0, 5.0)  # seconds between tries; a failover of the database takes about that long

T = TypeVar("T")


class StorageUnavailableError(Exception):
    """The database refused several times in a row: nothing of a study is wrong, the runner cannot go on."""


def open_storage(url: str) -> RDBStorage:
    """The storage behind ``url`` (an SQLAlchemy URL), its tables created where they are missing.

    SQLite runs in WAL mode with ``synchronous=NORMAL`` and a 30 s busy timeout (six processes: 4.7 s instead of 21 s).
    There is no heartbeat: it is not for ask and tell; the engine's lease does its work.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not url.startswith("sqlite"):
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT}})
    event.listen(storage.engine, "connect", _tune_sqlite)
    storage.engine.dispose()  # so that connections made before the listener are replaced
    return storage


def persistently(call: Callable[[], T], delays: tuple[float, ...] = DELAYS) -> T:
    """``call()``, tried again after each of ``delays`` seconds while the database refuses.

    The call must be safe to repeat. Raises StorageUnavailableError when the last try failed too.
    """
    for delay in delays:
        try:
            return call()
        except StorageInternalError:
            time.sleep(delay)
    try:
        return call()
    except StorageInternalError as error:
        raise StorageUnavailableError(f"the trial database refused {len(delays) + 1} times: {error}") from error


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
