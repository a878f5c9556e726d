"""The engine over a pool that trains nothing but keeps the pool's rules, with real Optuna storage in SQLite."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from fake_pool import FakePool, landscape
from optuna.trial import TrialState
from small_study import PLAN, Record, assert_whole, counted, drive, plan, small_signal, trials_of

from vi3nr.ensemble.interface import WORST_SCORE
from workers.engine import Engine
from workers.events import StudyProgressed
from workers.objective import Objective
from workers.plan import BiasChoice, FamilyPlan, Range
from workers.runs import CONTINUATION
from workers.seeds import confirmation_seed
from workers.storage import open_storage

SIGNAL = small_signal()


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return open_storage(f"sqlite:///{tmp_path_factory.mktemp('optuna') / 'trials.db'}")


@pytest.mark.parametrize("slots", [(1,), (1, 1), (2, 3)])
def test_a_study_completes_with_exactly_the_trials_asked_for(storage, slots):
    """Whatever the devices, the families end with the number of counted trials in the plan, numbered from 0."""
    asked = plan(f"complete {slots}", ("gaussian", "sine"))
    pool = FakePool(slots)
    engine = Engine(pool, storage)
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    for family, trials in assert_whole(storage, record, asked).items():
        assert [trial.number for trial in trials_of(storage, asked.study_id, family)] == list(range(trials))
    assert record.results[asked.study_id].search_ended_by == "trials"
    assert pool.seated == 0
    assert pool.signals == {}


@pytest.mark.parametrize(
    "objective", [Objective("area"), Objective("steps_to_target", target=27.0)], ids=lambda one: one.name
)
def test_the_objective_runs_through_the_whole_study(storage, objective):
    """Trials, finalists that go on and confirmations score by it, each over its whole curve from the first step."""
    asked = plan(f"objective {objective.name}", objective=objective)
    engine = Engine(FakePool((1,)), storage)
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    result = record.results[asked.study_id]
    assert (result.objective, result.unit) == (objective.name, objective.unit)
    notes = [event.progress for event in record.events if isinstance(event, StudyProgressed)]
    assert {note.unit for note in notes} == {objective.unit}
    for run in record.runs:
        assert run.score == objective.score(run.curve, asked.recipe.steps)
        assert run.curve[0][0] <= asked.recipe.steps // 8
        assert run.curve[-1][0] == asked.recipe.steps
    best = next(trial for trial in trials_of(storage, asked.study_id) if trial.state == TrialState.COMPLETE)
    assert best.value == best.intermediate_values[asked.search_steps]


def test_a_searched_learning_rate_trains_each_trial_at_its_own(storage):
    """Members train at the rate of their trial, finalists keep theirs, and usual rules are tried at both rates."""
    pool = FakePool((1,))
    engine = Engine(pool, storage)
    family = FamilyPlan("gaussian", learning_rate=Range(1e-4, 1e-2), output_scale=Range(0.1, 0.5))
    asked = replace(plan("rates"), families=(family,))
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    rates = [trial.params["learning rate"] for trial in trials_of(storage, "rates")]
    searching = [member.learning_rate for member in pool.trained if member.until == asked.search_steps]
    assert searching == rates
    assert len(set(rates)) > 2
    result = record.results["rates"].families[0]
    found = [arm for arm in result.arms if arm.kind == "finalist"]
    assert {arm.learning_rate for arm in found} <= set(rates)
    assert {arm.learning_rate for arm in result.arms if arm.kind == "baseline"} > {1e-3}
    scale = found[0].init_config.sigma_p_output / found[0].init_config.sigma_p
    trial = next(trial for trial in trials_of(storage, "rates") if trial.number == found[0].trial)
    assert scale == pytest.approx(trial.params["output scale"])


def test_a_formula_is_searched_like_any_family(storage):
    """With its parameter, its text naming the Optuna study, the arms and the configs; a Gabor's s is converted."""
    text = "exp(-x**2/(2*a**2)) * cos(30*x)"
    families = (FamilyPlan(text, {"a": 0.5}), FamilyPlan("gabor", {"s": 10.0, "omega": 5.0}))
    asked = replace(plan("formula"), families=families)
    engine = Engine(FakePool((2,)), storage)
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    assert_whole(storage, record, asked)
    winners = {family.family: family.winner.init_config for family in record.results["formula"].families}
    assert winners[text].family == text
    assert winners[text].parameters == {"a": 0.5}
    assert winners["gabor"].sigma_a == pytest.approx(0.1 / math.sqrt(2))
    assert winners["gabor"].parameters == {"omega": 5.0}


