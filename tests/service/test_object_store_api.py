"""The API over an object store: what lies in S3 is read back, and one that is away is a problem of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_service import SMALL, a_picture
from object_stores import Fickle, fickle_url, s3_server
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import BlobStore
from service.database import make_engine
from service.settings import Settings
from service.store import Store


@pytest.fixture(params=["fickle", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An object store in memory, and an imitation of S3 where its packages are installed."""
    if request.param == "fickle":
        yield fickle_url(tmp_path.name)
    else:
        with s3_server():
            yield f"s3://bucket/{tmp_path.name}"


@pytest.fixture
def client(place: str, tmp_path: Path, upgraded: Path) -> Iterator[TestClient]:
    shutil.copy(upgraded, tmp_path / "vi3nr.db")
    settings = Settings(data_dir=tmp_path, blob_url=place)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def test_uploads_lie_in_the_object_store(client: TestClient, place: str, tmp_path: Path) -> None:
    """An upload's signal is there and nowhere else; the API reads it for a first guess, knows it again, and forgets it
    with its dataset.
    """
    files = {"files": ("a.png", a_picture())}
    answer = client.post("/v1/datasets", files=files)
    assert answer.status_code == 201, answer.text
    dataset = answer.json()["id"]
    engine = make_engine(Settings(data_dir=tmp_path).url)
    (signal,) = Store(engine).dataset(dataset).signals
    engine.dispose()
    assert BlobStore(place).has(signal.blob_key)
    assert not (tmp_path / "blobs").exists()
    assert client.post("/v1/datasets", files=files).status_code == 200
    guess = client.post("/v1/init", json={"family": "sine", "dataset_id": dataset})
    assert guess.status_code == 200, guess.text
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    assert not BlobStore(place).has(signal.blob_key)


@pytest.mark.parametrize("place", ["fickle"], indirect=True)
def test_an_object_store_that_is_away_is_told(client: TestClient) -> None:
    """What needs it is answered with 503 and when to ask again, and works when it is back; the rest is answered."""
    files = {"files": ("a.png", a_picture())}
    dataset = client.post("/v1/datasets", files=files).json()["id"]
    with Fickle.away():
        for answer in (
            client.post("/v1/datasets", files=files),
            client.post("/v1/datasets", files={"files": ("b.png", a_picture())}, data={"max_points": "50"}),
            client.post("/v1/init", json={"family": "sine", "dataset_id": dataset}),
        ):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), answer.text
            assert answer.json()["type"] == "urn:vi3nr:problem:unavailable"
            assert "object store" in answer.json()["detail"]
        study = client.post("/v1/studies", json={"dataset_id": dataset, **SMALL})
        assert study.status_code == 202, study.text
        assert client.get("/v1/datasets").json()["items"][0]["id"] == dataset
    assert client.post("/v1/datasets", files=files).status_code == 200
