"""Runners over a database, blobs and trial storage in a folder, for small studies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sqlalchemy import text
from studies_to_store import LONG

from service.blobs import BlobStore
from service.database import make_engine, upgrade
from service.records import Dataset
from service.runner import Runner
from service.states import StudyState
from service.store import Store, new_id
from vi3nr.ensemble.interface import Recipe
from vi3nr.signals import image_signal
from workers.engine import Engine
from workers.objective import Objective
from workers.plan import Budget, FamilyPlan, Network, StudyPlan
from workers.pool_local import LocalPool
from workers.storage import open_storage


def tiny_plan(trials: int = 5) -> StudyPlan:
    return StudyPlan(
        study_id=new_id(), families=(FamilyPlan("gaussian"),), network=Network(8, 1), recipe=Recipe(20),
        budget=Budget(trials), seed=0, search_steps=8, method="analytic", objective=Objective(), finalists=1, seeds=2,
        baselines=("pytorch_default",),
    )  # fmt: skip


class House:
    """A store, blobs and storage in a folder, and runners over them."""

    def __init__(self, folder, blobs=None):
        self.folder, url = folder, f"sqlite:///{folder / 'vi3nr.db'}"
        self.database = make_engine(url)
        upgrade(self.database)
        self.store, self.storage = Store(self.database), open_storage(url)
        self.blobs = BlobStore(folder / "blobs" if blobs is None else blobs)
        self.dataset = self.picture(0)

    def picture(self, seed: int) -> Dataset:
        signal = image_signal(np.random.default_rng(seed).random((8, 8, 3)))
        key = self.blobs.put(signal.to_bytes())
        return self.store.add_dataset(name="a", content_hash=f"b{seed}", signal=signal, blob_key=key, meta={})

    def add(self, plan: StudyPlan, dataset: Dataset | None = None) -> str:
        return self.store.add_study(plan=plan, dataset_id=(dataset or self.dataset).id, request={}).id

    def runner(self, **changes) -> Runner:
        engine = Engine(LocalPool(), self.storage)
        return Runner(self.store, self.blobs, engine, **({"owner": "test", "lease_seconds": LONG} | changes))

    def expire(self, study_id: str) -> None:
        """As if the runner had been silent for too long."""
        with self.database.begin() as connection:
            connection.execute(text("UPDATE vi3nr_studies SET lease_until = 0 WHERE id = :id"), {"id": study_id})

    def claims(self, study_id: str) -> int:
        """How often it was claimed."""
        return self._of("lease_number", study_id)

    def lease_until(self, study_id: str) -> float:
        return self._of("lease_until", study_id)

    def _of(self, column: str, study_id: str):
        with self.database.connect() as connection:
            asked = text(f"SELECT {column} FROM vi3nr_studies WHERE id = :id")
            return connection.scalar(asked, {"id": study_id})

    def state(self, study_id: str) -> StudyState:
        return self.store.study(study_id).state


@contextmanager
def opened(folder: Path, blobs: str | None = None) -> Iterator[House]:
    """A house whose connections are closed in the end."""
    house = House(folder, blobs)
    yield house
    house.database.dispose()
    house.storage.engine.dispose()
