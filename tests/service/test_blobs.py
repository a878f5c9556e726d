"""Blobs: what is put can be got, whole, under the hash of its bytes; in a folder and in object stores alike."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from object_stores import Fickle, fickle_url, s3_at, s3_server
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import BlobStore, BlobsUnavailableError
from service.settings import Settings


@pytest.fixture(scope="module")
def s3() -> Iterator[None]:
    """Needs s3fs, moto[s3], flask and flask-cors, which the project's own environment does not have."""
    with s3_server():
        yield


@pytest.fixture(params=["folder", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A place of each kind. ``memory://`` is fsspec's own; S3 is an imitation that speaks its protocol over HTTP."""
    if request.param == "folder":
        return tmp_path / "blobs"
    if request.param == "s3":
        request.getfixturevalue("s3")
        return f"s3://bucket/{uuid.uuid4().hex}"
    return f"memory://{uuid.uuid4().hex}/prefix"


@pytest.fixture
def blobs(place: Path | str) -> BlobStore:
    return BlobStore(place)


def test_bytes_come_back_under_their_hash(blobs: BlobStore, place: Path | str) -> None:
    """The key is the SHA-256; putting twice is putting once; another store over the same place finds them."""
    assert not blobs.has(hashlib.sha256(b"some bytes").hexdigest())
    key = blobs.put(b"some bytes")
    assert key == hashlib.sha256(b"some bytes").hexdigest()
    assert blobs.put(b"some bytes") == key
    assert blobs.has(key)
    assert blobs.get(key) == BlobStore(place).get(key) == b"some bytes"


def test_blobs_of_any_size_are_kept_apart(blobs: BlobStore) -> None:
    """None, one byte, megabytes."""
    contents = [b"", b"\0", bytes(range(256)) * 20_000]
    keys = [blobs.put(data) for data in contents]
    assert [blobs.get(key) for key in keys] == contents


def test_what_killed_processes_left_behind_is_removed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """When an API starts: what was begun more than a day ago goes; what may yet be finished stays, and so does every
    blob. A folder that is not there yet is no error.
    """
    blobs = BlobStore(settings.blob_dir)
    blobs.tidy()
    key = blobs.put(b"some bytes")

    def killed(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(Path, "replace", killed)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    for data in (b"old", b"new"):
        with pytest.raises(SystemExit):
            blobs.put(data)
    monkeypatch.undo()
    old, new = sorted(settings.blob_dir.rglob(".new-*"), key=lambda file: file.read_bytes(), reverse=True)
    for file in (old, settings.blob_dir / key[:2] / key):
        os.utime(file, (0, 0))
    with TestClient(create_app(settings)):
        assert (old.exists(), new.exists(), blobs.has(key)) == (False, True, True)


def test_what_is_deleted_is_gone_and_can_come_back(blobs: BlobStore) -> None:
    """Deleting twice is deleting once; the others stay."""
    key, other = blobs.put(b"some bytes"), blobs.put(b"others")
    blobs.remove(key)
    blobs.remove(key)
    assert not blobs.has(key)
    assert blobs.get(other) == b"others"
    assert blobs.put(b"some bytes") == key
    assert blobs.get(key) == b"some bytes"


def test_an_unknown_blob_is_a_key_error(blobs: BlobStore) -> None:
    """It names the key."""
    with pytest.raises(KeyError, match="a" * 64):
        blobs.get("a" * 64)


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_key_is_never_a_path(tmp_path: Path, key: str) -> None:
    """Only hashes are looked up."""
    for use in (BlobStore(tmp_path).get, BlobStore(tmp_path).has, BlobStore(tmp_path).remove):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            use(key)


def test_nothing_half_written_lies_in_a_folder(tmp_path: Path) -> None:
    """Two puts of the same bytes leave one file."""
    blobs = BlobStore(tmp_path / "blobs")
    key = blobs.put(b"some bytes")
    blobs.put(b"some bytes")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [key]


def test_the_settings_name_the_place(tmp_path: Path) -> None:
    """A folder in data_dir, or the URL that is set; what is neither is refused."""
    assert Settings(data_dir=tmp_path).blob_place == tmp_path / "blobs"
    assert Settings(data_dir=tmp_path, blob_url="s3://bucket/a").blob_place == "s3://bucket/a"
    for wrong in ("bucket/prefix", "file:///tmp/blobs"):
        with pytest.raises(ValueError, match="blobs lie in a folder"):
            BlobStore(wrong)


def test_what_cannot_be_written_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when the last bytes should go to it: no reader has seen any, and nothing is left behind."""
    blobs, data, seen = BlobStore(tmp_path), b"x" * 1000, []

    def full(_: int) -> None:
        seen.append(blobs.has(hashlib.sha256(data).hexdigest()))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("service.blobs.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        blobs.put(data)
    assert seen == [False]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_store_that_is_away_is_no_empty_store(tmp_path: Path) -> None:
    """Every call says so; when it is back, what was put is there. A folder is never away."""
    blobs = BlobStore(fickle_url(tmp_path.name))
    key = blobs.put(b"some bytes")
    with Fickle.away():
        for call in (lambda: blobs.put(b"others"), lambda: blobs.get(key), lambda: blobs.has(key), blobs.check):
            with pytest.raises(BlobsUnavailableError, match="nobody answers"):
                call()
        with pytest.raises(BlobsUnavailableError):
            blobs.remove(key)
    blobs.check()
    assert blobs.get(key) == b"some bytes"
    BlobStore(tmp_path / "nowhere").check()


def test_a_bucket_that_is_missing_is_no_missing_blob(s3: None) -> None:
    """Writing there says that the store cannot be used."""
    with pytest.raises(BlobsUnavailableError, match="no-such-bucket"):
        BlobStore("s3://no-such-bucket/a").put(b"some bytes")


def test_a_server_that_is_gone_is_away() -> None:
    """Nobody listens there."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        with s3_at(*nobody.getsockname()), pytest.raises(BlobsUnavailableError):
            BlobStore("s3://bucket/a").get("a" * 64)
