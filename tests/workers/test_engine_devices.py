"""What the engine does with devices that are few, shared, slow or lost; the pool trains nothing but keeps the rules."""

from __future__ import annotations

import pytest
from fake_pool import FakePool
from optuna.trial import TrialState
from small_study import COUNTED, PLAN, Record, assert_whole, counted, drive, plan, small_signal, trials_of

from vi3nr.ensemble.interface import Recipe
from workers.engine import Engine
from workers.events import StudyProgressed
from workers.scheduler import LEG_SECONDS, TURN_SECONDS
from workers.storage import open_storage

SIGNAL = small_signal()


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return open_storage(f"sqlite:///{tmp_path_factory.mktemp('optuna') / 'trials.db'}")


def test_trials_report_on_one_grid_of_steps_even_beside_another_study(storage):
    """Two studies of different lengths on one device: each reports at multiples of its own segment only."""
    engine = Engine(FakePool((4,)), storage)
    engine.add(plan("grid a", search_steps=80), SIGNAL, [], lease=1)
    engine.add(plan("grid b", search_steps=56), SIGNAL, [], lease=1)
    drive(engine, Record())
    for study_id, segment in (("grid a", 10), ("grid b", 7)):
        steps = {step for trial in trials_of(storage, study_id) for step in trial.intermediate_values}
        assert {step % segment for step in steps} == {0}


@pytest.mark.parametrize("seed", range(4))
def test_lost_devices_lose_nothing_and_count_nothing_twice(storage, seed):
    """Devices die at random moments; every order still counts once, from the seed of its first attempt."""
    pool = FakePool(((1, 2), (3,), (1,))[seed % 3], loss=0.03, seed=seed)
    engine = Engine(pool, storage)
    asked = plan(f"losses {seed}")
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    assert record.errors == {}
    assert pool.losses > 0
    assert_whole(storage, record, asked)
    attempts: dict[int, set[tuple[int, str]]] = {}
    for trial in trials_of(storage, asked.study_id):
        attempts.setdefault(trial.user_attrs["order"], set()).add((trial.user_attrs["seed"], str(trial.params)))
    assert all(len(trained) == 1 for trained in attempts.values())


@pytest.mark.parametrize("seed", range(2))
def test_a_lost_device_costs_a_trial_one_leg_at_most(storage, seed):
    """What was in a slot goes on, under its own number, from where its last leg ended; no step is reported twice."""
    pool = FakePool((1, 2), loss=0.04, seed=seed)
    engine = Engine(pool, storage)
    asked = plan(f"long {seed}", trials=3, recipe=Recipe(steps=12_000), search_steps=6_000, finalists=1)
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    assert_whole(storage, record, asked)
    ends: dict[str, int] = {}
    resumed = 0
    for member in pool.trained:
        begin = 0 if member.start is None else member.start.step
        resumed += begin < ends.get(member.key, begin)
        assert ends.get(member.key, begin) - begin <= 1_500  # the longest leg: ten seconds, up to a line of the grid
        ends[member.key] = member.until
    assert resumed > 0
    curves = [list(trial.intermediate_values) for trial in counted(storage, asked.study_id)]
    curves += [[step for step, _ in run.curve] for run in record.runs]
    assert all(steps == sorted(set(steps)) for steps in curves)


def test_a_lost_trial_goes_on_after_the_leg_of_whoever_has_the_slot(storage):
    """With one slot left, it does not wait for its neighbour's training of hours, but for the leg under way."""
    pool = FakePool((1, 1), pace=0.1)
    engine = Engine(pool, storage)
    engine.add(plan("two", recipe=Recipe(100_000), search_steps=100_000, trials=2), SIGNAL, [], lease=1)
    record = drive(engine, Record(), lambda steps: steps > 60)
    gone = next(iter(pool._slots))
    (lost,) = pool._members[gone]
    pool.news.append(pool.lose(gone, replaced=False))
    before, admitted = len(pool.turns), len(pool.trained)
    drive(engine, record, lambda _: lost in {member.key for member in pool.trained[admitted:]})
    assert pool.trained[-1].start.step > 0, "from the state of its last leg"
    assert 0.1 * sum(steps for _, steps in pool.turns[before:-1]) <= LEG_SECONDS + TURN_SECONDS


def test_an_idle_device_that_vanishes_is_noticed(storage):
    """A device may die between two turns without a word of the pool: its members are trained again."""
    pool = FakePool((1, 1))
    engine = Engine(pool, storage)
    asked = plan("vanished", trials=5)
    engine.add(asked, SIGNAL, [], lease=1)
    record = Record()
    idle: set[str] = set()
    while not idle:
        record.take(engine.step(0.0))
        idle = {device.id for device in pool.devices() if pool._members[device.id]} - set(pool._busy)
    gone = idle.pop()
    members, before = set(pool._members[gone]), len(pool.trained)
    pool.lose(gone)
    drive(engine, record)
    assert_whole(storage, record, asked)
    again = pool.trained[before:]
    assert members <= {member.key for member in again}


def test_a_pool_that_always_dies_fails_the_study_with_a_sentence(storage):
    """Attempts are capped: a study whose every trainer dies ends, and says why."""
    engine = Engine(FakePool((1,), loss=1.0), storage)
    engine.add(plan("doomed"), SIGNAL, [], lease=1)
    record = drive(engine, Record())
    assert "lost their trainer" in record.errors["doomed"]
    assert not any(trial.state == TrialState.RUNNING for trial in trials_of(storage, "doomed"))


