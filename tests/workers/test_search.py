"""One family's search over real SQLite storage: orders, attempts, recovery, and the storage's own settings."""

from __future__ import annotations

import itertools

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy import text

from vi3nr.ensemble.interface import WORST_SCORE
from workers.jobs import MAX_ATTEMPTS
from workers.objective import Objective
from workers.search import FamilySearch
from workers.storage import StorageUnavailableError, open_storage, persistently

FIT = Objective()
AXES = {"x": FloatDistribution(0.1, 10.0, log=True), "y": FloatDistribution(0.0, 1.0)}
START = ({"x": 1.0, "y": 0.5}, {"x": 1.0, "y": 0.5}, {"x": 2.0, "y": 0.1})


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return open_storage(f"sqlite:///{tmp_path_factory.mktemp('optuna') / 'trials.db'}")


def open_search(storage, name, lease=1, seed=0, objective=FIT):
    return FamilySearch(
        storage, name, "gaussian", AXES, START, objective=objective, search_steps=80, steps=200, seed=seed, lease=lease
    )


def trials(storage, name):
    return optuna.load_study(study_name=name, storage=storage).get_trials()


def finish(search, asked, psnr):
    search.report(asked.number, 80, psnr)
    return search.finish(asked.number)


def train(search, count):
    done = []
    for _ in range(count):
        asked = search.ask()
        done.append(finish(search, asked, -((asked.params["x"] - 1.5) ** 2)))
    return done


def test_start_points_come_first_each_once_even_equal_ones(storage):
    """Two equal start points are two trials; the sampler takes over after the last."""
    search = open_search(storage, "starts")
    asked = [search.ask() for _ in range(4)]
    assert [one.params for one in asked[:3]] == list(START)
    assert asked[3].params not in START
    assert [one.order for one in asked] == [0, 1, 2, 3]
    assert len({one.seed for one in asked}) == 4


def test_proposals_are_a_function_of_the_seed_and_the_record(storage):
    """A search that is closed and opened between any two trials proposes what an unbroken one does."""
    unbroken = [outcome.params for outcome in train(open_search(storage, "unbroken"), 9)]
    broken = [train(open_search(storage, "broken", lease=lease), 1)[0].params for lease in range(9)]
    other = [outcome.params for outcome in train(open_search(storage, "other", seed=1), 9)]
    assert broken == unbroken
    assert other[3:] != unbroken[3:]


def test_a_trial_lost_after_the_clock_ended_the_search_waits_for_nobody(storage):
    """It is failed, and so it stays, for whoever takes the study over too."""
    search = open_search(storage, "lost late")
    train(search, 2)
    lost, left = search.ask(), search.ask()
    search.end("seconds")
    assert not search.fail_and_retry(lost.number)
    assert search.dropped == 0
    again = open_search(storage, "lost late", lease=2)
    assert again.ended == "seconds"
    states = [trial.state for trial in trials(storage, "lost late")]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.FAIL] * 2
    assert left.number == 3


def test_a_lost_trial_is_asked_for_again_until_its_last_attempt(storage):
    """The same order, parameters and seed, MAX_ATTEMPTS times; then the order is dropped and another one asked."""
    search = open_search(storage, "retries")
    first = search.ask()
    again = first
    for attempt in range(2, MAX_ATTEMPTS + 1):
        assert search.fail_and_retry(again.number)
        again = search.ask()
        assert (again.order, again.params, again.seed, again.attempt) == (0, first.params, first.seed, attempt)
    assert not search.fail_and_retry(again.number)
    assert search.dropped == 1
    assert search.ask().order == 1
    assert search.outcomes == []
    attempts = [trial for trial in trials(storage, "retries") if trial.user_attrs["order"] == 0]
    assert {trial.state for trial in attempts} == {TrialState.FAIL}
    assert {trial.user_attrs["first_number"] for trial in attempts} == {first.number}


def test_recovery_fails_the_running_and_keeps_the_finished(storage):
    """A new lease re-queues what an older one left running, once, and leaves the rest alone; twice changes nothing."""
    old = open_search(storage, "recovery", lease=1)
    done = finish(old, old.ask(), 5.0)
    lost = [old.ask(), old.ask()]
    new = open_search(storage, "recovery", lease=2)
    new.recover()
    assert new.outcomes == [done]
    assert [trial.state for trial in trials(storage, "recovery")] == [
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.FAIL,
        TrialState.WAITING,
        TrialState.WAITING,
    ]
    again = [new.ask(), new.ask()]
    assert [(one.order, one.params, one.seed) for one in again] == [(one.order, one.params, one.seed) for one in lost]
    assert {trial.user_attrs.get("lease") for trial in trials(storage, "recovery")} == {1, 2}


