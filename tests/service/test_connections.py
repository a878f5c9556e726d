"""A client of PostgreSQL that stands still in the middle of a transaction does not hold up the others."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from service.database import make_engine
from workers.connections import PATIENCE, STALLED_SECONDS, end_stalled_transactions
from workers.storage import open_storage


def test_a_stalled_transaction_ends_and_lets_go_of_its_locks(postgres_engine, postgres_server) -> None:
    """Another writer waits as long as the limit says and no longer; the stalled one finds its connection closed as when
    a server has gone, and its next transaction goes through a new one.
    """
    with postgres_engine.begin() as connection:
        connection.execute(text("CREATE TABLE things (id int PRIMARY KEY, name text)"))
        connection.execute(text("INSERT INTO things VALUES (1, 'new')"))
    stalled = create_engine(postgres_server, pool_pre_ping=True)
    end_stalled_transactions(stalled, 0.3)
    held = stalled.connect()
    held.execute(text("UPDATE things SET name = 'stalled' WHERE id = 1"))
    with postgres_engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("UPDATE things SET name = 'other' WHERE id = 1"))
    with pytest.raises(OperationalError):
        held.execute(text("SELECT 1"))
    held.close()
    with stalled.connect() as connection:
        assert connection.scalar(text("SELECT name FROM things")) == "other"
    stalled.dispose()


def test_every_connection_of_ours_is_told(postgres_server) -> None:
    """The API's and the runner's engine, and Optuna's storage; a URL may ask for more or less patience."""
    more = "&" if "?" in postgres_server else "?"
    mine = f"{postgres_server}{more}connect_timeout=33"
    for url, seconds in ((postgres_server, 5), (mine, 33)):
        for engine in (make_engine(url), open_storage(url).engine):
            with engine.connect() as connection:
                parameters = connection.connection.driver_connection.info.get_parameters()
            engine.dispose()
            wanted = {name: str(value) for name, value in {**PATIENCE, "connect_timeout": seconds}.items()}
            assert wanted.items() <= parameters.items()
    for engine in (make_engine(postgres_server), open_storage(postgres_server).engine):
        with engine.connect() as connection:
            told = connection.scalar(text("SELECT setting FROM pg_settings WHERE name = :name"),
                                     {"name": "idle_in_transaction_session_timeout"})  # fmt: skip
        engine.dispose()
        assert told == str(round(1000 * STALLED_SECONDS))
