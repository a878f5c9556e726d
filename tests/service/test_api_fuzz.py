"""Schemathesis against the application's own OpenAPI, with all its checks: what it sends is answered as declared.

A few cases an operation here; ``make fuzz-api`` sends thousands (``VI3NR_API_CASES`` of each operation).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig
from studies_to_store import plan

from service.app import create_app
from service.blobs import BlobStore
from service.database import make_engine
from service.keys import KeyRing, Scope
from service.settings import Settings
from service.store import Store, new_id
from vi3nr.signals import image_signal

CASES = int(os.environ.get("VI3NR_API_CASES", "12"))
# A request may keep to the schema and still ask for what cannot be: low above high, a dataset that is not there.
CONFIG = {"checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "304", "4xx"]}}}


class World:
    """An application with keys on, a key, and things to ask about that are there again when they were deleted."""

    def __init__(self, folder: Path, upgraded: Path) -> None:
        made = Settings(
            data_dir=folder, require_keys=True, requests_per_minute=10**9, max_queued=10**6, max_studies=10**6
        )
        shutil.copy(upgraded, folder / "vi3nr.db")
        self.app = create_app(made)
        self.app.state.rooms.watchers.closing.set()  # no request waits, no stream goes on
        engine = make_engine(made.url)
        self.token = KeyRing(engine).create("schemathesis", Scope.ADMIN)[1]
        self._store, self._blobs = Store(engine), BlobStore(made.blob_dir)
        self._study = ""

    def dataset(self) -> str:
        signal = image_signal(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
        meta = {"original_size": [4, 4], "size": [4, 4], "max_points": 16, "notes": []}
        key = self._blobs.put(signal.to_bytes())
        return self._store.add_dataset(name="a", content_hash="a", signal=signal, blob_key=key, meta=meta).id

    def study(self) -> str:
        if not self._study or self._store.study(self._study) is None:
            self._study = new_id()
            self._store.add_study(plan=plan(self._study), dataset_id=self.dataset(), request={})
        return self._study


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, upgraded: Path) -> World:
    return World(tmp_path_factory.mktemp("fuzzed"), upgraded)


@pytest.fixture(scope="module")
def api(world: World) -> Iterator[Any]:
    yield schemathesis.openapi.from_asgi("/openapi.json", world.app, config=SchemathesisConfig.from_dict(CONFIG))


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=CASES, deadline=None, derandomize=CASES <= 100, database=None,
    phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_whatever_is_sent_is_answered_as_declared(case: schemathesis.Case, world: World) -> None:
    """No 5xx; status, media type, headers and body as the document has them; no way in without a key."""
    real = {"dataset_id": world.dataset, "study_id": world.study}
    for name, make in real.items():
        word = (case.path_parameters or {}).get(name)
        if isinstance(word, str) and len(word) % 2:  # every other one is about something that is there
            case.path_parameters[name] = make()
    case.call_and_validate(headers={"Authorization": f"Bearer {world.token}"})
