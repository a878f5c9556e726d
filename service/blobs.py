"""Blobs: bytes too large for a row, in a local folder, found by the SHA-256 of what they hold."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BlobStore"]

KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BlobStore:
    """A folder of blobs. Writing is atomic: a reader finds a whole blob or none."""

    folder: Path

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their key; the same bytes are kept once."""
        key = hashlib.sha256(data).hexdigest()
        target = self._path(key)
        if target.exists():
            return key
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return key

    def has(self, key: str) -> bool:
        """Whether the bytes are there."""
        return self._path(key).exists()

    def get(self, key: str) -> bytes:
        """The bytes under a key.

        Raises:
            KeyError: if there are none.

        """
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise KeyError(f"there is no blob {key!r}") from None

    def remove(self, key: str) -> None:
        """Forget the bytes under a key; nothing happens where there are none."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise ValueError(f"a blob's key has 64 hexadecimal digits, got {key!r}")
        return self.folder / key[:2] / key
