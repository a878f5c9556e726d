"""What a store promises, over SQLite and PostgreSQL alike."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine
from studies_to_store import SIGNAL, note, plan, result, run

from service.database import upgrade
from service.models import StudyRow
from service.records import LeaseLost, progress_json, study_of
from service.states import StudyState
from service.store import Store, new_id

EXPIRED, LONG = -1.0, 3600.0  # lease seconds


def dataset(store: Store, content: str = "a") -> str:
    return store.add_dataset(name="photo", content_hash=content, signal=SIGNAL, blob_key="k" * 64, meta={"n": 1}).id


def queued(store: Store) -> str:
    study_id = new_id()
    store.add_study(plan=plan(study_id), dataset_id=dataset(store), request={"x": [1, None]}, warnings=["Beware."])
    return study_id


def claimed(store: Store, seconds: float = LONG) -> tuple[str, int]:
    study_id = queued(store)
    study = store.claim("runner one", seconds)
    assert study is not None
    assert study.id == study_id
    return study_id, study.lease_number


def state(store: Store, study_id: str) -> StudyState:
    study = store.study(study_id)
    assert study is not None
    return study.state


def test_a_dataset_comes_back_as_it_was_stored(store: Store) -> None:
    """Every field survives, and what is not there is None."""
    found = store.dataset(dataset(store))
    assert found is not None
    assert (found.points, found.in_dim, found.out_dim, found.shape) == (16, 2, 3, (4, 4))
    assert (found.name, found.kind, dict(found.meta)) == ("photo", "image", {"n": 1})
    assert store.dataset("0" * 12) is None


def test_the_same_content_is_stored_once(store: Store) -> None:
    """A second dataset of the same content hash is the first one, also when two threads store it at once."""
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(dataset(store, "same"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert dataset(store, "other") not in found


def test_pages_hold_everything_once_newest_first(store: Store) -> None:
    """Following the cursors lists every study once, in falling order of creation."""
    made = [queued(store) for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = store.studies(2, cursor)
        seen += [study.id for study in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(made)
    times = [study.created for study in store.studies(10).items]
    assert times == sorted(times, reverse=True)
    assert len(store.datasets(10).items) == 1


def test_a_study_comes_back_as_it_was_asked_for(store: Store) -> None:
    """Request, warnings and families survive, and the claiming runner gets the very plan."""
    study_id = queued(store)
    study = store.study(study_id)
    assert study is not None
    assert (dict(study.request), study.warnings) == ({"x": [1, None]}, ("Beware.",))
    assert study.families == ("gaussian", "sine")
    assert (study.state, study.started, study.finished) == (StudyState.QUEUED, None, None)
    claim = store.claim("me", LONG)
    assert claim is not None
    assert claim.plan == plan(study_id)
    assert (claim.lease_number, claim.owner, claim.dataset.points) == (1, "me", 16)
    assert state(store, study_id) is StudyState.RUNNING


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


def test_progress_is_shown_with_the_pace_since_the_claim(store: Store) -> None:
    """The time left is none after one report, and falls to zero with the steps that are left."""
    study_id, number = claimed(store)
    store.record_progress(study_id, number, note(10))
    study = store.study(study_id)
    assert study is not None
    assert (study.progress, study.seconds_left) == (note(10), None)
    store.record_progress(study_id, number, note(60))
    store.record_progress(study_id, number, note(100))
    study = store.study(study_id)
    assert study is not None
    assert study.progress == note(100)
    assert study.seconds_left in (None, 0.0)  # None where both reports fell into one millisecond


def test_a_completed_study_has_its_result(store: Store) -> None:
    """The result comes back exactly, its warnings join the request's, and the study is held no more."""
    study_id, number = claimed(store)
    assert store.result(study_id) is None
    store.complete(study_id, number, result())
    study = store.study(study_id)
    assert study is not None
    assert (study.state, study.warnings) == (StudyState.COMPLETED, ("Beware.", "Few points."))
    assert study.started is not None
    assert study.finished is not None
    assert study.created <= study.started <= study.finished
    assert store.result(study_id) == result()
    assert store.renew(study_id, number, LONG) == "lost"
    assert store.claim("me", LONG) is None


def test_a_failed_study_says_why(store: Store) -> None:
    """The sentence is kept and the study can be neither completed nor claimed."""
    study_id, number = claimed(store)
    store.fail(study_id, number, "the signal is empty")
    study = store.study(study_id)
    assert study is not None
    assert (study.state, study.error) == (StudyState.FAILED, "the signal is empty")
    with pytest.raises(LeaseLost):
        store.complete(study_id, number, result())
    assert store.claim("me", LONG) is None


def test_a_waiting_study_is_cancelled_at_once(store: Store) -> None:
    """Nobody holds it, so nobody has to be told."""
    study_id = queued(store)
    study = store.request_cancel(study_id)
    assert study is not None
    assert study.state is StudyState.CANCELLED
    assert study.finished is not None
    assert store.claim("me", LONG) is None


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


def test_cancelling_what_has_ended_or_never_was_changes_nothing(store: Store) -> None:
    """A completed study stays completed; an unknown one is None."""
    study_id, number = claimed(store)
    store.complete(study_id, number, result())
    study = store.request_cancel(study_id)
    assert study is not None
    assert study.state is StudyState.COMPLETED
    assert store.request_cancel("0" * 12) is None


def test_the_clock_is_the_databases_and_in_utc_seconds(store: Store) -> None:
    """Times of rows written one after the other rise, and lie in this century."""
    first, second = store.study(queued(store)), store.study(queued(store))
    assert first is not None
    assert second is not None
    assert 1.7e9 < first.created <= second.created < 4.2e9


@pytest.mark.parametrize("broken", [{"score": math.nan}, {"seconds": math.inf}, {"curve": ((25, -math.inf),)}])
def test_numbers_that_are_none_are_refused(store: Store, broken: dict[str, Any]) -> None:
    """A NaN or an infinity would be unreadable for every later reader: it is refused, and nothing is written."""
    study_id, number = claimed(store)
    with pytest.raises(ValueError, match="must be finite"):
        store.record_run(study_id, number, replace(run(study_id), **broken))
    assert store.runs(study_id) == []


def test_the_time_left_is_the_steps_left_at_the_pace_since_the_claim() -> None:
    """30 member steps took 60 s since the first report, 60 are left: 120 s."""
    row = StudyRow(
        id="a",
        dataset_id="b",
        state="running",
        request={},
        plan={"families": []},
        warnings=[],
        progress=progress_json(note(40, total=100)),
        paced_from=100.0,
        paced_steps=10,
        progressed=160.0,
        created=1.0,
    )
    assert study_of(row).seconds_left == 120.0
