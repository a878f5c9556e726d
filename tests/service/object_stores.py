"""Object stores to test with: one in memory that can go away, and an imitation of S3 that speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

__all__ = ["Fickle", "fickle_url", "s3_at", "s3_server"]


class Fickle(MemoryFileSystem):
    """In memory; while ``there`` is false every call fails as a connection does."""

    protocol = "fickle"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    there = True

    @classmethod
    @contextmanager
    def away(cls) -> Iterator[None]:
        """The store is away inside."""
        cls.there = False
        try:
            yield
        finally:
            cls.there = True

    def _meet(self) -> None:
        if not self.there:
            raise ConnectionRefusedError("nobody answers")

    def info(self, path: str, **options: Any) -> Any:
        self._meet()
        return super().info(path, **options)

    def pipe_file(self, path: str, value: bytes, **options: Any) -> Any:
        self._meet()
        return super().pipe_file(path, value, **options)

    def cat_file(self, path: str, **options: Any) -> Any:
        self._meet()
        return super().cat_file(path, **options)

    def rm_file(self, path: str) -> None:
        self._meet()
        super().rm_file(path)


def fickle_url(prefix: str) -> str:
    """Where blobs lie in it."""
    fsspec.register_implementation("fickle", Fickle, clobber=True)
    return f"fickle://bucket/{prefix}"


@contextmanager
def s3_server() -> Iterator[None]:
    """A server on a port of its own with the bucket ``bucket``; inside, the environment leads there."""
    s3fs = pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with s3_at(*server.get_host_and_port()):
            s3fs.S3FileSystem(skip_instance_cache=True).makedirs("bucket", exist_ok=True)  # all servers share one
            yield
    finally:
        server.stop()


@contextmanager
def s3_at(host: str, port: int) -> Iterator[None]:
    """S3 is taken to be there, whoever answers."""
    s3fs = pytest.importorskip("s3fs")
    environment = {
        "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield
    s3fs.S3FileSystem.clear_instance_cache()
