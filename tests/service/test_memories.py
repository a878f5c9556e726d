"""What the API keeps of surfaces and reports is true, and one fit serves all who ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from studies_to_store import SIGNAL, finish, queued

from service import surface_memory
from service.answer_memory import AnswerMemory
from service.blobs import BlobStore
from service.database import make_engine, upgrade
from service.pages import memory
from service.problems import Problem
from service.records import Study
from service.settings import Settings
from service.states import StudyState
from service.store import Store
from service.surface_memory import SurfaceMemory
from service.surfaces import Learned
from workers.response_data import Observation


class Fits:
    """Learns the number of the fit, as soon as it may."""

    def __init__(self) -> None:
        self.count, self.may, self.begun = 0, threading.Event(), threading.Semaphore(0)
        self.may.set()

    def __call__(self, study: Study, family: str) -> Learned:
        self.count += 1
        number = float(self.count)
        self.begun.release()
        assert self.may.wait(30)
        if study.state is StudyState.FAILED:
            raise RuntimeError("no fit")
        return Learned((), (Observation({}, number, {}),), None)


@pytest.fixture
def fits() -> Fits:
    return Fits()


@pytest.fixture
def kept(fits: Fits) -> Iterator[SurfaceMemory]:
    found = SurfaceMemory(fits)
    yield found
    fits.may.set()
    found.close()


RUNNING = Study(
    "a", "d", StudyState.RUNNING, {}, ("sine",), (), None, None, None, created=0.0, started=0.0, finished=None
)
ENDED = replace(RUNNING, state=StudyState.COMPLETED)


def number(learned: Learned) -> float | None:
    return learned.trials[0].score


def test_all_who_wait_are_served_by_one_fit(fits: Fits, kept: SurfaceMemory) -> None:
    """Eight ask at once, one fit is made, and the ninth asks for none."""
    fits.may.clear()
    with ThreadPoolExecutor(8) as clients:
        answers = [clients.submit(kept.of, RUNNING, "sine") for _ in range(8)]
        assert fits.begun.acquire(timeout=30)
        fits.may.set()
        assert {number(answer.result(30)) for answer in answers} == {1.0}
    assert number(kept.of(RUNNING, "sine")) == 1.0
    assert fits.count == 1


def test_an_old_surface_is_answered_while_a_newer_one_is_fitted(
    fits: Fits, kept: SurfaceMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the second fit; when it is there, it is answered."""
    monkeypatch.setattr(surface_memory, "OLD_SECONDS", 0.0)
    monkeypatch.setattr(surface_memory, "OLD_TIMES", 0.0)
    kept.of(RUNNING, "sine")
    fits.may.clear()
    assert fits.begun.acquire(timeout=30)
    assert number(kept.of(RUNNING, "sine")) == 1.0
    assert fits.begun.acquire(timeout=30)
    assert number(kept.of(RUNNING, "sine")) == 1.0
    assert fits.count == 2
    fits.may.set()
    kept.of(replace(RUNNING, id="b"), "sine")  # there is one thread: the other fit has ended
    assert number(kept.of(RUNNING, "sine")) == 2.0


def test_what_was_learned_of_an_ended_study_is_all_and_stays(
    fits: Fits, kept: SurfaceMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fitted while it ran is not its last word; what was fitted afterwards is, for ever."""
    kept.of(RUNNING, "sine")
    assert number(kept.of(ENDED, "sine")) == 2.0
    monkeypatch.setattr(surface_memory, "OLD_SECONDS", 0.0)
    assert number(kept.of(ENDED, "sine")) == 2.0
    assert fits.count == 2


def test_a_fit_that_fails_is_tried_again(fits: Fits, kept: SurfaceMemory) -> None:
    """Who waited for it gets its error, the next one a new fit."""
    with pytest.raises(RuntimeError, match="no fit"):
        kept.of(replace(ENDED, state=StudyState.FAILED), "sine")
    assert number(kept.of(ENDED, "sine")) == 2.0


def test_few_wait_for_a_fit(fits: Fits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes when so many wait is told to come again, without a wait, and then gets an answer."""
    monkeypatch.setattr(surface_memory, "MOST_WAITING", 1)
    kept = SurfaceMemory(fits)
    fits.may.clear()
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(kept.of, ENDED, "sine")
        assert fits.begun.acquire(timeout=30)
        with pytest.raises(Problem) as refused:
            kept.of(ENDED, "gaussian")
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
        fits.may.set()
        assert number(first.result(30)) == 1.0
    assert number(kept.of(ENDED, "gaussian")) == 2.0
    kept.close()


def test_few_surfaces_are_kept(fits: Fits, kept: SurfaceMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that nobody has asked for longest goes first."""
    monkeypatch.setattr(surface_memory, "MOST_KEPT", 2)
    for name in ("a", "b", "a", "c", "a"):
        kept.of(replace(ENDED, id=name), "sine")
    assert fits.count == 3
    kept.of(replace(ENDED, id="b"), "sine")
    assert fits.count == 4


def test_reports_of_ended_studies_are_made_once(
    settings: Settings, fits: Fits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of others each time; so many bytes are kept."""
    made: list[str] = []

    def page(*parts: object, **_: object) -> str:
        study = parts[2]
        assert isinstance(study, Study)
        made.append(study.id)
        return "x" * 10

    monkeypatch.setattr(memory, "report_page", page)
    engine = make_engine(settings.url)
    upgrade(engine)
    store, blobs = Store(engine), BlobStore(settings.blob_dir)
    key = blobs.put(SIGNAL.to_bytes())
    store.add_dataset(name="photo", content_hash="a", signal=SIGNAL, blob_key=key, meta={"n": 1})
    reports = memory.ReportMemory(store, blobs, fits, 2, AnswerMemory(blobs, most=25))
    first, second, third = queued(store), queued(store), queued(store)

    def ask(study_id: str) -> None:
        study = store.study(study_id)
        assert study is not None
        reports.page(study, live=True)

    for _ in range(2):
        ask(first)
    assert made == [first, first]
    for study_id in (first, second, third):
        finish(store, study_id)
    for study_id in (first, first, second, first, third, first):
        ask(study_id)
    assert made[2:] == [first, second, third]
    ask(second)
    assert made[-1] == second
    blobs.remove(key)
    ask(second)
    assert made[-2:] == [second, second]
    engine.dispose()