def test_the_answer_is_the_best_found_config_and_beats_the_usual_one(storage):
    """On a hill whose top no usual initialisation reaches, the winner is a finalist and the verdict says better."""
    engine = Engine(FakePool((2,)), storage)
    engine.add(plan("answer", seeds=5), SIGNAL, [], lease=1)
    family = drive(engine, Record()).results["answer"].families[0]
    assert family.winner.kind == "finalist"
    assert family.winner.score.n == 5
    assert family.comparison.verdict == "better"
    usual = [arm for arm in family.arms if arm.kind == "baseline"]
    assert {arm.score.n for arm in usual} == {2, 5}
    assert max(usual, key=lambda arm: sum(arm.values[:2])).score.n == 5


def test_bad_trials_are_pruned_at_a_checkpoint_and_leave_their_slot(storage):
    """A trial far below the median stops at half of the search horizon; a good one is never pruned early."""
    engine = Engine(FakePool((1,)), storage)
    asked = plan("pruned", trials=16)
    engine.add(asked, SIGNAL, [], lease=1)
    drive(engine, Record())
    pruned = [trial for trial in trials_of(storage, "pruned") if trial.state == TrialState.PRUNED]
    complete = [trial for trial in trials_of(storage, "pruned") if trial.state == TrialState.COMPLETE]
    assert pruned
    assert {trial.last_step for trial in pruned} <= {asked.search_steps // 2, asked.search_steps * 3 // 4}
    assert {trial.last_step for trial in complete} == {asked.search_steps}
    assert all(trial.number >= 5 for trial in pruned), "the start points come first and complete"


def test_a_study_that_cannot_be_run_fails_alone(storage):
    """Biases that leave the weights no variance fail their own study with the reason; the neighbour completes."""
    engine = Engine(FakePool((2,)), storage)
    family = FamilyPlan("gaussian", sigma_p_first=0.01, bias_first=BiasChoice("torch_default"))
    bad = plan("impossible", trials=3)
    engine.add(type(bad)(**{**vars(bad), "families": (family,)}), SIGNAL, [], lease=1)
    engine.add(plan("unknown", ("gausian",)), SIGNAL, [], lease=1)
    engine.add(plan("neighbour", trials=3), SIGNAL, [], lease=1)
    record = drive(engine, Record())
    assert set(record.errors) == {"impossible", "unknown"}
    assert "gausian" in record.errors["unknown"]
    assert "reached the search horizon" in record.errors["impossible"]
    assert set(record.results) == {"neighbour"}


@pytest.mark.parametrize("slots", [(1,), (3,)])
def test_a_family_that_cannot_be_trained_is_left_out_and_the_others_are_answered(storage, slots):
    """No start config of exp(x^2) has moments: the answer is the Gaussian's, whole, and a warning says why. Progress
    ends full; whoever takes the study up again at its end says the same.
    """
    asked = plan(f"left out {slots}", ("exp(x**2)", "gaussian"), trials=6)
    engine = Engine(FakePool(slots), storage)
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    assert record.errors == {}
    result = record.results[asked.study_id]
    (family,) = result.families
    assert (family.family, family.winner.kind, family.winner.score.n) == ("gaussian", "finalist", asked.seeds)
    assert any("no trial of exp(x**2) reached the search horizon: the quad" in told for told in result.warnings)
    last = [event.progress for event in record.events if isinstance(event, StudyProgressed)][-1]
    assert (last.phase, last.member_steps_done) == ("done", last.member_steps_total)
    again = Engine(FakePool(slots), storage)
    again.add(asked, SIGNAL, record.runs, lease=2)
    assert drive(again, Record()).results[asked.study_id] == result


def test_a_study_of_families_that_cannot_be_trained_fails_with_every_reason(storage):
    """Nothing is left to answer with."""
    engine = Engine(FakePool((2,)), storage)
    engine.add(plan("none left", ("exp(x**2)", "exp(3*x)"), trials=2), SIGNAL, [], lease=1)
    (error,) = drive(engine, Record()).errors.values()
    assert "no trial of exp(x**2) reached" in error
    assert "no trial of exp(3*x) reached" in error


def test_a_diverged_member_is_a_finite_score(storage):
    """Members that blow up are told as the worst score, the study completes, and its warnings name the arms."""

    def cliff(config, seed):
        return None if config.sigma_a > 0.028 else landscape(config, seed)

    engine = Engine(FakePool((2,), score=cliff), storage)
    engine.add(plan("cliff", trials=12), SIGNAL, [], lease=1)
    record = drive(engine, Record())
    values = [trial.value for trial in trials_of(storage, "cliff")]
    assert WORST_SCORE in values
    assert all(math.isfinite(value) for value in values)
    assert any("diverged" in warning for warning in record.results["cliff"].warnings)


def test_confirmation_never_uses_a_seed_of_the_search_and_all_arms_share_theirs(storage):
    """Replicate r of every arm of every family trains from one seed that no trial has trained from."""
    pool = FakePool((3,))
    engine = Engine(pool, storage)
    asked = plan("seeds", ("gaussian", "sine"), seeds=4, trials=4)
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    confirming = {confirmation_seed(asked.seed, replicate) for replicate in range(4)}
    searching = {trial.user_attrs["seed"] for name in ("gaussian", "sine") for trial in counted(storage, "seeds", name)}
    assert confirming.isdisjoint(searching)
    confirmed = [member for member in pool.trained if member.until == asked.recipe.steps and member.start is None]
    assert {member.seed for member in confirmed} == confirming
    assert len(confirmed) == sum(run.replicate != CONTINUATION for run in record.runs)


def test_finalists_go_on_from_their_state_and_only_rank(storage):
    """Continued runs start at the search horizon, and their scores are in no arm of the result."""
    pool = FakePool((1,))
    engine = Engine(pool, storage)
    asked = plan("continued", trials=4)
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    first_legs = {member.key: member for member in reversed(pool.trained)}.values()
    continued = [member for member in first_legs if member.start is not None]
    assert [member.start.step for member in continued] == [asked.search_steps] * asked.finalists
    ranks = {run.score for run in record.runs if run.replicate == CONTINUATION}
    confirmed = {value for arm in record.results["continued"].families[0].arms for value in arm.values}
    assert len(ranks) == asked.finalists
    assert ranks.isdisjoint(confirmed)


def test_no_continuation_where_the_search_ran_the_full_horizon(storage):
    """With search_steps equal to the recipe's steps the trials themselves rank."""
    engine = Engine(FakePool((2,)), storage)
    engine.add(plan("full", trials=3, search_steps=PLAN.recipe.steps), SIGNAL, [], lease=1)
    record = drive(engine, Record())
    assert "full" in record.results
    assert all(run.replicate >= 0 for run in record.runs)


def test_progress_only_grows_and_ends_full(storage):
    """Steps done never fall while no device dies, phases only advance, and the last note counts everything done."""
    engine = Engine(FakePool((2,)), storage)
    engine.add(plan("progress", ("gaussian", "sine"), trials=4), SIGNAL, [], lease=1)
    record = drive(engine, Record())
    notes = [event.progress for event in record.events if isinstance(event, StudyProgressed)]
    done = [note.member_steps_done for note in notes]
    phases = [("search", "continue", "confirm", "done").index(note.phase) for note in notes]
    assert done == sorted(done)
    assert phases == sorted(phases)
    last = notes[-1]
    assert (last.trials_done, last.runs_done, last.member_steps_done) == (
        last.trials_total,
        last.runs_total,
        last.member_steps_total,
    )
    assert last.runs_total == len(record.runs)
