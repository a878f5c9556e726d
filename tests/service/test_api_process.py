"""The API as a process: what it imports, what it says about itself, how it fares without its database."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import BlobStore
from service.settings import Settings
from service.states import FINISHED, TRANSITIONS, StudyState
from service.store import Store

SERVE = """
import json, sys
from pathlib import Path
import numpy as np
import service.app
parts = [name for name in sys.modules if name in ("scipy.linalg", "scipy.spatial", "scipy.special")]
from service.settings import Settings
from service.blobs import BlobStore
from service.database import opened
from service.store import Store
from starlette.testclient import TestClient
from vi3nr.signals import image_signal
settings = Settings(data_dir=Path(sys.argv[1]))
assert not any(Path.cwd().iterdir()), "importing made something"
with TestClient(service.app.create_app(settings)) as client:
    client.get("/readyz")
    answer = client.post("/v1/init", json={"family": "gaussian"})
    client.get("/openapi.json")
    signal = image_signal(np.arange(192).reshape(8, 8, 3).astype(np.uint8))
    with opened(settings.url) as database:
        key = BlobStore(settings.blob_dir).put(signal.to_bytes())
        dataset = Store(database).add_dataset(name="a", content_hash="a", signal=signal, blob_key=key, meta={})
    asked = {"dataset_id": dataset.id, "activations": [{"family": "gaussian"}, {"family": "sin(3*x)"}]}
    study = client.post("/v1/studies", json=asked)
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([answer.status_code, study.status_code, parts, loaded]))
"""


def test_the_api_imports_neither_torch_nor_ray_nor_optuna(tmp_path: Path, upgraded: Path) -> None:
    """A fresh Python makes the application and serves requests, one for a study among them; none of the heavy libraries
    is loaded then. Of SciPy no part is loaded before somebody asks for it: they take a fifth of the time to start.
    """
    command = [sys.executable, "-c", SERVE, str(tmp_path / "data")]
    here, data = tmp_path / "here", tmp_path / "data"
    here.mkdir()
    data.mkdir()
    shutil.copy(upgraded, data / "vi3nr.db")
    place = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=here, env=place, timeout=120)
    status, asked, parts, modules = json.loads(done.stdout)
    assert (status, asked) == (200, 202)
    assert "fastapi" in modules
    assert not {"torch", "ray", "optuna", "alembic"} & set(modules)
    assert parts == []


def test_health_needs_no_database_and_readiness_does(tmp_path: Path) -> None:
    """Before the schema is there the process is alive and not ready, and says what to do."""
    client = TestClient(create_app(Settings(data_dir=tmp_path)), raise_server_exceptions=False)
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "schema version None" in answer.json()["detail"]


def test_a_database_that_is_gone_is_a_503_problem(tmp_path: Path) -> None:
    """A PostgreSQL that does not answer: 503 with Retry-After, not a stack trace."""
    url = f"postgresql+psycopg://nobody@/none?host={tmp_path}&connect_timeout=1"
    client = TestClient(create_app(Settings(data_dir=tmp_path, database_url=url)), raise_server_exceptions=False)
    for path in ("/readyz", "/v1/studies"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "retry-after" in answer.headers


def test_a_database_whose_connections_are_all_taken_is_a_503(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be that every request waits for a server that hangs: try again."""

    def taken(*_: object) -> None:
        raise PoolTimeoutError("QueuePool limit of size 5 overflow 10 reached")

    monkeypatch.setattr(Store, "studies", taken)
    answer = client.get("/v1/studies")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:vi3nr:problem:unavailable")
    assert "retry-after" in answer.headers


ARENAS = """
import ctypes, sys, threading
from pathlib import Path
import uvicorn
from service.processes import run_api
from service.settings import Settings
libc = ctypes.CDLL(None)
libc.open_memstream.restype = ctypes.c_void_p
gate = threading.Barrier(16)

def take():
    gate.wait()
    libc.malloc(1000)
    gate.wait()

def count(server, sockets):
    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told, size = ctypes.c_char_p(), ctypes.c_size_t()
    file = ctypes.c_void_p(libc.open_memstream(ctypes.byref(told), ctypes.byref(size)))
    libc.malloc_info(0, file)
    libc.fclose(file)
    print(told.value.count(b"<heap nr="))

uvicorn.Server.run = count
run_api(Settings(data_dir=Path(sys.argv[1])), "127.0.0.1", 0, None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is about glibc's arenas")
def test_threads_share_few_arenas(tmp_path: Path) -> None:
    """Of sixteen threads in the API's process: each with one of its own, memory grew with the requests."""
    command = [sys.executable, "-c", ARENAS, str(tmp_path / "data")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, timeout=120)
    assert int(done.stdout) <= 2


OTHERWISE = {  # what is no JSON
    "/v1/studies/{study_id}/events": ["text/event-stream"],
    "/v1/studies/{study_id}/report": ["text/html"],
    "/v1/studies/{study_id}/reconstruction": ["application/octet-stream", "audio/wav", "image/png", "model/ply"],
    "/v1/studies/{study_id}/export": ["application/json", "application/octet-stream", "text/x-python"],
    "/metrics": ["text/plain"],
}


def test_every_endpoint_is_documented(client: TestClient) -> None:
    """Tag, summary, a schema for each success, and a problem for each error; every reference resolves."""
    schema = client.get("/openapi.json").json()
    seen = {
        (method.upper(), path): operation
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }
    assert len(seen) == 23
    for (_, path), operation in seen.items():
        assert operation["tags"]
        assert operation["summary"]
        for status, answer in operation["responses"].items():
            if status in ("204", "304"):
                assert "content" not in answer, operation["summary"]
                continue
            kinds = ["application/problem+json"] if status >= "400" else OTHERWISE.get(path, ["application/json"])
            assert sorted(answer["content"]) == kinds, operation["summary"]
            assert "application/json" not in kinds or answer["content"]["application/json"]["schema"]

    def references(thing: Any) -> set[str]:
        if isinstance(thing, dict):
            own = {thing["$ref"]} if isinstance(thing.get("$ref"), str) else set()
            return own.union(*(references(value) for value in thing.values()))
        return set().union(*(references(value) for value in thing)) if isinstance(thing, list) else set()

    known = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    assert references(schema) <= known


def test_no_transition_leaves_a_finished_state_and_every_state_is_reached() -> None:
    """The table of states is whole."""
    sources = {source for step in TRANSITIONS.values() for source in step.sources}
    assert sources == set(StudyState) - FINISHED
    assert {step.target for step in TRANSITIONS.values()} == set(StudyState)


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EIO, 500)])
def test_a_full_disk_is_told_as_such(
    client: TestClient, encode: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    """An upload that cannot be kept for want of room: 507 with Retry-After, and no dataset; another fault is a 500."""

    def put(*_: object) -> str:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(BlobStore, "put", put)
    answer = client.post("/v1/datasets", files={"files": ("a.png", encode(), "image/png")})
    assert answer.status_code == status
    assert answer.json()["type"] == f"urn:vi3nr:problem:{'disk-full' if status == 507 else 'internal'}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (status == 507)
    assert client.get("/v1/datasets").json()["items"] == []
