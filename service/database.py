"""The database: engines for SQLite and PostgreSQL, the database's clock, and the schema's version.

SQLite runs in WAL mode with ``synchronous=NORMAL`` (a crash of the machine may lose the last commits, never
corrupt), on a local disk only. A write transaction begins IMMEDIATE, so that two writers queue instead of
failing half way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Float, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from workers.connections import end_stalled_transactions, patience

__all__ = [
    "BLOBS_LOCK",
    "HEAD",
    "VERSION_TABLE",
    "DatabaseVersionError",
    "clock",
    "current_version",
    "exclude",
    "make_engine",
    "mismatch",
    "missing_file",
    "opened",
    "upgrade",
    "writing",
]

VERSION_TABLE = "vi3nr_version"  # Optuna owns a table called alembic_version in the same database
HEAD = "0005"  # the newest migration; a test compares it with the migrations themselves
BUSY_SECONDS = 30.0
MIGRATION_LOCK = 0x56493352  # any numbers that nobody else uses as PostgreSQL advisory locks
BLOBS_LOCK = 0x56493353


class DatabaseVersionError(RuntimeError):
    """The database's schema is not one that this version of the service can work with."""


class clock(GenericFunction[float]):  # noqa: N801 -- it reads as the SQL function that it is
    """The database's clock, in seconds since 1970-01-01 UTC: one clock for every API and runner process."""

    type = Float(53)
    inherit_cache = True


@compiles(clock, "sqlite")
def _clock_sqlite(_element: clock, _compiler: SQLCompiler, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"  # julianday of the epoch; resolves milliseconds


@compiles(clock, "postgresql")
def _clock_postgresql(_element: clock, _compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


def make_engine(url: str) -> Engine:
    """An engine for ``sqlite:///path`` or ``postgresql+psycopg://...``; makes the SQLite file's folder if
    need be. Its errors tell the statement and not the values: those may be secrets, and errors are logged.

    Raises:
        ValueError: for another kind of database, or an SQLite database in memory (API and runner must share
        it).

    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "postgresql":
        # As many connections as there may be are kept: one that is opened for a burst costs more than the requests.
        engine = create_engine(
            parsed, pool_size=15, max_overflow=0, pool_pre_ping=True, connect_args=patience(url), hide_parameters=True
        )
        end_stalled_transactions(engine)
        return engine
    if parsed.get_backend_name() != "sqlite":
        raise ValueError(
            f"database_url must begin with sqlite:/// or postgresql+psycopg://, got {parsed.render_as_string()!r}"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError(f"database_url must name a file that API and runner can share, got {url!r}")
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    connecting = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    engine = create_engine(parsed, connect_args=connecting, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """An engine for a while; its connections are closed afterwards."""
    engine = make_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def missing_file(url: str) -> Path | None:
    """The SQLite file that this URL names, if it is not there."""
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    file = Path(parsed.database)
    return None if file.exists() else file


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:  # the text itself may hold a password
        told = "database_url must begin with sqlite:/// or postgresql+psycopg://, got neither"
        raise ValueError(told) from None


def writing(engine: Engine) -> Engine:
    """The same engine and pool, for transactions that write."""
    return engine.execution_options(vi3nr_writes=True)


def exclude(session: Session, lock: int, *, shared: bool = False) -> None:
    """Until the end of this transaction nobody else takes the lock, with ``shared`` nobody who takes it alone."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite's writers queue anyway
        kind = "_shared" if shared else ""
        session.execute(text(f"SELECT pg_advisory_xact_lock{kind}(:lock)"), {"lock": lock})


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # sqlite3 must not begin transactions by itself: _begin_sqlite does
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("vi3nr_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def current_version(connection: Connection) -> str | None:
    """The schema's version, or None for a database without our tables."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return version


def mismatch(version: str | None) -> str | None:
    """Why this version of the service cannot work with a schema version, as a sentence; None if it can."""
    if version == HEAD:
        return None
    if version is not None and version > HEAD:
        return (
            f"the database has schema version {version!r}, which this version of the service does not know "
            f"(its newest is {HEAD!r}): a newer service has written it; upgrade the service"
        )
    return f"the database has schema version {version!r}, this service needs {HEAD!r}: run `vi3nr db upgrade`"


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest version; two processes may call it at once.

    Raises:
        DatabaseVersionError: if a newer version of the service has written the database.

    """
    from alembic import command  # the API only reads the version: it has no use for Alembic
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with writing(engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        found = current_version(connection)
        if found is not None and found > HEAD:  # they are numbers of four digits
            raise DatabaseVersionError(mismatch(found))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
