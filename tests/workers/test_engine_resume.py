"""A runner may die anywhere: what it leaves behind is enough for the next one to finish the study, and nothing more."""

from __future__ import annotations

import pytest
from fake_pool import FakePool
from optuna.trial import TrialState
from small_study import Record, drive, plan, small_signal, trials_of

from workers.engine import Engine
from workers.runs import CONTINUATION
from workers.storage import open_storage

SIGNAL = small_signal()
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)
WRITES = (
    "create_new_trial",
    "set_trial_param",
    "set_trial_user_attr",
    "set_trial_intermediate_value",
    "set_trial_state_values",
)


class PlugPulled(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('optuna') / 'trials.db'}"


def small(study_id):
    return plan(study_id, trials=6, seeds=2, baselines=("pytorch_default",))


def answer(record, study_id):
    """What a study found, without the numbers of its trials."""
    family = record.results[study_id].families[0]
    return [(arm.kind, arm.init_config, arm.values) for arm in family.arms]


@pytest.fixture(scope="module")
def uninterrupted(url):
    engine = Engine(FakePool((1,)), open_storage(url))
    engine.add(small("whole"), SIGNAL, [], lease=1)
    return answer(drive(engine, Record()), "whole")


def begin(engine, asked, record):
    engine.add(asked, SIGNAL, [], lease=1)
    drive(engine, record)


def pull_plug(storage, after):
    """Let the storage's process end at its ``after``-th write: odd ones before it, even ones after it is made."""
    writes = 0

    def guard(method):
        def write(*arguments, **named):
            nonlocal writes
            writes += 1
            if writes == after and after % 2:
                raise PlugPulled
            result = method(*arguments, **named)
            if writes == after:
                raise PlugPulled
            return result

        return write

    for name in WRITES:
        setattr(storage, name, guard(getattr(storage, name)))


@pytest.mark.parametrize("after", [1, 2, 3, 6, 9, 13, 14, 25, 90, 101, 104, 111])
def test_a_crash_at_any_write_changes_nothing_of_the_answer(url, uninterrupted, after):
    """With one slot, a runner that dies at its n-th write is followed by one with the same answer."""
    asked = small(f"write {after}")
    storage = open_storage(url)
    pull_plug(storage, after)
    record = Record()
    first = Engine(FakePool((1,)), storage)
    with pytest.raises(PlugPulled):
        begin(first, asked, record)
    storage = open_storage(url)
    second = Engine(FakePool((1,)), storage)
    second.add(asked, SIGNAL, list(record.runs), lease=2)
    drive(second, record)
    assert answer(record, asked.study_id) == uninterrupted
    trials = trials_of(storage, asked.study_id)
    assert sorted(t.user_attrs["order"] for t in trials if t.state in COUNTED) == list(range(asked.budget.trials))
    assert {trial.state for trial in trials} <= {*COUNTED, TrialState.FAIL}


@pytest.mark.parametrize(("slots", "steps"), [((1,), 20), ((2, 2), 15), ((2, 2), 70)])
def test_finished_trials_and_recorded_runs_stay_as_they_were(url, slots, steps):
    """A new engine over the same record keeps every finished trial, trains no recorded run again, and completes."""
    asked = plan(f"dropped {slots} {steps}")
    storage = open_storage(url)
    first, record = Engine(FakePool(slots), storage), Record()
    first.add(asked, SIGNAL, [], lease=1)
    drive(first, record, lambda made: made == steps)
    before = {
        t.number: (t.value, t.params, t.user_attrs) for t in trials_of(storage, asked.study_id) if t.state in COUNTED
    }
    held = list(record.runs)
    second = Engine(FakePool(slots, seed=9), open_storage(url))
    second.add(asked, SIGNAL, held, lease=2)
    drive(second, record)
    after = {
        t.number: (t.value, t.params, t.user_attrs) for t in trials_of(storage, asked.study_id) if t.state in COUNTED
    }
    assert before.items() <= after.items()
    assert sorted(facts["order"] for _, _, facts in after.values()) == list(range(asked.budget.trials))
    assert len({(run.arm, run.replicate) for run in record.runs}) == len(record.runs)
    assert asked.study_id in record.results


def test_a_finalist_whose_state_was_lost_is_trained_again_from_its_own_seed(url):
    """Without the state in memory a continuation trains the finalist from its trial's seed to the full horizon."""
    asked = plan("states", trials=6)
    storage = open_storage(url)
    first, record = Engine(FakePool((1,)), storage), Record()
    first.add(asked, SIGNAL, [], lease=1)
    drive(first, record, lambda _: len(record.trials) == asked.budget.trials)
    pool = FakePool((1,))
    second = Engine(pool, open_storage(url))
    second.add(asked, SIGNAL, record.runs, lease=2)
    drive(second, record)
    seeds = {t.number: t.user_attrs["seed"] for t in trials_of(storage, "states")}
    ranked = [run for run in record.runs if run.replicate == CONTINUATION]
    assert len(ranked) == asked.finalists
    searched = {member.seed for member in pool.trained if member.start is None} & set(seeds.values())
    assert searched == {seeds[int(run.arm.rsplit(" ", 1)[1])] for run in ranked}


def test_a_study_that_was_done_completes_at_once(url):
    """A runner that died between the last run and its answer: the next one trains nothing and gives the answer."""
    asked = small("done before")
    first, record = Engine(FakePool((1,)), open_storage(url)), Record()
    first.add(asked, SIGNAL, [], lease=1)
    drive(first, record)
    pool = FakePool((1,))
    second, again = Engine(pool, open_storage(url)), Record()
    second.add(asked, SIGNAL, record.runs, lease=2)
    drive(second, again)
    assert pool.trained == []
    assert again.results == record.results


def test_a_runner_thought_dead_cannot_make_a_trial_count_twice(url):
    """The old engine goes on after the new one took over: orders still count once, and the new one completes."""
    asked = plan("zombie")
    storage = open_storage(url)
    old, record = Engine(FakePool((2,)), storage), Record()
    old.add(asked, SIGNAL, [], lease=1)
    drive(old, Record(), lambda made: made == 12)
    new = Engine(FakePool((2,)), open_storage(url))
    new.add(asked, SIGNAL, [], lease=2)
    for _ in range(3):
        old.step(0.0)
    drive(new, record)
    assert record.results[asked.study_id].families[0].trials == asked.budget.trials
