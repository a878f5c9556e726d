"""What the tests of the service share: stores over both databases, a client, images encoded by Pillow."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import Engine
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import BlobStore
from service.database import make_engine, upgrade
from service.keys import KeyRing
from service.settings import Settings
from service.store import Store
from vi3nr.signals import image_signal

if TYPE_CHECKING:
    from live_service import LiveService

Encode = Callable[..., bytes]


@pytest.fixture
def store(engine: Engine) -> Store:
    """A store over an upgraded database."""
    upgrade(engine)
    return Store(engine)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a service of its own."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upgraded SQLite file, to be copied: upgrading takes longer than most tests."""
    path = tmp_path_factory.mktemp("upgraded") / "vi3nr.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def client(settings: Settings, upgraded: Path) -> Iterator[TestClient]:
    """A client of an application over an upgraded SQLite database."""
    settings.data_dir.mkdir()
    shutil.copy(upgraded, settings.data_dir / "vi3nr.db")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def encode() -> Encode:
    """A picture of smooth colours as an encoded image: ``encode("PNG", 40, 30, mode="RGB")``."""

    def image(kind: str = "PNG", width: int = 24, height: int = 16, mode: str = "RGB", **options: object) -> bytes:
        rows, columns = np.mgrid[0:height, 0:width]
        layers = [128 + 120 * np.sin(rows / 5 + k) * np.cos(columns / 7 - k) for k in range(3)]
        picture = Image.fromarray(np.stack(layers, axis=-1).astype(np.uint8)).convert(mode)
        target = io.BytesIO()
        picture.save(target, kind, **options)
        return target.getvalue()

    return image


@pytest.fixture
def dataset_id(client: TestClient, settings: Settings) -> str:
    """A stored image of 24 x 16 pixels."""
    engine = make_engine(settings.url)
    signal = image_signal(np.arange(24 * 16 * 3).reshape(16, 24, 3).astype(np.uint8))
    blob_key = BlobStore(settings.blob_dir).put(signal.to_bytes())
    meta = {"original_size": [24, 16], "size": [24, 16], "max_points": 16384, "notes": []}
    dataset = Store(engine).add_dataset(name="photo", content_hash="a", signal=signal, blob_key=blob_key, meta=meta)
    engine.dispose()
    return dataset.id


@pytest.fixture
def home(settings: Settings, client: TestClient) -> Iterator[Store]:
    """The database of the client's application, as a runner sees it."""
    engine = make_engine(settings.url)
    yield Store(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, upgraded: Path) -> Iterator[LiveService]:
    """A running service, shared by all that ask for it."""
    from live_service import live_service  # with a runner's imports, which few tests need

    with live_service(tmp_path_factory.mktemp("live"), upgraded) as service:
        yield service


@pytest.fixture
def guarded(tmp_path: Path, upgraded: Path) -> Settings:
    """Settings of a service with keys on, over an upgraded database."""
    made = Settings(data_dir=tmp_path / "data", require_keys=True)
    made.data_dir.mkdir()
    shutil.copy(upgraded, made.data_dir / "vi3nr.db")
    return made


@pytest.fixture
def ring(guarded: Settings) -> Iterator[KeyRing]:
    """The keys of that service."""
    engine = make_engine(guarded.url)
    yield KeyRing(engine)
    engine.dispose()
