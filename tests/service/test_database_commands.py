"""``vi3nr db`` and the embedded start: an older database is upgraded with its data, a newer one refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, text
from test_migration_0002 import DATASET, INSERTED, alembic, older_plan, older_result
from typer.testing import CliRunner, Result

from service.commands import app
from service.database import HEAD, VERSION_TABLE, DatabaseVersionError, upgrade
from service.embedded import Child, Embedded
from service.settings import Settings
from service.store import Store


@pytest.fixture
def url(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def older(engine: Engine) -> Engine:
    """Version 0001 with a completed study and a queued one."""
    alembic(engine, "0001", command.upgrade)
    with engine.begin() as connection:
        connection.execute(text(DATASET))
        for study_id, state, answer in (("aa", "completed", json.dumps(older_result())), ("bb", "queued", None)):
            row = {"id": study_id, "state": state, "plan": json.dumps(older_plan(study_id)), "result": answer}
            connection.execute(text(INSERTED), row | {"created": 2.0})
    return engine


def make_newer(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))


@pytest.fixture
def db(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """``vi3nr db ...`` over this database."""
    monkeypatch.setenv("VI3NR_DATABASE_URL", url)
    monkeypatch.setenv("VI3NR_DATA_DIR", str(tmp_path / "data"))

    def call(*words: str) -> Result:
        return CliRunner().invoke(app, ["db", *words])

    return call


def holds_its_data(engine: Engine) -> bool:
    store = Store(engine)
    waiting = store.study("bb")
    answer = store.result("aa")
    return waiting is not None and waiting.state == "queued" and answer is not None and answer.steps == 50


def test_an_older_database_is_told_and_upgraded_with_its_data(older: Engine, db) -> None:
    """``status`` names both versions and ``upgrade``, and fails; after ``upgrade`` it succeeds, and all is there."""
    told = db("status")
    assert told.exit_code == 1
    assert "'0001'" in told.output
    assert f"'{HEAD}'" in told.output
    assert "vi3nr db upgrade" in told.output
    assert db("upgrade").exit_code == 0
    assert holds_its_data(older)
    ready = db("status", "--json")
    assert ready.exit_code == 0
    assert json.loads(ready.stdout) == {"version": HEAD, "needed": HEAD, "ready": True, "reason": None}


def test_a_newer_database_is_refused_with_a_sentence(engine: Engine, db) -> None:
    """Neither command touches it; both say that the service has to be upgraded, not the database."""
    upgrade(engine)
    make_newer(engine)
    for word, status in (("status", 1), ("upgrade", 2)):
        done = db(word)
        assert done.exit_code == status
        assert "'9999'" in done.output
        assert "upgrade the service" in done.output
        assert "Traceback" not in done.output
    assert "upgrade the service" in str(Store(engine).unready())


def test_a_database_that_is_away_is_named(db, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``status`` and ``upgrade`` without a server: one line, exit status 3."""
    monkeypatch.setenv("VI3NR_DATABASE_URL", f"postgresql+psycopg://nobody@/none?host={tmp_path}&connect_timeout=1")
    for word in ("status", "upgrade"):
        done = db(word)
        assert done.exit_code == 3
        assert "cannot be reached" in done.output
        assert len(done.output.splitlines()) == 1


class NothingStartsError(Exception):
    """Raised where a process would be started."""


@pytest.fixture
def embedded(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Embedded:
    """A service whose processes cannot be started."""

    def start(_: Child) -> None:
        raise NothingStartsError

    monkeypatch.setattr(Child, "start", start)
    return Embedded(Settings(data_dir=tmp_path / "data", database_url=url))


def test_the_embedded_start_upgrades_an_older_database(older: Engine, embedded: Embedded) -> None:
    """Before any process of it is started the database has the newest schema, and its data."""
    with pytest.raises(NothingStartsError):
        embedded.__enter__()
    assert Store(older).unready() is None
    assert holds_its_data(older)


def test_the_embedded_start_refuses_a_newer_database(engine: Engine, embedded: Embedded) -> None:
    """No process is started."""
    upgrade(engine)
    make_newer(engine)
    with pytest.raises(DatabaseVersionError, match="upgrade the service"):
        embedded.__enter__()
