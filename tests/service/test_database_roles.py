"""The dashboard's role reads trials, studies and datasets, and can do nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from service.database import upgrade
from service.database_roles import make_reader
from service.store import Store
from workers.storage import open_storage, optuna_tables


@pytest.fixture(scope="module")
def url(postgres_server: str) -> str:
    """An upgraded database with a reader."""
    engine = create_engine(postgres_server, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
        connection.execute(text("GRANT USAGE ON SCHEMA public TO PUBLIC"))
    upgrade(engine)
    open_storage(postgres_server).engine.dispose()
    for _ in range(2):  # again is no mistake
        make_reader(engine, "vi3nr_reader", "it's a secret")
    engine.dispose()
    return postgres_server


@pytest.fixture
def reader(url: str) -> Engine:
    """An engine that logs in as the reader."""
    return create_engine(make_url(url).set(username="vi3nr_reader", password="it's a secret"), poolclass=NullPool)


def test_the_reader_opens_the_storage_and_reads_it(reader: Engine) -> None:
    """Optuna's storage works for the role, as the dashboard needs it."""
    storage = open_storage(reader.url.render_as_string(hide_password=False))
    assert storage.get_all_studies() == []
    storage.engine.dispose()


def test_the_reader_reads_what_stories_are_told_from(reader: Engine) -> None:
    """Studies, their results and datasets, by the store's own methods."""
    store = Store(reader)
    assert store.titles() == {}
    assert (store.study("s"), store.result("s"), store.dataset("d")) == (None, None, None)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM trials",
        "SET TRANSACTION READ WRITE; INSERT INTO studies (study_name) VALUES ('mine')",
        "SET TRANSACTION READ WRITE; CREATE TABLE mine (x int)",
        "SELECT * FROM vi3nr_version",
        "SELECT * FROM vi3nr_webhooks",
        "SET TRANSACTION READ WRITE; UPDATE vi3nr_studies SET state = 'failed'",
        "TABLE pg_authid",
    ],
)
def test_the_reader_can_do_nothing_else(reader: Engine, statement: str) -> None:
    """Writing, and reading what the dashboard does not show, is refused by the database itself, whatever is set."""
    with reader.connect() as connection, pytest.raises(DBAPIError, match=r"permission denied|read-only"):
        connection.exec_driver_sql(statement)


def test_the_owner_and_odd_names_are_refused(url: str) -> None:
    """A role that is the owner itself, a name to be quoted, and SQLite are refused with a sentence."""
    engine = create_engine(url, poolclass=NullPool)
    for name in (engine.url.username or "postgres", 'x"; DROP TABLE trials; --', ""):
        with pytest.raises(ValueError, match="a role of its own"):
            make_reader(engine, name, "word")
    with pytest.raises(ValueError, match="needs PostgreSQL"):
        make_reader(create_engine("sqlite://"), "reader", "word")


def test_optunas_tables_are_all_of_them(url: str) -> None:
    """What the reader may read is what Optuna has made."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        found = connection.execute(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        )
        assert set(optuna_tables()) <= set(found.scalars())
