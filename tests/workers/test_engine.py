"""The engine over a pool that trains nothing but keeps the pool's rules, with real Optuna storage in SQLite."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
from fake_pool import FakePool, landscape
from optuna.trial import TrialState
from small_study import PLAN, Record, drive, plan, small_signal, trials_of

from vi3nr.ensemble.interface import WORST_SCORE, Recipe
from workers.engine import Engine
from workers.events import StudyProgressed
from workers.objective import Objective
from workers.plan import BiasChoice, Budget, FamilyPlan, Range
from workers.runs import CONTINUATION
from workers.scheduler import LEG_SECONDS, TURN_SECONDS
from workers.seeds import confirmation_seed
from workers.storage import open_storage

SIGNAL = small_signal()
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return open_storage(f"sqlite:///{tmp_path_factory.mktemp('optuna') / 'trials.db'}")


def counted(storage, study_id, family="gaussian"):
    return [trial for trial in trials_of(storage, study_id, family) if trial.state in COUNTED]


def assert_whole(storage, record, asked):
    """Every order counted once, as many as the budget has, no run twice, nothing left running, and an answer."""
    each = {}
    for family in asked.families:
        orders = Counter(trial.user_attrs["order"] for trial in counted(storage, asked.study_id, family.family))
        assert set(orders.values()) == {1}
        assert sorted(orders) == list(range(len(orders)))
        states = {trial.state for trial in trials_of(storage, asked.study_id, family.family)}
        assert states <= {*COUNTED, TrialState.FAIL}
        each[family.family] = len(orders)
    assert sum(each.values()) == asked.budget.trials * len(each)
    assert min(each.values()) >= asked.budget.trials // 2
    runs = Counter((run.family, run.arm, run.replicate) for run in record.runs)
    assert set(runs.values()) == {1}
    assert {family.family: family.trials for family in record.results[asked.study_id].families} == each
    return each


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


def test_the_race_gives_trials_to_the_family_that_promises_more(storage):
    """A family 10 dB behind gets its equal share and no more; without the race both get the same."""

    def uneven(config, seed):
        return landscape(config, seed) - (10.0 if config.family == "sine" else 0.0)

    for race, trials in ((True, {"gaussian": 18, "sine": 6}), (False, {"gaussian": 12, "sine": 12})):
        asked = plan(f"race {race}", ("gaussian", "sine"), trials=12, race=race)
        engine = Engine(FakePool((2,), score=uneven), storage)
        engine.add(asked, SIGNAL, [], lease=1)
        assert assert_whole(storage, drive(engine, Record()), asked) == trials


def test_a_compute_budget_ends_the_search_and_keeps_the_confirmation(storage):
    """The search stops where what is left is needed to confirm. What it cannot know beforehand is whether usual rules
    will be tried at a third sigma_a, when another finalist takes the lead: eight runs here."""
    asked = plan("compute", budget=Budget(1000, compute_seconds=80.0), seeds=2)
    engine = Engine(FakePool((1,)), storage)
    engine.add(asked, SIGNAL, [], lease=1)
    record = drive(engine, Record())
    result = record.results["compute"]
    spent = [event.progress.device_seconds for event in record.events if isinstance(event, StudyProgressed)][-1]
    assert result.search_ended_by == "compute_seconds"
    assert 5 < result.families[0].trials < 60
    training = 0.01 * PLAN.recipe.steps
    assert 80.0 - 2 * training <= spent <= 80.0 + 9 * training


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


def test_a_diverged_member_is_a_finite_score(storage):
    """Members that blow up are told as the worst score, the study completes, and its warnings name the arms."""

    def cliff(config, seed):
        return None if config.sigma_a > 0.04 else landscape(config, seed)

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
