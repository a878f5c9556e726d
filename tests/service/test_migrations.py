"""The schema's versions, over SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from optuna.storages import RDBStorage
from sqlalchemy import Engine, inspect, text

from service.database import (
    HEAD,
    VERSION_TABLE,
    DatabaseVersionError,
    current_version,
    make_engine,
    upgrade,
)
from service.migrations.ours import is_ours
from service.models import PREFIX, Base
from service.store import Store


def test_an_upgrade_from_nothing_makes_the_models_tables(engine: Engine) -> None:
    """After the migrations Alembic finds no difference from the models."""
    upgrade(engine)
    options = {"include_object": is_ours, "compare_type": True, "version_table": VERSION_TABLE}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
        assert current_version(connection) == HEAD


def test_the_head_that_the_api_asks_for_is_the_newest_migration() -> None:
    """``HEAD`` is written down so that the API need not load Alembic; it must not fall behind."""
    config = Config()
    config.set_main_option("script_location", str(Path(str(is_ours.__globals__["__file__"])).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_upgrading_twice_or_at_once_is_one_upgrade(engine: Engine) -> None:
    """Four threads upgrade an empty database at the same moment, and once more: none fails."""
    start, errors = threading.Barrier(4), []

    def race() -> None:
        start.wait()
        try:
            upgrade(engine)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    upgrade(engine)
    assert errors == []
    assert Store(engine).unready() is None


def test_a_database_of_a_newer_service_is_refused_with_a_sentence(engine: Engine) -> None:
    """An unknown version is named, and nothing is changed."""
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(DatabaseVersionError, match="'9999', which this version of the service does not know"):
        upgrade(engine)
    reason = Store(engine).unready()
    assert reason is not None
    assert "'9999'" in reason


def test_optunas_tables_and_ours_live_side_by_side(engine: Engine) -> None:
    """Whichever comes first: Optuna keeps its ``studies`` and its ``alembic_version``, our names begin with vi3nr_."""
    upgrade(engine)
    url = engine.url.render_as_string(hide_password=False)
    storage = RDBStorage(url)
    storage.remove_session()
    storage.engine.dispose()
    upgrade(engine)
    tables = set(inspect(engine).get_table_names())
    assert {"studies", "trials", "alembic_version"} <= tables
    assert {name for name in tables if name.startswith(PREFIX)} == {*Base.metadata.tables, VERSION_TABLE}
    test_an_upgrade_from_nothing_makes_the_models_tables(engine)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://a:hidden@b/c"])
def test_a_database_that_processes_cannot_share_is_refused(url: str) -> None:
    """The sentence names the URL, without its password."""
    with pytest.raises(ValueError, match=r"database_url must .* got ") as refused:
        make_engine(url)
    assert "hidden" not in str(refused.value)


def test_sqlite_waits_for_locks_and_minds_foreign_keys(sqlite_engine: Engine) -> None:
    """WAL, synchronous NORMAL (1), a busy timeout of 30 s and foreign keys, on every connection."""
    with sqlite_engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        ]
    assert found == ["wal", 1, 30_000, 1]
