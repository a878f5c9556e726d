"""Blobs: what is put can be got, whole, under the hash of its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from service.blobs import BlobStore


def test_bytes_come_back_under_their_hash_and_are_kept_once(tmp_path: Path) -> None:
    """The key is the SHA-256; putting twice leaves one file and nothing half written."""
    blobs = BlobStore(tmp_path / "blobs")
    key = blobs.put(b"some bytes")
    assert key == hashlib.sha256(b"some bytes").hexdigest()
    assert blobs.put(b"some bytes") == key
    assert blobs.get(key) == b"some bytes"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [key]


def test_an_unknown_blob_is_a_key_error(tmp_path: Path) -> None:
    """It names the key."""
    with pytest.raises(KeyError, match="a" * 64):
        BlobStore(tmp_path).get("a" * 64)


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_key_is_never_a_path(tmp_path: Path, key: str) -> None:
    """Only hashes are looked up."""
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        BlobStore(tmp_path).get(key)
