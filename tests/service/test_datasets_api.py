"""Datasets over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from service.blobs import BlobStore
from service.database import make_engine
from service.settings import Settings
from service.store import Store
from vi3nr.signals import Signal

Encode = Callable[..., bytes]


def test_an_image_becomes_a_dataset(client: TestClient, encode: Encode, settings: Settings) -> None:
    """201 and Location; the answer tells sizes and options; the runner finds the signal in the blob store."""
    data = encode("PNG", 300, 200)
    answer = client.post("/v1/datasets", files={"files": ("photo.png", data)}, data={"max_points": "1000"})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert answer.headers["location"] == f"/v1/datasets/{body['id']}" == body["links"]["self"]
    assert (body["original_size"], body["size"], body["max_points"]) == ([300, 200], [38, 25], 1000)
    assert (body["points"], body["in_dim"], body["out_dim"], body["shape"]) == (950, 2, 3, [25, 38])
    assert (body["name"], body["kind"]) == ("photo.png", "image")
    assert body["notes"] == ["it was made smaller by area averaging"]
    assert client.get(answer.headers["location"]).json() == body
    engine = make_engine(settings.url)
    dataset = Store(engine).dataset(body["id"])
    engine.dispose()
    assert dataset is not None
    signal = Signal.from_bytes(BlobStore(settings.blob_dir).get(dataset.blob_key))
    assert signal.coordinates.shape == (950, 2)
    assert signal.shape == (25, 38)


def test_the_default_is_a_picture_of_at_most_16384_points(client: TestClient, encode: Encode) -> None:
    """512 x 512 becomes 128 x 128; a small picture stays as it is."""
    large = client.post("/v1/datasets", files={"files": ("a.png", encode("PNG", 512, 512))}).json()
    small = client.post("/v1/datasets", files={"files": ("a.png", encode("PNG", 20, 10))}).json()
    assert (large["size"], small["size"], small["notes"]) == ([128, 128], [20, 10], [])


def test_the_same_upload_is_stored_once(client: TestClient, encode: Encode) -> None:
    """The second time it is 200 and the same dataset; with another option it is another one."""
    upload = {"files": ("a.png", encode())}
    first, second = client.post("/v1/datasets", files=upload), client.post("/v1/datasets", files=upload)
    other = client.post("/v1/datasets", files=upload, data={"max_points": "50"})
    assert [first.status_code, second.status_code, other.status_code] == [201, 200, 201]
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]
    assert other.json()["id"] != first.json()["id"]


def test_datasets_are_listed_in_pages(client: TestClient, encode: Encode) -> None:
    """Following next_cursor gives each dataset once, the newest first."""
    made = [
        client.post("/v1/datasets", files={"files": ("a.png", encode("PNG", 10 + k, 10))}).json()["id"]
        for k in range(3)
    ]
    first = client.get("/v1/datasets", params={"limit": 2}).json()
    second = client.get("/v1/datasets", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\cat.png", "cat.png"),
        ("Blüte.png", "Blüte.png"),
        ("x" * 999, "x" * 255),
    ],
)
def test_a_files_name_is_shown_and_is_no_path(client: TestClient, encode: Encode, name: str, shown: str) -> None:
    """Only its last part is kept, at most 255 characters of it."""
    answer = client.post("/v1/datasets", files={"files": (name, encode())})
    assert answer.json()["name"] == shown


def test_what_the_upload_looked_like_is_told(client: TestClient) -> None:
    """Transparency laid over white shows in the notes."""
    target = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(8, 8, 4)).save(target, "PNG")
    answer = client.post("/v1/datasets", files={"files": ("clear.png", target.getvalue())})
    assert answer.json()["notes"] == ["transparent parts were laid over white"]


def test_a_lost_blob_comes_back_with_the_same_upload(client: TestClient, encode: Encode, settings: Settings) -> None:
    """When the signal's bytes are gone, uploading the file again restores them under the same dataset."""
    data = encode("PNG", 20, 10)
    first = client.post("/v1/datasets", files={"files": ("photo.png", data)}).json()
    blobs = [path for path in settings.blob_dir.rglob("*") if path.is_file()]
    kept = {path: path.read_bytes() for path in blobs}
    for path in blobs:
        path.unlink()
    again = client.post("/v1/datasets", files={"files": ("photo.png", data)}).json()
    assert again["id"] == first["id"]
    assert {path: path.read_bytes() for path in kept} == kept
