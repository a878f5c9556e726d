"""Schemathesis against the application's own OpenAPI, with all its checks: what it sends is answered as declared.

A few cases an operation here; ``make fuzz-api`` sends thousands (``VI3NR_API_CASES`` of each operation).
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure, FailureGroup
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
            data_dir=folder,
            require_keys=True,
            requests_per_minute=10**9,
            max_queued=10**6,
            max_studies=10**6,
            max_datasets=10**6,
        )
        shutil.copy(upgraded, folder / "vi3nr.db")
        self.app = create_app(made)
        self.app.state.rooms.watchers.closing = True  # no request waits, no stream goes on
        engine = make_engine(made.url)
        self.token = KeyRing(engine).create("schemathesis", Scope.ADMIN)[1]
        self._store, self._blobs = Store(engine), BlobStore(made.blob_dir)
        self._study = ""
        self.sent: Counter[int] = Counter()  # requests by the status of the answer

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


def test_whatever_is_sent_is_answered_as_declared(world: World) -> None:
    """No 5xx; status, media type, headers and body as the document has them; no way in without a key.

    What keeps to the schema and what breaks it, of every operation.
    """
    config = SchemathesisConfig.from_dict(CONFIG)
    schema = schemathesis.openapi.from_asgi("/openapi.json", world.app, config=config)
    wrong = []
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                ask(world, operation.as_strategy(generation_mode=mode))
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, "nothing can be asked"  # or nothing can be wrong
            except (AssertionError, FailureGroup, Failure) as error:
                wrong.append(f"{operation.label}, {mode.value}: {error}\n{getattr(error, '__notes__', '')}")
    assert not wrong, "\n\n".join(wrong)
    assert sum(world.sent.values()) > 10 * CASES
    assert {200, 202, 204, 404, 422} <= world.sent.keys(), "it went in deep enough to be accepted"
    print(f"{sum(world.sent.values())} requests: {dict(sorted(world.sent.items()))}")


def ask(world: World, cases: st.SearchStrategy[schemathesis.Case]) -> None:
    """Send cases of one operation, every other one about something that is there."""
    things = {"dataset_id": world.dataset, "study_id": world.study}

    @settings(
        max_examples=CASES, deadline=None, derandomize=CASES <= 100, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases)
    def send(case: schemathesis.Case) -> None:
        for name, make in things.items():
            word = (case.path_parameters or {}).get(name)
            if isinstance(word, str) and len(word) % 2:
                case.path_parameters[name] = make()
        answer = case.call_and_validate(headers={"Authorization": f"Bearer {world.token}"})
        world.sent[answer.status_code] += 1

    send()