def test_late_words_of_an_old_lease_change_nothing(storage):
    """Reports, attributes and scores for a trial that another runner has ended are taken without an error."""
    old = open_search(storage, "late", lease=1)
    asked = old.ask()
    new = open_search(storage, "late", lease=2)
    old.describe(asked.number, {"sigma_a": 1.0})
    assert old.report(asked.number, 40, 1.0) is False
    old.finish(asked.number)
    assert trials(storage, "late")[0].state == TrialState.FAIL
    assert new.outcomes == []
    assert new.ask().order == asked.order


def test_pruning_waits_for_the_start_points_and_for_a_checkpoint(storage):
    """The worst trial is not pruned before enough others completed, nor between checkpoints, but then it is."""
    search = open_search(storage, "pruning")

    def run(score):
        asked = search.ask()
        verdicts = [search.report(asked.number, step, score) for step in range(10, 90, 10)]
        search.finish(asked.number)
        return verdicts

    assert not any(run(WORST_SCORE))
    for score in (1.0, 2.0, 3.0, 4.0):
        run(score)
    verdicts = run(WORST_SCORE)
    assert [step for step, verdict in zip(range(10, 90, 10), verdicts, strict=True) if verdict] == [40, 60]
    assert not any(run(9.0))


def test_nothing_is_left_running_after_close(storage):
    """A closed search has failed its running trials; they are not queued again."""
    search = open_search(storage, "closed")
    search.ask()
    search.ask()
    search.close()
    assert search.running == 0
    assert {trial.state for trial in trials(storage, "closed")} == {TrialState.FAIL}


def test_sqlite_is_opened_for_several_processes(storage):
    """The file is in WAL mode and connections do not sync at every commit."""
    with storage.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 1  # NORMAL
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 30_000


def test_a_locked_database_is_tried_again_and_given_up_in_the_end():
    """A call that fails twice succeeds at the third try; one that keeps failing says how often it was tried."""
    left = [2]

    def flaky():
        if left[0]:
            left[0] -= 1
            raise StorageInternalError("database is locked")
        return "told"

    def dead():
        raise StorageInternalError("database is gone")

    assert persistently(flaky, delays=(0.0, 0.0)) == "told"
    with pytest.raises(StorageUnavailableError, match="3 times: database is gone"):
        persistently(dead, delays=(0.0, 0.0))


@pytest.mark.parametrize("call", ["ask", "enqueue_trial"])
@pytest.mark.parametrize("lost", [0, 2])
def test_an_answer_that_is_lost_leaves_no_trial_behind(storage, monkeypatch, call, lost):
    """The database dies after it has taken a new trial and before it says so: the same trials are asked for, each once,
    and none stays open."""
    name = f"{call} {lost}"
    whole = [outcome.params for outcome in train(open_search(storage, f"{name} whole"), 6)]
    search = open_search(storage, name)
    does, count = getattr(search._study, call), itertools.count()

    def silent(*given, **options):
        done = does(*given, **options)
        if next(count) == lost:
            raise StorageInternalError("the connection is lost")
        return done

    monkeypatch.setattr(search._study, call, silent)
    done = train(search, 6)
    assert [outcome.order for outcome in done] == list(range(6))
    assert [outcome.params for outcome in done] == whole
    states = [trial.state for trial in trials(storage, name)]
    assert states.count(TrialState.COMPLETE) + states.count(TrialState.PRUNED) == 6
    assert {TrialState.RUNNING, TrialState.WAITING}.isdisjoint(states)
    assert next(count) > lost  # else nothing was lost


def test_a_runners_end_costs_a_trial_no_attempt(storage):
    """However often the runner stops or dies while a trial trains, the trial is queued again and trained in the end."""
    for lease in range(1, MAX_ATTEMPTS + 4):
        search = open_search(storage, "restarts", lease=lease)
        asked = search.ask()
        assert (asked.order, asked.attempt) == (0, 1)
        if lease % 2:
            search.close()  # an orderly stop; otherwise as after a kill
    last = open_search(storage, "restarts", lease=99)
    assert [outcome.order for outcome in train(last, 3)] == [0, 1, 2]
    assert last.dropped == 0


def test_a_limit_of_the_clock_that_ended_the_search_is_written_down(storage):
    """Whoever takes the study up again knows that nothing more is to be asked for, and why."""
    open_search(storage, "ended").end("seconds")
    assert open_search(storage, "ended", lease=2).ended == "seconds"


def test_curves_survive_whatever_the_objective_reports(storage):
    """Optuna holds the objective's own values; the PSNR curve of a finished trial is there after a restart."""
    objective = Objective("steps_to_target", target=20.0)
    search = open_search(storage, "curve", objective=objective)
    asked = search.ask()
    for step in range(10, 90, 10):
        search.report(asked.number, step, step / 2.0)
    done = search.finish(asked.number)
    assert done.score == -40.0
    again = open_search(storage, "curve", lease=2, objective=objective).outcomes[0]
    assert again == done
    assert again.curve == tuple((step, step / 2.0) for step in range(10, 90, 10))
