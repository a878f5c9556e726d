"""What a store promises to runners: claims, leases, runs, cancelling; over SQLite and PostgreSQL alike."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text
from studies_to_store import EXPIRED, LONG, claimed, note, queued, result, run, state

from service.database import upgrade
from service.records import LeaseLost
from service.states import StudyState
from service.store import Store


def test_claims_take_the_oldest_first_and_each_study_once(store: Store) -> None:
    """Two waiting studies go to two claims in their order; a third claim gets nothing."""
    first, second = queued(store), queued(store)
    taken = [store.claim("me", LONG), store.claim("me", LONG)]
    assert [study.id for study in taken if study] == [first, second]
    assert store.claim("me", LONG) is None


def test_a_claim_can_be_for_one_study_only(store: Store) -> None:
    """``only`` passes the older study by, and takes nothing else."""
    _, wanted = queued(store), queued(store)
    study = store.claim("me", LONG, only=wanted)
    assert study is not None
    assert study.id == wanted
    assert store.claim("me", LONG, only=wanted) is None


def test_a_claim_leaves_out_what_it_is_told_to(store: Store) -> None:
    """A runner never takes what it holds: neither a study that waits nor one whose lease has run out."""
    late, _ = claimed(store, EXPIRED)
    waits = queued(store)
    assert store.claim("me", LONG, but=[late, waits]) is None
    study = store.claim("me", LONG, but=[late])
    assert study is not None
    assert study.id == waits


def test_claimers_that_race_never_share_a_study(engine: Engine) -> None:
    """Eight threads over engines of their own claim six studies: each study goes to one of them."""
    upgrade(engine)
    store = Store(engine)
    made = {queued(store) for _ in range(6)}
    start, taken = threading.Barrier(8), []

    def race() -> None:
        start.wait()
        while (study := store.claim("racer", LONG)) is not None:
            taken.append(study.id)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(made)


def test_an_expired_lease_is_claimed_again_with_a_higher_number(store: Store) -> None:
    """A study whose runner has gone silent goes to the next one; one that is held does not."""
    study_id, number = claimed(store, EXPIRED)
    again = store.claim("runner two", LONG)
    assert again is not None
    assert (again.id, again.lease_number) == (study_id, number + 1)
    assert store.claim("runner three", LONG) is None


def test_a_renewed_lease_does_not_expire(store: Store) -> None:
    """Renewing puts the end of an expired lease that nobody claimed into the future."""
    study_id, number = claimed(store, EXPIRED)
    assert store.renew(study_id, number, LONG) == "ok"
    assert store.claim("runner two", LONG) is None


@pytest.mark.parametrize(("jump", "free"), [(-3600.0, True), (3600.0, True), (-10.0, False)])
def test_a_clock_that_jumps_leaves_no_study_stuck(store: Store, engine: Engine, jump: float, free: bool) -> None:
    """An hour forwards or back: the study can be claimed again at once; a small step back does not end a lease."""
    study_id, number = claimed(store, 60.0)
    with engine.execution_options(vi3nr_writes=True).begin() as connection:
        connection.execute(text("UPDATE vi3nr_studies SET lease_until = lease_until - :jump"), {"jump": jump})
    assert (store.claim("runner two", LONG) is not None) == free
    assert store.renew(study_id, number, LONG) == ("lost" if free else "ok")


def test_no_lease_is_longer_than_the_longest(store: Store) -> None:
    """It could not be told from one that a clock left behind."""
    queued(store)
    with pytest.raises(ValueError, match="at most 120, got 121"):
        store.claim("me", 121)


def test_a_stale_lease_writes_nothing(store: Store) -> None:
    """After another runner has claimed the study, no write of the former one has any effect."""
    study_id, stale = claimed(store, EXPIRED)
    assert store.claim("runner two", LONG) is not None
    assert store.renew(study_id, stale, LONG) == "lost"
    for write in (
        lambda: store.release(study_id, stale),
        lambda: store.record_run(study_id, stale, run(study_id)),
        lambda: store.record_progress(study_id, stale, note(1)),
        lambda: store.complete(study_id, stale, result()),
        lambda: store.fail(study_id, stale, "no"),
        lambda: store.cancelled(study_id, stale),
    ):
        with pytest.raises(LeaseLost, match=study_id):
            write()
    study = store.study(study_id)
    assert study is not None
    assert (study.state, study.progress, study.error) == (StudyState.RUNNING, None, None)
    assert store.runs(study_id) == []


def test_a_released_study_waits_again_and_its_runs_stay(store: Store) -> None:
    """An orderly shutdown gives the study to the next runner at once, with what was recorded."""
    study_id, number = claimed(store)
    store.record_run(study_id, number, run(study_id))
    store.release(study_id, number)
    assert state(store, study_id) is StudyState.QUEUED
    again = store.claim("runner two", LONG)
    assert again is not None
    assert again.lease_number == number + 1
    assert store.runs(study_id) == [run(study_id)]


def test_a_claim_that_was_given_back_does_not_count(store: Store) -> None:
    """What each claim tells: how many were not given back, itself included. Cancelling or not."""
    study_id = queued(store)
    told = []
    for ends in ("given back", "lost", "given back", "cancelling and given back", "given back"):
        study = store.claim("me", LONG if "back" in ends else EXPIRED)
        assert study is not None
        told.append((study.lease_number, study.unreturned))
        if "cancelling" in ends:
            store.request_cancel(study_id)
        if "back" in ends:
            store.release(study_id, study.lease_number)
    assert told == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]


def test_what_was_given_back_cannot_be_renewed(store: Store) -> None:
    """A renewal that comes late finds nothing, in a study that is being cancelled neither: the next runner has it at
    once."""
    study_id, number = claimed(store)
    store.request_cancel(study_id)
    store.release(study_id, number)
    assert store.renew(study_id, number, LONG) == "lost"
    assert store.claim("runner two", LONG) is not None


def test_a_run_is_recorded_once_and_never_changes(store: Store) -> None:
    """The first record of (family, arm, replicate) stands; every number of it comes back exactly."""
    study_id, number = claimed(store)
    assert store.record_run(study_id, number, run(study_id, 0))
    assert store.record_run(study_id, number, run(study_id, -1))
    assert not store.record_run(study_id, number, run(study_id, 0, score=99.0))
    assert store.runs(study_id) == [run(study_id, 0), run(study_id, -1)]


def test_a_run_of_another_study_is_refused(store: Store) -> None:
    """A run goes to its own study only."""
    study_id, number = claimed(store)
    with pytest.raises(ValueError, match="belongs to study 'other'"):
        store.record_run(study_id, number, run("other"))


def test_a_running_study_is_cancelled_by_its_runner(store: Store) -> None:
    """The wish is heard when the lease is renewed; wishing twice changes nothing."""
    study_id, number = claimed(store)
    for _ in range(2):
        study = store.request_cancel(study_id)
        assert study is not None
        assert study.state is StudyState.CANCELLING
    assert store.renew(study_id, number, LONG) == "cancelling"
    store.cancelled(study_id, number)
    assert state(store, study_id) is StudyState.CANCELLED


def test_a_study_that_nobody_cancelled_does_not_become_cancelled(store: Store) -> None:
    """The runner cannot say ``cancelled`` of its own accord."""
    study_id, number = claimed(store)
    with pytest.raises(LeaseLost):
        store.cancelled(study_id, number)
    assert state(store, study_id) is StudyState.RUNNING


@pytest.mark.parametrize("orderly", [True, False])
def test_a_cancelling_study_whose_runner_went_is_ended_by_the_next(store: Store, orderly: bool) -> None:
    """Whether the runner shut down or died: the next claim gets the study as cancelling, and can end it."""
    study_id, number = claimed(store, LONG if orderly else EXPIRED)
    store.request_cancel(study_id)
    if orderly:
        store.release(study_id, number)
    again = store.claim("runner two", LONG)
    assert again is not None
    assert again.state is StudyState.CANCELLING
    store.cancelled(study_id, again.lease_number)
    assert state(store, study_id) is StudyState.CANCELLED


@pytest.mark.parametrize("broken", [{"score": math.nan}, {"seconds": math.inf}, {"curve": ((25, -math.inf),)}])
def test_numbers_that_are_none_are_refused(store: Store, broken: dict[str, Any]) -> None:
    """A NaN or an infinity would be unreadable for every later reader: it is refused, and nothing is written."""
    study_id, number = claimed(store)
    with pytest.raises(ValueError, match="must be finite"):
        store.record_run(study_id, number, replace(run(study_id), **broken))
    assert store.runs(study_id) == []