@pytest.mark.parametrize("slots", [(1,), (1, 1), (2, 2)])
def test_a_trial_is_asked_for_only_when_a_slot_is_free(storage, slots):
    """Optuna's running trials are no more than the slots; on devices of several slots, no more than these and the
    members that end in a running turn, whose places are asked for ahead of time.
    """
    pool = FakePool(slots)
    engine = Engine(pool, storage)
    study_id = f"slots {slots}"
    asked = plan(study_id, trials=5)
    engine.add(asked, SIGNAL, [], lease=1)
    record, most = Record(), 0
    while len(record.trials) < asked.budget.trials:
        record.take(engine.step(0.0))
        running = sum(trial.state == TrialState.RUNNING for trial in trials_of(storage, study_id))
        assert running <= sum(slots) + (pool.ending if max(slots) > 1 else 0)
        most = max(most, running)
    assert most > 0


def test_turns_of_a_minibatch_are_long_enough_for_their_score(storage):
    """However slow a step is: a turn runs to the next report, or as many steps as make its score cost 2 %."""
    points, batch_size = len(SIGNAL.values), 16
    fewest = 18 * points // batch_size
    pool = FakePool((1,), pace=1.0)
    engine = Engine(pool, storage)
    recipe = Recipe(8 * fewest, batch_size=batch_size)
    engine.add(plan("minibatch", recipe=recipe, search_steps=3 * fewest, trials=3), SIGNAL, [], lease=1)
    drive(engine, Record())
    assert min(steps for _, steps in pool.turns) >= fewest


def test_a_late_study_waits_for_a_leg_and_not_for_a_training(storage):
    """On one slot that a training of hours holds, a newcomer trains after about ten seconds, and both go on."""
    pool = FakePool((1,), pace=0.1)
    engine = Engine(pool, storage)
    engine.add(plan("hours", recipe=Recipe(100_000), search_steps=100_000, trials=2), SIGNAL, [], lease=1)
    record = drive(engine, Record(), lambda steps: steps == 10)
    engine.add(plan("late", trials=3, seeds=2), SIGNAL, [], lease=1)
    before = sum(steps for _, steps in pool.turns)
    drive(engine, record, lambda _: "late" in pool.trained[-1].key)
    waited = 0.1 * (sum(steps for _, steps in pool.turns[:-1]) - before)
    assert waited <= LEG_SECONDS + TURN_SECONDS
    drive(engine, record, lambda _: "late" in record.results)
    assert engine.studies == ("hours",)
    assert not [trial for trial in record.trials if trial.study_id == "hours"], "its first training is not over yet"


@pytest.mark.parametrize("slots", [(1, 1), (5,), (2, 3)])
def test_no_slot_stays_empty_while_a_study_has_trials_to_give(storage, slots):
    """Every turn of the search starts with all slots of its device taken: who ended has been replaced."""
    pool = FakePool(slots)
    engine = Engine(pool, storage)
    engine.add(plan(f"refilled {slots}", trials=20), SIGNAL, [], lease=1)
    record = Record()
    drive(engine, record, lambda _: len(pool.trained) >= 20)
    assert {empty for empty, _ in pool.turns} == {0}
    assert record.trials, "slots have been refilled"


def test_asking_overlaps_with_training(storage):
    """While a turn runs in which members end, their successors are asked for, and the next turn begins with them."""

    class Slow(FakePool):
        """A turn ends at the fourth look."""

        looks = 0

        def wait(self, timeout):
            self.looks += 1
            return [] if self.looks % 4 else super().wait(timeout)

    pool = Slow((2,))
    engine = Engine(pool, storage)
    engine.add(plan("ahead", trials=8, search_steps=8), SIGNAL, [], lease=1)
    asked_ahead = 0
    for _ in range(60):
        engine.step(0.0)
        if pool.ending and pool.looks % 4 == 3:
            running = sum(trial.state == TrialState.RUNNING for trial in trials_of(storage, "ahead"))
            assert running == min(4, 8 - sum(t.state in COUNTED for t in trials_of(storage, "ahead")))
            asked_ahead += running - 2
    assert asked_ahead > 0


def test_two_studies_share_device_time_fairly(storage):
    """On one slot, a study of long trials and one of short trials never drift apart by more than one training each."""
    engine = Engine(FakePool((1,)), storage)
    engine.add(plan("long", search_steps=200, trials=3), SIGNAL, [], lease=1)
    engine.add(plan("short", search_steps=40, trials=8), SIGNAL, [], lease=1)
    served = {"long": 0.0, "short": 0.0}
    gaps = []
    while len(engine.studies) == 2:
        for event in engine.step(0.0):
            if isinstance(event, StudyProgressed):
                served[event.study_id] = event.progress.device_seconds
        gaps.append(abs(served["long"] - served["short"]))
    assert max(gaps) <= 2 * 0.01 * PLAN.recipe.steps + 1e-9
    assert min(served.values()) > 10.0


def test_an_aborted_study_frees_its_slots_and_leaves_no_trial_running(storage):
    """After an abort the other study goes on alone, and the aborted one's trials are failed in the record."""
    pool = FakePool((2, 2))
    engine = Engine(pool, storage)
    engine.add(plan("stopped", trials=5), SIGNAL, [], lease=1)
    engine.add(plan("kept", trials=5), SIGNAL, [], lease=1)
    record = Record()
    drive(engine, record, lambda steps: steps == 9)
    engine.abort("stopped")
    engine.abort("never heard of")
    assert engine.studies == ("kept",)
    drive(engine, record)
    assert set(record.results) == {"kept"}
    assert not any(trial.state == TrialState.RUNNING for trial in trials_of(storage, "stopped"))
    assert pool.signals == {}
