"""Leases stay alive while a runner is busy with one thing, and no longer than it lives."""

import threading
import time

import pytest
from runner_house import opened, tiny_plan
from studies_to_store import LONG

from service.keeper import HUNG_SECONDS, Keeper
from service.states import StudyState
from workers.engine import Engine
from workers.study import StudyProgram

SHORT = 0.06  # seconds
PATIENCE = 30.0  # until a condition counts as never met


@pytest.fixture
def house(tmp_path):
    with opened(tmp_path) as house:
        yield house


def eventually(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "this never came"
        time.sleep(0.005)


@pytest.mark.parametrize(("busy", "name"), [(Engine, "add"), (StudyProgram, "exhibits")])
def test_a_lease_is_renewed_while_its_runner_begins_or_makes_pictures(house, monkeypatch, busy, name):
    """The runner is inside one call until its lease was renewed twice, and goes on with the study afterwards."""
    study_id, done = house.add(tiny_plan(1)), []
    real = getattr(busy, name)

    def long(*arguments, **more):
        ends = {house.lease_until(study_id)}
        eventually(lambda: ends.add(house.lease_until(study_id)) or len(ends) > 2)
        done.append(name)
        return real(*arguments, **more)

    monkeypatch.setattr(busy, name, long)
    house.runner(lease_seconds=SHORT).run(threading.Event(), lambda: bool(done))
    assert house.claims(study_id) == 1
    assert house.state(study_id) is (StudyState.QUEUED if busy is Engine else StudyState.COMPLETED)


def test_a_study_that_is_lost_is_not_asked_for_again(house, monkeypatch):
    """Of two studies one was claimed by another runner: one renewal finds out, while the other one's go on."""
    mine, other = (house.add(tiny_plan()) for _ in range(2))
    held = {house.store.claim("me", LONG, only=study_id).id: 1 for study_id in (mine, other)}
    house.expire(other)
    assert house.store.claim("runner two", LONG).id == other
    asked, renew = [], house.store.renew
    monkeypatch.setattr(house.store, "renew", lambda study_id, *rest: asked.append(study_id) or renew(study_id, *rest))
    with Keeper(house.store, held, SHORT).watching(lambda: None):
        eventually(lambda: asked.count(mine) == 3)
    assert asked.count(other) == 1


def test_a_runner_that_hangs_keeps_nothing(house):
    """Once its loop has not come round for ten minutes there is no beat and no renewal; when it comes round, there is
    again."""
    study_id, now, looks, beats = house.add(tiny_plan()), [0.0], [], []

    def clock():
        looks.append(now[0])
        return now[0]

    house.store.claim("me", SHORT)
    keeper = Keeper(house.store, {study_id: 1}, SHORT, clock)
    with keeper.watching(lambda: beats.append(now[0])):
        eventually(lambda: beats)
        now[0] = HUNG_SECONDS
        eventually(lambda: looks.count(HUNG_SECONDS) > 3)  # so that the last round before has ended
        beaten, lease = len(beats), house.lease_until(study_id)
        eventually(lambda: looks.count(HUNG_SECONDS) > 8)
        assert (len(beats), house.lease_until(study_id)) == (beaten, lease)
        keeper.came_round()
        eventually(lambda: house.lease_until(study_id) > lease and len(beats) > beaten)
