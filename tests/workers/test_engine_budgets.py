"""Who gets how many trials, how many at once, and what ends the search, over a pool that trains nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fake_pool import FakePool, landscape
from optuna.trial import TrialState
from small_study import PLAN, Record, assert_whole, counted, drive, plan, small_signal, trials_of

from vi3nr.ensemble.interface import Recipe
from workers.engine import Engine
from workers.events import StudyProgressed
from workers.plan import BiasChoice, Budget, FamilyPlan
from workers.sampler import SurfaceSampler
from workers.storage import open_storage

SIGNAL = small_signal()


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return open_storage(f"sqlite:///{tmp_path_factory.mktemp('optuna') / 'trials.db'}")


def test_the_race_gives_trials_to_the_family_that_promises_more(storage):
    """A family 10 dB behind gets its equal share and no more; without the race both get the same."""

    def uneven(config, seed):
        return landscape(config, seed) - (10.0 if config.family == "sine" else 0.0)

    for race, trials in ((True, {"gaussian": 18, "sine": 6}), (False, {"gaussian": 12, "sine": 12})):
        asked = plan(f"race {race}", ("gaussian", "sine"), trials=12, race=race)
        engine = Engine(FakePool((2,), score=uneven), storage)
        engine.add(asked, SIGNAL, [], lease=1)
        assert assert_whole(storage, drive(engine, Record()), asked) == trials


@pytest.mark.parametrize("slots", [1, 64])
def test_a_search_learns_from_its_trials_however_many_slots_there_are(storage, slots):
    """A quarter of the trials at once; usual initialisations train beside them; the later half beats
    points drawn around the start points."""
    asked = plan(f"waves {slots}", trials=24)
    pool = FakePool((slots,))
    engine = Engine(pool, storage)
    engine.add(asked, SIGNAL, [], lease=1)
    most, confirmed = 0, 0

    def look(_):
        nonlocal most, confirmed
        running = sum(trial.state == TrialState.RUNNING for trial in trials_of(storage, asked.study_id))
        most = max(most, running)
        confirmed += bool(running) and any(member.seed % 2 for member in pool.trained)
        return False

    record = drive(engine, Record(), look)
    assert_whole(storage, record, asked)
    assert most == min(slots, 6)
    assert (confirmed > 0) == (slots > 6)
    ended = counted(storage, asked.study_id)
    assert any(trial.state == TrialState.PRUNED for trial in ended)
    late = [height(trial.params) for trial in ended[12:]]
    near = SurfaceSampler(ended[0].distributions, 0, start=[trial.params for trial in ended[:5]])
    blind = [height(near._params(near._blind(generator))) for generator in map(np.random.default_rng, range(2000))]
    assert np.median(late) > 0.4 * np.median(blind)  # heights lie below 0


def height(params):
    """The fake landscape's, without its noise."""
    off, rho = math.log(params["sigma_a"] / 0.018), math.log(params["sigma_p / sigma_a"] / 2.0)
    return -0.8 * off**2 - 0.5 * rho**2 - 4.0 * (params["first-layer bias share"] - 0.5) ** 2


def test_where_nothing_is_searched_one_trial_is_all(storage):
    """Alone it is one trial and one finalist; in a race the others get their trials, and have to beat it."""
    fixed = FamilyPlan("gaussian", sigma_a=0.02, sigma_p=0.05, sigma_p_first=0.2, bias_first=BiasChoice("zero"))
    for name, families, expected in (("fixed", (fixed,), [1]), ("beside", (fixed, FamilyPlan("sine")), [1, 12])):
        asked = plan(name, trials=12, families=families)
        engine = Engine(FakePool((3,)), storage)
        engine.add(asked, SIGNAL, [], lease=1)
        record = drive(engine, Record())
        assert record.errors == {}
        assert [len(counted(storage, name, family.family)) for family in families] == expected
        found = {family.family: family for family in record.results[name].families}["gaussian"]
        assert sum(arm.kind == "finalist" for arm in found.arms) == 1
        assert record.results[name].search_ended_by == "trials"
        first = next(event.progress for event in record.events if isinstance(event, StudyProgressed))
        progress = [event.progress for event in record.events if isinstance(event, StudyProgressed)]
        assert progress[-1].trials_total == progress[-1].trials_done == sum(expected)
        assert first.runs_total == pytest.approx(progress[-1].runs_total, abs=8)  # a third scale may come or not


@pytest.mark.parametrize(("slots", "seconds"), [(1, 80.0), (64, 120.0)])
def test_a_compute_budget_ends_the_search_and_keeps_the_confirmation(storage, slots, seconds):
    """The search stops where what is left is needed to finish the running trials, 64 at once on a GPU, and to confirm.
    What it cannot know beforehand is whether usual rules will be tried at a third sigma_a, when another finalist takes
    the lead: eight runs here."""
    asked = plan(f"compute {slots}", budget=Budget(1000, compute_seconds=seconds), seeds=2)
    engine = Engine(FakePool((slots,)), storage)
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    result = record.results[asked.study_id]
    spent = [event.progress.device_seconds for event in record.events if isinstance(event, StudyProgressed)][-1]
    assert result.search_ended_by == "compute_seconds"
    assert slots + 4 < result.families[0].trials < slots + 60
    training = 0.01 * PLAN.recipe.steps
    assert seconds - 2 * training <= spent <= seconds + 9 * training


def test_a_wall_clock_budget_counts_from_the_first_start_and_holds_after_a_restart(storage):
    """A study taken up again long after it began tries nothing more; whoever takes it up later knows that it ended."""
    asked = plan("wall", budget=Budget(1000, seconds=3600.0), seeds=2)
    first = Engine(FakePool((1,)), storage)
    first.add(asked, SIGNAL, [], lease=1)
    record = drive(first, Record(), lambda steps: steps == 30)
    second = Engine(FakePool((1,)), storage)
    second.add(asked, SIGNAL, record.runs, lease=2, elapsed=3601.0)
    drive(second, record, lambda steps: steps == 2)
    third = Engine(FakePool((1,)), storage)
    third.add(asked, SIGNAL, record.runs, lease=3)
    drive(third, record)
    result = record.results["wall"]
    assert result.search_ended_by == "seconds"
    assert result.families[0].trials == len(counted(storage, "wall")) < 10


def test_the_best_points_of_another_training_are_tried_first(storage):
    """A study with a hint begins at the two best points of that one's search, and has as many start points as ever."""
    before = plan("shorter", trials=12)
    engine = Engine(FakePool((1,)), storage)
    engine.add(before, SIGNAL, [], lease=1)
    drive(engine, Record())
    ended = counted(storage, before.study_id)
    best = sorted((one for one in ended if one.state == TrialState.COMPLETE), key=lambda trial: -trial.value)
    usual = [trial.params for trial in ended[:5]]
    asked = plan("longer", (FamilyPlan("gaussian", hint="shorter"),), recipe=Recipe(400))
    engine.add(asked, SIGNAL, [], lease=1)
    drive(engine, Record())
    tried = [trial.params for trial in counted(storage, asked.study_id)]
    assert tried[:2] == [trial.params for trial in best[:2]]
    assert tried[2:4] == [point for point in usual if point not in tried[:2]][:2]
