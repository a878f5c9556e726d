"""The runner: what it holds it records, what it lost it drops, what it cannot do fails with a sentence."""

import errno
import json
import logging
import threading

import pytest
from runner_house import opened, tiny_plan
from sqlalchemy.exc import OperationalError
from studies_to_store import EXPIRED, LONG

from benchmarks.idle_trainer import IdleTrainer
from service import store as store_module
from service.blobs import BlobStore
from service.logs import JsonLines
from service.runner import MAX_CLAIMS, Runner
from service.states import FINISHED, StudyState
from service.store import Store
from workers.engine import Engine
from workers.pool_local import LocalPool
from workers.storage import StorageUnavailableError


@pytest.fixture
def house(tmp_path):
    with opened(tmp_path) as house:
        yield house


def test_studies_are_completed_side_by_side(house, caplog):
    """Two queued studies end with an answer each, their runs recorded. The log names study, family and trial."""
    caplog.set_level(logging.INFO)
    ids = [house.add(tiny_plan()) for _ in range(2)]
    house.runner().run(threading.Event(), lambda: all(house.state(i) is StudyState.COMPLETED for i in ids))
    for study_id in ids:
        assert house.store.result(study_id).families[0].trials == 5
        assert {run.kind for run in house.store.runs(study_id)} == {"finalist", "baseline", "theory"}
        lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
        mine = [line for line in lines if study_id in line["message"]]
        assert all(line["study_id"] == study_id for line in mine)
        assert mine[-1]["message"] == f"study {study_id} is completed"
        assert {(line["family"], line["trial"]) for line in mine if "trial" in line["message"]} == {
            ("gaussian", number) for number in range(5)
        }


def test_a_full_disk_costs_the_pictures_and_not_the_answer(house, monkeypatch):
    """What the report shows cannot be kept: the study is completed all the same."""
    study_id = house.add(tiny_plan())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(BlobStore, "put", full)
    house.runner().run(threading.Event(), lambda: house.state(study_id) in FINISHED)
    assert house.state(study_id) is StudyState.COMPLETED
    assert house.store.result(study_id).keepsake is None


def test_stopping_gives_the_studies_back(house):
    """After an orderly stop a study is queued again and keeps its trials; another runner completes it."""
    study_id = house.add(tiny_plan())
    runner = house.runner()
    while not house.store.trials(house.store.study(study_id)).items:
        runner.turn(1.0)
    stop = threading.Event()
    stop.set()
    runner.run(stop)
    assert house.state(study_id) is StudyState.QUEUED
    house.runner().run(threading.Event(), lambda: house.state(study_id) is StudyState.COMPLETED)
    assert house.store.result(study_id).families[0].trials == 5


def test_a_runner_that_lost_its_lease_writes_nothing_more(house):
    """A second runner claims the expired study and completes it; the first one drops it and goes on with its own."""
    study_id = house.add(tiny_plan())
    first = house.runner()
    first.turn(1.0)
    house.expire(study_id)
    second = house.runner(owner="second", only=study_id)
    second.run(threading.Event(), lambda: house.state(study_id) is StudyState.COMPLETED)
    answer = house.store.result(study_id)
    other = house.add(tiny_plan(6))
    first.run(threading.Event(), lambda: house.state(other) is StudyState.COMPLETED)
    assert house.store.result(study_id) == answer


def test_a_runner_that_was_slow_goes_on_with_its_own_study(house):
    """A lease that ran out and that nobody claimed still holds: the study ends with its answer, claimed once."""
    study_id = house.add(tiny_plan())
    runner = house.runner()
    runner.turn(1.0)
    house.expire(study_id)
    runner.run(threading.Event(), lambda: house.state(study_id) is StudyState.COMPLETED)
    assert house.store.result(study_id).families[0].trials == 5
    assert house.claims(study_id) == 1


def test_a_begin_that_outlasts_its_lease_is_made_once(house, monkeypatch):
    """The lease has run out when the study is begun: its runner neither claims it again nor begins it anew."""
    study_id, begun = house.add(tiny_plan()), []
    add = Engine.add

    def slow(engine, plan, *rest, **more):
        begun.append(plan.study_id)
        house.expire(study_id)
        return add(engine, plan, *rest, **more)

    monkeypatch.setattr(Engine, "add", slow)
    runner = house.runner()
    for _ in range(2):
        runner.turn(0.0)
    assert (begun, house.claims(study_id), house.state(study_id)) == ([study_id], 1, StudyState.RUNNING)


def test_a_runner_asked_to_stop_begins_nothing_more(house, monkeypatch):
    """Three studies wait and there is room for all: the wish to stop comes amid the first begin, and two stay."""
    ids, stop = [house.add(tiny_plan()) for _ in range(3)], threading.Event()
    add = Engine.add

    def asked(*arguments, **more):
        stop.set()
        return add(*arguments, **more)

    monkeypatch.setattr(Engine, "add", asked)
    house.runner().run(stop)
    assert [house.claims(study_id) for study_id in ids] == [1, 0, 0]
    assert {house.state(study_id) for study_id in ids} == {StudyState.QUEUED}


