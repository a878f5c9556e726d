"""A runner that was thought dead cannot write anything: neither our tables nor Optuna's, over both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from optuna.trial import TrialState
from sqlalchemy import Engine
from studies_to_store import EXPIRED, LONG, SIGNAL, claimed, plan

from benchmarks.idle_trainer import IdleTrainer
from service.store import Store
from service.trial_records import optuna_name
from workers.engine import Engine as Studies
from workers.events import StudyCompleted, StudyFailed
from workers.pool_local import LocalPool
from workers.storage import TrialStorage, open_storage


@pytest.fixture
def storages(engine: Engine) -> Iterator[tuple[TrialStorage, TrialStorage]]:
    """Of two runners."""
    made = tuple(open_storage(engine.url.render_as_string(hide_password=False)) for _ in range(2))
    yield made
    for storage in made:
        storage.remove_session()
        storage.engine.dispose()


def held(storage: TrialStorage) -> list[object]:
    """What a storage keeps of studies that are worked on."""
    kept = (storage._fences, storage._study_of, storage._unfinished, storage._gathered)
    return [one for one in kept if one]


def finished(store: Store, study_id: str) -> dict[tuple[str, int], float | None]:
    study = store.study(study_id)
    trials = store.trials(study, 200).items
    return {(t.family, t.number): t.score for t in trials if t.state in ("complete", "pruned")}


def test_trials_of_a_lost_lease_are_not_recorded(store: Store, storages) -> None:
    """The old engine goes on training and telling after another runner has claimed the study: from then on it writes
    nothing, whatever it does, and the new one finishes with exactly the trials that were asked for."""
    study_id, stale = claimed(store, EXPIRED)
    first = store.claim("runner two", EXPIRED)
    old, new = (Studies(LocalPool(devices=2, player=IdleTrainer), storage) for storage in storages)
    old.add(first.plan, SIGNAL, [], first.lease_number, fence=store.fence(study_id, first.lease_number))
    while not finished(store, study_id):
        old.step(0.0)
    second = store.claim("runner three", LONG)
    kept = finished(store, study_id)
    said = [event for _ in range(60) for event in old.step(0.0)]
    assert finished(store, study_id) == kept
    assert not [event for event in said if isinstance(event, StudyCompleted)]
    assert [event for event in said if isinstance(event, StudyFailed)]  # it noticed; the store refuses to record it
    new.add(first.plan, SIGNAL, [], second.lease_number, fence=store.fence(study_id, second.lease_number))
    while new.studies:
        new.step(0.0)
    assert kept.items() <= finished(store, study_id).items()
    assert len(finished(store, study_id)) == 2 * first.plan.budget.trials
    states = {trial.state for trial in store.trials(store.study(study_id), 200).items}
    assert states <= {"complete", "pruned", "failed"}
    assert stale < first.lease_number
    for storage in storages:
        assert not held(storage), "a runner's memory does not grow with every study that it has seen"


def test_a_study_that_is_given_back_is_forgotten(store: Store, storages) -> None:
    """Its trials are failed first, under its lease; another study's are known as before, and so is its fence."""
    storage, pool = storages[0], LocalPool(devices=2, player=IdleTrainer)
    (given, first), (kept, second) = claimed(store), claimed(store)
    engine = Studies(pool, storage)
    for study_id, lease in ((given, first), (kept, second)):
        engine.add(plan(study_id), SIGNAL, [], lease, fence=store.fence(study_id, lease))
    while len(set(storage._study_of.values())) < 4:  # two families each
        engine.step(0.0)
    theirs = {storage.get_study_id_from_name(optuna_name(kept, family)) for family in ("gaussian", "sine")}
    engine.abort(given)
    assert not [trial for trial in store.trials(store.study(given)).items if trial.state == "running"]
    assert set(storage._fences) == set(storage._study_of.values()) == theirs
    engine.abort(kept)
    assert not held(storage)


def test_no_claim_comes_between_a_fences_yes_and_the_write(store: Store, storages) -> None:
    """While a write of the trial storage is under way, a claim of the expired study gets nothing or waits."""
    study_id, _ = claimed(store, EXPIRED)
    lease = store.claim("runner two", EXPIRED).lease_number
    storage, fence = storages[0], store.fence(study_id, lease)
    claims: list[object] = []
    racer = threading.Thread(target=lambda: claims.append(store.claim("racer", LONG)))
    optuna_id = storage.create_new_study([0], "s")
    seen: list[bool] = []

    def slow(connection) -> bool:
        holds = fence(connection)
        racer.start()
        racer.join(0.5)
        seen.append(any(claims))
        return holds

    storage.fence_off(optuna_id, slow)
    storage.create_new_trial(optuna_id)
    racer.join()
    assert seen == [False]
    assert [t.state for t in storage.get_all_trials(optuna_id)] == [TrialState.RUNNING]
