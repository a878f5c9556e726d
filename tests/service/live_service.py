"""A real API process with keys on, over SQLite; a runner without Ray in this process where one is wanted."""

from __future__ import annotations

import io
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from service.blobs import BlobStore
from service.client import Client
from service.database import opened
from service.embedded import Child
from service.keys import KeyRing, Scope
from service.runner import Runner
from service.settings import Settings
from service.store import Store
from workers.engine import Engine
from workers.pool_local import LocalPool
from workers.storage import open_storage

SMALL: dict[str, Any] = {
    "activations": [{"family": "gaussian"}],
    "network": {"width": 8, "hidden_layers": 1},
    "training": {"steps": 14},  # the last tenth is one step: the score is that of the network that is given back
    "search": {"trials": 2},
    "confirm": {"finalists": 1, "seeds": 2},
    "baselines": ["pytorch_default"],
}


def a_picture() -> bytes:
    rows, columns = np.mgrid[0:10, 0:12] / 12
    target = io.BytesIO()
    Image.fromarray((np.stack([rows, columns, rows * columns], axis=-1) * 255).astype(np.uint8)).save(target, "PNG")
    return target.getvalue()


class LiveService:
    """Where it is, and a key of scope admin."""

    def __init__(self, settings: Settings, url: str) -> None:
        self.settings, self.url = settings, url
        with opened(settings.url) as engine:
            self.key = KeyRing(engine).create("tests", Scope.ADMIN)[1]

    def client(self) -> Client:
        return Client(self.url, self.key)

    @contextmanager
    def runner(self) -> Iterator[None]:
        """While the block runs a runner works on whatever there is, in a thread."""

        def work() -> None:
            storage = open_storage(self.settings.url)
            with opened(self.settings.url) as engine:
                store = Store(engine)
                runner = Runner(store, BlobStore(self.settings.blob_place), Engine(LocalPool(), storage), owner="test")
                runner.run(stop)
            storage.remove_session()
            storage.engine.dispose()

        stop = threading.Event()
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)

    def completed(self, *families: str) -> str:
        """The id of a completed study of a small picture."""
        with self.client() as client:
            dataset = client.upload(("a.png", a_picture()))
            asked = {**SMALL, "activations": [{"family": family} for family in families]}
            study = client.start({"dataset_id": dataset.id, **asked})
            with self.runner():
                client.wait(study.id, seconds=120)
            return study.id


@contextmanager
def live_service(folder: Path, upgraded: Path) -> Iterator[LiveService]:
    """While the block runs the service answers."""
    settings = Settings(data_dir=folder, require_keys=True, watch_seconds=0.05)
    shutil.copy(upgraded, folder / "vi3nr.db")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        number = listener.fileno()
        api = Child("api", ["--fd", str(number)], settings, (number,))
        api.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            _await(f"{url}/healthz", api)
            yield LiveService(settings, url)
        finally:
            api.stop()


def _await(url: str, api: Child) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert api.ended() is None, api.last_words()
        try:
            with urllib.request.urlopen(url, timeout=60):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError(f"{url} did not answer: {api.last_words()}")
