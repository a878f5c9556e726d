"""Blobs: bytes too large for a row, found by the SHA-256 of what they hold, in a local folder or an object store."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

__all__ = ["BlobStore", "BlobsUnavailableError"]

KEY = re.compile(r"[0-9a-f]{64}")
UNFINISHED, ABANDONED_SECONDS = ".new-", 86_400.0  # what is being written is called so, and is no longer after so long
# Of S3, in seconds: a store that is away has to show within a request, and before a runner's lease ends.
PATIENCE = {"connect_timeout": 3, "read_timeout": 5, "retries": {"mode": "standard", "total_max_attempts": 2}}


class BlobsUnavailableError(OSError):
    """The object store does not answer, or refuses; the same call may succeed later."""


class Shelf(Protocol):
    """Where blobs lie. A reader finds a whole blob or none; ``name`` is two digits, a slash and the key.

    ``read`` and ``remove`` raise FileNotFoundError.
    """

    def write(self, name: str, data: bytes) -> None: ...
    def read(self, name: str) -> bytes: ...
    def exists(self, name: str) -> bool: ...
    def remove(self, name: str) -> None: ...
    def tidy(self) -> None: ...


class BlobStore:
    """Keeps bytes under the hash of what they hold: the same bytes are kept once.

    Args:
        place: a local folder, or a URL of an object store that fsspec knows: ``s3://bucket/prefix`` (with the package
            s3fs; its credentials as that package documents them). Not for ``file://``: a folder is a path.

    Raises:
        ValueError: a URL that is no object store's.
        ImportError: the package for this kind of URL is not installed; the sentence names it.

    Every method may raise BlobsUnavailableError for an object store, and OSError for a folder.
    """

    def __init__(self, place: Path | str) -> None:
        self._shelf: Shelf = _Objects(place) if isinstance(place, str) else _Folder(place)

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their key."""
        key = hashlib.sha256(data).hexdigest()
        if not self._shelf.exists(_name(key)):
            self._shelf.write(_name(key), data)
        return key

    def has(self, key: str) -> bool:
        """Whether the bytes are there."""
        return self._shelf.exists(_name(key))

    def get(self, key: str) -> bytes:
        """The bytes under a key.

        Raises:
            KeyError: if there are none.
        """
        try:
            return self._shelf.read(_name(key))
        except FileNotFoundError:
            raise KeyError(f"there is no blob {key!r}") from None

    def check(self) -> None:
        """Raises BlobsUnavailableError while an object store is away."""
        self._shelf.exists(_name("0" * 64))

    def remove(self, key: str) -> None:
        """Forget the bytes under a key; nothing happens if there are none."""
        try:
            self._shelf.remove(_name(key))
        except FileNotFoundError:
            return

    def tidy(self) -> None:
        """Remove what processes that were killed amid a write have left behind."""
        self._shelf.tidy()


def _name(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError(f"a blob's key has 64 hexadecimal digits, got {key!r}")
    return f"{key[:2]}/{key}"


@dataclass(frozen=True)
class _Folder:
    """A local folder: written beside, then moved into its place."""

    folder: Path

    def write(self, name: str, data: bytes) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=UNFINISHED)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(target)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def exists(self, name: str) -> bool:
        return (self.folder / name).exists()

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def tidy(self) -> None:
        before = time.time() - ABANDONED_SECONDS
        for left in self.folder.glob(f"*/{UNFINISHED}*"):
            with suppress(OSError):
                if left.stat().st_mtime < before:
                    left.unlink()


class _Objects:
    """An object store through fsspec; what it writes appears at once or not at all."""

    def __init__(self, url: str) -> None:
        if "://" not in url or url.startswith("file:"):
            raise ValueError(f"blobs lie in a folder (a path) or an object store (s3://bucket/prefix), got {url!r}")
        from fsspec.core import url_to_fs  # few deployments need it

        s3 = url.startswith("s3:")
        self._files: Any
        self._files, self._root = url_to_fs(url, **({"config_kwargs": PATIENCE} if s3 else {}))
        if s3:
            self._files.retries = 1  # s3fs would try five times what botocore has tried twice

    def write(self, name: str, data: bytes) -> None:
        with _available():
            try:
                self._files.pipe_file(f"{self._root}/{name}", data)
            except FileNotFoundError as error:
                raise BlobsUnavailableError(f"there is no {self._root} to write to: {error}") from error

    def read(self, name: str) -> bytes:
        with _available():
            return bytes(self._files.cat_file(f"{self._root}/{name}"))

    def exists(self, name: str) -> bool:
        with _available():
            try:
                self._files.info(f"{self._root}/{name}")  # fsspec's own "exists" takes every error for a no
            except FileNotFoundError:
                return False
            return True

    def tidy(self) -> None:
        """Nothing is left behind."""

    def remove(self, name: str) -> None:
        with _available():
            self._files.rm_file(f"{self._root}/{name}")


@contextmanager
def _available() -> Iterator[None]:
    """Each kind of object store raises errors of its own; all but that of a missing blob mean the same here."""
    try:
        yield
    except (FileNotFoundError, BlobsUnavailableError):
        raise
    except Exception as error:
        raise BlobsUnavailableError(f"the object store cannot be used: {type(error).__name__}: {error}") from error