def test_cancelling_frees_the_study(house, caplog):
    """A study whose client cancels it while it runs becomes cancelled at its own runner's next look."""
    caplog.set_level(logging.INFO)
    study_id = house.add(tiny_plan(100))
    runner = house.runner()
    runner.turn(1.0)
    house.store.request_cancel(study_id)
    runner.run(threading.Event(), lambda: house.state(study_id) is StudyState.CANCELLED)
    assert "under lease 2" not in caplog.text


def test_a_missing_blob_fails_the_study_with_a_sentence(house, tmp_path):
    """A signal that is gone fails its study and no other."""
    study_id = house.add(tiny_plan())
    for blob in (tmp_path / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    house.runner().run(threading.Event(), lambda: house.state(study_id) is StudyState.FAILED)
    assert "could not begin: the dataset's data is gone" in house.store.study(study_id).error


def test_a_study_that_no_runner_survives_is_given_up(house):
    """After MAX_CLAIMS claims without an end the study fails instead of going round for ever."""
    study_id = house.add(tiny_plan())
    for _ in range(MAX_CLAIMS):
        assert house.store.claim("dies", EXPIRED) is not None
    house.runner().run(threading.Event(), lambda: house.state(study_id) is StudyState.FAILED)
    assert str(MAX_CLAIMS) in house.store.study(study_id).error


def test_a_runner_without_devices_leaves_the_queue_to_others(house):
    """Its trainers may all be gone: a study waits for whoever can train it."""
    study_id = house.add(tiny_plan())
    engine = Engine(LocalPool(devices=0), house.storage)
    Runner(house.store, house.blobs, engine, owner="bare", lease_seconds=LONG).turn(0.0)
    assert house.state(study_id) is StudyState.QUEUED


def test_several_runners_share_the_studies(house):
    """Two runners with room for one study each: four studies are completed, each by one of them under one lease, and
    both have worked."""
    ids = [house.add(tiny_plan()) for _ in range(4)]
    runners = [
        Runner(
            house.store, house.blobs, Engine(LocalPool(player=IdleTrainer), house.storage), owner=name,
            lease_seconds=LONG, capacity=1,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    claims = {}
    while not all(house.state(study_id) is StudyState.COMPLETED for study_id in ids):
        for owner, runner in zip(("one", "two"), runners, strict=True):
            runner.turn(1.0)
            claims |= {study_id: (owner, lease) for study_id, lease in runner._held.items()}
    assert sorted(claims) == sorted(ids)
    assert {owner for owner, _ in claims.values()} == {"one", "two"}
    assert {lease for _, lease in claims.values()} == {1}


@pytest.fixture
def away(monkeypatch):
    """Say when the database refuses: ``away.append(n)`` refuses n calls of the store in a row."""
    left = []
    transact = store_module.transact

    def refuse(*arguments):
        if left and left[0] > 0:
            left[0] -= 1
            raise OperationalError("SELECT", {}, Exception("server closed the connection unexpectedly"))
        return transact(*arguments)

    monkeypatch.setattr(store_module, "transact", refuse)
    monkeypatch.setattr("workers.storage.time.sleep", lambda _: None)
    return left


def test_a_database_that_is_away_for_a_moment_changes_nothing(house, away):
    """Every call of the store is refused twice, the one after a claim too: the study is completed all the same."""
    study_id = house.add(tiny_plan())
    away[:] = [2]
    runner = house.runner()
    for _ in range(500):
        if not away[0] and house.state(study_id) in (StudyState.COMPLETED, StudyState.FAILED):
            break
        away[:] = [2]
        runner.turn(1.0)
        away[:] = [0]
    assert house.state(study_id) is StudyState.COMPLETED, house.store.study(study_id).error
    assert house.store.result(study_id).families[0].trials == 5


def test_a_database_that_goes_away_while_a_study_begins_does_not_fail_it(house, monkeypatch):
    """It is back by the time at which the failure could be written: the study is nobody's failure all the same."""
    study_id = house.add(tiny_plan())

    def refuse(*_):
        raise OperationalError("SELECT", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr("workers.storage.time.sleep", lambda _: None)
    monkeypatch.setattr(Store, "runs", refuse)
    with pytest.raises(StorageUnavailableError):
        house.runner().run(threading.Event())
    assert house.state(study_id) is StudyState.RUNNING


def test_a_database_that_stays_away_ends_the_runner_and_not_the_study(house, away):
    """The runner gives up with an error, whatever it was about to do; the study is nobody's failure, and goes on."""
    study_id = house.add(tiny_plan())
    for turns in (0, 1, 3):
        runner = house.runner()
        for _ in range(turns):
            runner.turn(1.0)
        away[:] = [1000]
        with pytest.raises(StorageUnavailableError, match="server closed the connection"):
            runner.run(threading.Event())
        away[:] = [0]
        assert house.state(study_id) in (StudyState.QUEUED, StudyState.RUNNING)
        house.expire(study_id)
    house.runner().run(threading.Event(), lambda: house.state(study_id) is StudyState.COMPLETED)
    assert house.store.result(study_id).families[0].trials == 5
