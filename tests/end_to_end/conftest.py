"""The whole service as a user starts it: real processes, a real Ray, a real database, over HTTP."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from live import Client, photograph

from service.embedded import Embedded
from service.settings import Settings


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("service"), lease_seconds=3.0)


@pytest.fixture(scope="session")
def embedded(settings: Settings) -> Iterator[Embedded]:
    with Embedded(settings) as service:
        yield service
        children = [psutil.Process(child.pid) for child in service.children.values() if child.pid]
        family = [process for child in children for process in (child, *child.children(recursive=True))]
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive, f"processes left behind: {alive}"


@pytest.fixture(scope="session")
def client(embedded: Embedded) -> Iterator[Client]:
    with Client(embedded.url) as client:
        yield client


@pytest.fixture(scope="session")
def dataset(client: Client) -> str:
    return client.upload(photograph(32))


@pytest.fixture
def runner_pid(embedded: Embedded) -> Callable[[], int]:
    """The pid of the runner that works now."""
    return lambda: int(embedded.children["runner"].pid or 0)


@pytest.fixture(scope="session")
def here() -> Path:
    return Path(__file__).parents[2]
