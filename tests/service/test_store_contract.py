"""What a store promises about datasets and studies, over SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text
from studies_to_store import LONG, claimed, dataset, note, plan, queued, result, state

from service.database import writing
from service.models import StudyRow
from service.records import LeaseLost, progress_json, study_of
from service.states import StudyState
from service.store import Store


def test_a_dataset_comes_back_as_it_was_stored(store: Store) -> None:
    """Every field survives, and what is not there is None."""
    found = store.dataset(dataset(store))
    assert found is not None
    assert (found.points, found.in_dim, found.out_dim, found.shape) == (16, 2, 3, (4, 4))
    assert (found.name, found.kind, dict(found.meta)) == ("photo", "image", {"n": 1})
    assert store.dataset("0" * 12) is None


def test_the_same_content_is_stored_once(store: Store) -> None:
    """A second dataset of the same content hash is the first one, also when two threads store it at once."""
    gate = threading.Barrier(4)

    def together(_: int) -> str:
        gate.wait()
        return dataset(store, "same")

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(together, range(4)))
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


def test_pages_hold_what_was_made_at_the_same_moment(engine: Engine, store: Store) -> None:
    """A page may end between two studies of one time: each is shown once."""
    made = {queued(store) for _ in range(3)}
    with writing(engine).begin() as connection:
        connection.execute(text("UPDATE vi3nr_studies SET created = 1700000000.5"))
    shown, cursor = [], None
    for _ in made:
        page = store.studies(1, cursor)
        shown += [study.id for study in page.items]
        cursor = page.next_cursor
    assert (sorted(shown), cursor) == (sorted(made), None)


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
