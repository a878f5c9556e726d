"""Where a command finds what it works on: this machine's database, or a running service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from service.commands.options import refuse, sentence_of, settings_of
from service.exit_statuses import UNREACHABLE, WRONG

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from service.blobs import BlobStore
    from service.client import Client
    from service.records import Study
    from service.store import Store

__all__ = ["database_errors_told", "database_of", "running_service", "study_here"]


@contextmanager
def database_errors_told() -> Iterator[None]:
    """A database that cannot be reached ends the command with a sentence."""
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except OperationalError as error:
        refuse(f"the database cannot be reached: {sentence_of(Exception(error.orig))}", UNREACHABLE)


@contextmanager
def database_of(data_dir: Path | None) -> Iterator[Engine]:
    """The database of this machine, once it is found ready."""
    from service.database import missing_file, opened
    from service.store import Store

    try:
        url = settings_of(data_dir).url
        if (file := missing_file(url)) is not None:
            refuse(
                f"there is no database at {file}: `vi3nr serve`, `vi3nr search` and `vi3nr db upgrade` make one; "
                "--data-dir names another folder"
            )
        with database_errors_told(), opened(url) as engine:
            if reason := Store(engine).unready():
                refuse(reason)
            yield engine
    except (OSError, ValueError) as error:
        refuse(sentence_of(error))


@contextmanager
def study_here(study_id: str, data_dir: Path | None) -> Iterator[tuple[Store, BlobStore, Study]]:
    """A study of this machine's database, with what it is kept in."""
    from service.blobs import BlobStore
    from service.store import Store

    with database_of(data_dir) as engine:
        store, blobs = Store(engine), BlobStore(settings_of(data_dir).blob_place)
        study = store.study(study_id)
        if study is None:
            refuse(f"there is no study {study_id[:40]!r} in {settings_of(data_dir).data_dir}; --url asks a service")
        yield store, blobs, study


def _key_in(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        refuse(f"--key-file {file} holds no API key: it is not text")


@contextmanager
def running_service(url: str, key_file: Path | None) -> Iterator[Client]:
    """A client of a running service; what goes wrong ends the command with a sentence."""
    from service.client import ApiError, Client, Retries, UnreachableError

    try:
        key = os.environ.get("VI3NR_API_KEY") if key_file is None else _key_in(key_file)
        with Client(url, key or None, retries=Retries(times=2)) as client:  # a person waits
            yield client
    except ApiError as error:
        refuse(error.detail, UNREACHABLE if error.status >= 500 else WRONG)
    except UnreachableError as error:
        refuse(f"{sentence_of(error)}; is `vi3nr serve` running there?", UNREACHABLE)
    except (OSError, ValueError) as error:
        refuse(sentence_of(error))
