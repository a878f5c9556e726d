"""The runner while blobs cannot be read or written: no study is begun or failed, no trial and no answer is lost."""

import threading

import pytest
from object_stores import Fickle, fickle_url
from runner_house import opened, tiny_plan

from service import runner as runner_module
from service.states import FINISHED, StudyState


@pytest.fixture
def fickle(tmp_path, monkeypatch):
    """A house whose blobs lie in an object store that can go away, and is soon looked for again."""
    monkeypatch.setattr(runner_module, "AWAY_SECONDS", 0.05)
    with opened(tmp_path, fickle_url(tmp_path.name)) as house:
        yield house


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A house whose blobs lie in a folder, which is soon looked into again."""
    monkeypatch.setattr(runner_module, "AWAY_SECONDS", 0.01)
    monkeypatch.setattr(runner_module, "IDLE_SECONDS", 0.01)
    with opened(tmp_path) as house:
        yield house


def test_a_study_waits_for_the_object_store_to_come_back(fickle):
    """While it is away the study stays queued, claimed once and never failed; then it is worked on to its end."""
    study_id, runner = fickle.add(tiny_plan()), fickle.runner()
    with Fickle.away():
        runner.run(threading.Event(), until=iter([False] * 8 + [True]).__next__)
        assert fickle.state(study_id) is StudyState.QUEUED
    runner.run(threading.Event(), lambda: fickle.state(study_id) is StudyState.COMPLETED)
    assert fickle.store.result(study_id).families[0].trials == 5
    assert fickle.claims(study_id) == 2  # before it was known that the store is away, and after


def test_data_that_cannot_be_read_holds_up_one_study(house, monkeypatch):
    """Of two datasets the older one's bytes cannot be read, again and again, though the store is there: its study waits
    and the other one is completed; then they can be read, and its study is completed too."""
    monkeypatch.setattr(runner_module, "MAX_CLAIMS", 1)
    older, newer = house.add(tiny_plan(1)), house.add(tiny_plan(1), house.picture(1))
    (blob,) = (place for place in house.folder.rglob(house.dataset.blob_key))
    data = blob.read_bytes()
    blob.unlink()
    blob.mkdir()
    runner, turns = house.runner(capacity=1), iter(range(1000))
    while next(turns, None) is not None and (house.claims(older) < 4 or house.state(newer) not in FINISHED):
        runner.turn(0.01)
    assert (house.state(older), house.state(newer)) == (StudyState.QUEUED, StudyState.COMPLETED)
    assert house.claims(newer) == 1
    blob.rmdir()
    blob.write_bytes(data)
    runner.run(threading.Event(), lambda: house.state(older) in FINISHED)
    assert house.state(older) is StudyState.COMPLETED


def test_no_trial_is_lost_while_the_object_store_is_away(fickle):
    """A study that trains goes on without it; its answer waits for it, and then has its pictures."""
    study_id, runner = fickle.add(tiny_plan()), fickle.runner()
    runner.turn(0.0)
    with Fickle.away():
        while not runner._answers:
            runner.turn(1.0)
        for _ in range(3):
            runner.turn(0.0)
        assert fickle.state(study_id) is StudyState.RUNNING
    while fickle.state(study_id) is not StudyState.COMPLETED:
        runner.turn(0.0)
    result = fickle.store.result(study_id)
    assert result.families[0].trials == 5
    assert fickle.blobs.has(result.keepsake)


def test_an_answer_is_given_without_pictures_in_the_end(fickle, monkeypatch):
    """When the object store stays away for longer than an answer waits."""
    monkeypatch.setattr(runner_module, "KEEP_SECONDS", 0.0)
    study_id, runner = fickle.add(tiny_plan()), fickle.runner()
    runner.turn(0.0)
    with Fickle.away():
        while fickle.state(study_id) is not StudyState.COMPLETED:
            runner.turn(1.0)
    assert fickle.store.result(study_id).keepsake is None
