"""Plans, runs, notes and results as small as can be, and studies in a store, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from starlette.testclient import TestClient

from service.states import StudyState
from service.store import Store, new_id
from vi3nr.activations import activation
from vi3nr.config import InitConfig
from vi3nr.ensemble.interface import Recipe
from vi3nr.profile import vi3nr_config
from vi3nr.signals import image_signal
from workers.events import Run
from workers.objective import Objective
from workers.plan import BiasChoice, Budget, FamilyPlan, Network, Range, StudyPlan
from workers.result import Arm, Comparison, FamilyResult, Interval, ProgressNote, StudyResult

EXPIRED, LONG = -1.0, 100.0  # lease seconds
SIGNAL = image_signal(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


def config(family: str = "gaussian") -> InitConfig:
    return vi3nr_config(activation(family), (2, 8, 8, 3), sigma_p=0.123456789012345678)


def plan(study_id: str) -> StudyPlan:
    gaussian = FamilyPlan("gaussian", {}, Range(0.01, 0.3), 0.25, None, None, BiasChoice("share", Range(0.1, 0.5)))
    return StudyPlan(
        study_id=study_id,
        families=(gaussian, FamilyPlan("sine")),
        network=Network(8, 1),
        recipe=Recipe(50),
        budget=Budget(4),
        seed=0,
        search_steps=20,
        method="analytic",
        objective=Objective(),
        finalists=1,
        seeds=2,
        baselines=None,
    )


def run(study_id: str, replicate: int = 0, score: float = 23.4) -> Run:
    return Run(
        study_id=study_id,
        family="gaussian",
        arm="gaussian trial 3",
        kind="finalist",
        replicate=replicate,
        score=score,
        best_score=score,
        best_step=50,
        diverged=False,
        seconds=0.1,
        config=config(),
        curve=((25, 20.1), (50, score)),
    )


def note(done: int, total: int = 100, phase: str = "search") -> ProgressNote:
    return ProgressNote(phase, 1, 8, 0, 6, done, total, 0.5, "gaussian", 0, 21.5)


def result() -> StudyResult:
    interval = Interval(25.0, 24.5, 25.5, 2)
    arm = Arm(
        name="gaussian trial 3", kind="finalist", family="gaussian", sigma_a=0.05, sigma_p=0.12, sigma_p_first=0.6,
        bias_first="share 0.6", learning_rate=1e-3, score=interval, values=(24.9, 25.1), diverged=0, trial=3,
        init_config=config(),
    )  # fmt: skip
    gain = Comparison("gaussian PyTorch default", Interval(1.0, 0.5, 1.5, 2), "better", "It is better by 1 dB.")
    family = FamilyResult("gaussian", 1e-3, arm, gain, (arm,), 4, 0.0777, "root")
    return StudyResult(
        objective="fit", metric="PSNR over all points in dB, data range 2", unit="dB", steps=50, search_steps=20,
        search_ended_by="trials", points=16, families=(family,), warnings=("Few points.",),
    )  # fmt: skip


def dataset(store: Store, content: str = "a") -> str:
    return store.add_dataset(name="photo", content_hash=content, signal=SIGNAL, blob_key="k" * 64, meta={"n": 1}).id


def queued(store: Store) -> str:
    study_id = new_id()
    store.add_study(plan=plan(study_id), dataset_id=dataset(store), request={"x": [1, None]}, warnings=["Beware."])
    return study_id


def claimed(store: Store, seconds: float = LONG) -> tuple[str, int]:
    study_id = queued(store)
    study = store.claim("runner one", seconds)
    assert study is not None
    assert study.id == study_id
    return study_id, study.lease_number


def state(store: Store, study_id: str) -> StudyState:
    study = store.study(study_id)
    assert study is not None
    return study.state


def ask(client: TestClient, dataset_id: str, key: str | None = None, **fields: Any) -> Any:
    """Ask for a small study; the answer."""
    body = {"dataset_id": dataset_id, "activations": [{"family": "gaussian"}], "reuse": False, **fields}
    return client.post("/v1/studies", json=body, headers={} if key is None else {"Idempotency-Key": key})


def finish(home: Store, study_id: str) -> None:
    """Claim a queued study, and complete it."""
    claim = home.claim("runner", LONG, only=study_id)
    assert claim is not None
    home.complete(study_id, claim.lease_number, result())
