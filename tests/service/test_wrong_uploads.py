"""Wrong uploads are answered with a 4xx problem that names the field or the file, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient
from told_problems import Encode, problem

from service.app import create_app
from service.database import make_engine, upgrade
from service.settings import Settings


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """413, naming the file, when the body as a whole would pass."""
    limits = Settings(data_dir=tmp_path, max_upload_bytes=2000)
    upgrade(make_engine(limits.url))
    client = TestClient(create_app(limits), raise_server_exceptions=False)
    (error,) = problem(client.post("/v1/datasets", files={"files": ("a.png", b"x" * 2001)}), 413).errors
    assert (error.field, error.value) == ("files", "'a.png'")


def test_uploads_that_are_no_images_or_unlike_are_refused(client: TestClient, encode: Encode) -> None:
    """No image: 415. A damaged one, unlike ones, none, another form: 4xx; each names ``files`` and the file."""
    no_image = problem(client.post("/v1/datasets", files={"files": ("song.mp3", b"ID3 la la")}), 415)
    assert (no_image.errors[0].field, no_image.errors[0].value) == ("files", "'song.mp3'")
    damaged = problem(client.post("/v1/datasets", files={"files": ("cut.jpg", encode("JPEG", 200, 200)[:900])}), 422)
    assert (damaged.errors[0].field, damaged.errors[0].value) == ("files", "'cut.jpg'")
    files = [("files", ("a.png", encode())), ("files", ("b.png", encode(mode="L")))]
    unlike = problem(client.post("/v1/datasets", files=files), 422)
    assert (unlike.errors[0].field, unlike.errors[0].value) == ("files", "'b.png'")
    assert "2 coordinates and 1 values, the first file is an image of 2 coordinates and 3" in unlike.errors[0].message
    assert problem(client.post("/v1/datasets", files={"file": ("a.png", encode())}), 422).errors[0].field == "file"
    odd = client.post("/v1/datasets", files={"files": ("a.png", encode())}, data={"return": "x"})
    assert problem(odd, 422).errors[0].field == "return"
    sliver = client.post("/v1/datasets", files={"files": ("a.png", encode())}, data={"crop": "1:2,1:2"})
    assert problem(sliver, 422).errors[0].field == "crop"
    problem(client.post("/v1/datasets", data={"max_points": "100"}), 415)
    problem(client.post("/v1/datasets", json={"files": []}), 415)
    problem(client.post("/v1/datasets", content=b"x", headers={"content-type": "multipart/form-data"}), 400)
    problem(client.post("/v1/datasets", data={"files": "a.png"}, files={"x": ("a", b"")}), 422)
    assert client.get("/v1/datasets").json()["items"] == []


@pytest.mark.parametrize("points", ["0", "-5", "many", "NaN", "10.5", "99999999999999999999"])
def test_a_wrong_number_of_points_is_refused(client: TestClient, encode: Encode, points: str) -> None:
    """422, naming ``max_points``."""
    answer = client.post("/v1/datasets", files={"files": ("a.png", encode())}, data={"max_points": points})
    assert problem(answer, 422).errors[0].field == "max_points"
