"""The runner: claims studies, steps the engine, records what it returns. Everything a study does passes
through here.

It is the only place where Optuna is asked and told, and it meets the API in the database alone. It may die at
any moment: what it held is claimed again when its lease runs out, and goes on from what stands recorded. A database
that is away for some seconds is asked again; one that stays away ends the runner, which its supervisor starts anew.
While the object store is away no study is begun, those that are go on, and an answer waits a while for its pictures.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import OperationalError

from service.blobs import BlobStore, BlobsUnavailableError
from service.keeper import Keeper
from service.keepsakes import pack
from service.records import ClaimedStudy, LeaseLost
from service.runner_figures import Figures
from service.states import StudyState
from service.store import Store
from vi3nr.signals import Signal
from workers.engine import Engine
from workers.events import Event, RunFinished, StudyCompleted, StudyFailed, StudyProgressed, TrialFinished
from workers.result import ProgressNote, StudyResult
from workers.storage import StorageUnavailableError, persistently

__all__ = ["Runner"]

T = TypeVar("T")

log = logging.getLogger(__name__)
IDLE_SECONDS = 0.5  # between two looks at the queue
TELL_SECONDS = 0.5  # between two notes on how far a study is; many actors give a hundred reports a second
MAX_CLAIMS = 50  # none of them given back: a study that brings every runner down must not do so forever
AWAY_SECONDS = 5.0  # between two looks at an object store that is away
KEEP_SECONDS = 60.0  # that an answer waits for one, so that its pictures are kept


@dataclass(frozen=True)
class _Answer:
    """Of a study that has ended, with what its report shows; ``until`` is when it is written down without that."""

    result: StudyResult
    kept: bytes
    until: float


class Runner:
    """Works on up to ``capacity`` studies at once, each held by a lease that it renews.

    Args:
        store: the studies' home.
        blobs: where the signals lie.
        engine: trains.
        owner: the name under which studies are claimed, for people to read.
        lease_seconds: a study whose runner is silent for so long may be claimed by another.
        capacity: studies held at the same time.
        only: claim this study and no other.
        figures: counts what happens, for the metrics.

    """

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        engine: Engine,
        *,
        owner: str,
        lease_seconds: float = 30.0,
        capacity: int = 4,
        only: str | None = None,
        figures: Figures | None = None,
    ) -> None:
        self._figures = figures
        self._store, self._blobs, self._engine = store, blobs, engine
        self._owner, self._lease_seconds, self._capacity, self._only = owner, lease_seconds, capacity, only
        self._held: dict[str, int] = {}  # study -> lease number
        self._keeper = Keeper(store, self._held, lease_seconds)
        self._notes: dict[str, ProgressNote] = {}  # how far each study is, where that is not yet written
        self._answers: dict[str, _Answer] = {}  # of studies that have ended, until they are written down
        self._blobs_away = False
        self._unread: set[str] = set()  # studies whose data could not be read when the others in the queue could
        self._renew_at = self._claim_at = self._tell_at = self._keep_at = 0.0

    def run(
        self,
        stop: threading.Event,
        until: Callable[[], bool] = lambda: False,
        beat: Callable[[], object] = lambda: None,
    ) -> None:
        """Work until ``stop`` is set or ``until()`` holds; then give back what is held. ``beat`` is called again and
        again from a thread, as long as this works.

        Raises StorageUnavailableError when the database stays away: what was held is claimed again when it is back.
        """
        try:
            with self._keeper.watching(beat):
                while not stop.is_set() and not until():
                    self.turn(timeout=1.0)
                    self._keeper.came_round()
                    if len(self._held) == len(self._answers):  # nothing trains
                        stop.wait(IDLE_SECONDS)
        except StorageUnavailableError:
            self._held.clear()  # nobody is there to take it back
            raise
        finally:
            self._give_back()

    def turn(self, timeout: float) -> None:
        """Renew, claim, step, record: once. Whoever has just begun a study looks for the next one without waiting."""
        self._renew()
        began = self._claim()
        for event in self._engine.step(0.0 if began else timeout) if self._held else ():
            if self._figures is not None:
                self._figures.note(event)
            if event.study_id in self._held:
                self._record(event, self._held[event.study_id])
        if time.monotonic() >= self._keep_at:
            self._keep_at = 0.0
            for study_id in list(self._answers):
                if not self._keep_at:  # else the store is away for the next one too
                    self._answer(study_id)
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + TELL_SECONDS
            for study_id in list(self._notes):
                self._tell(study_id)
        if self._figures is not None:
            self._figures.tell(len(self._held))

    def _claim(self) -> bool:
        """Take up a study: one a turn, for a begin may take long. None while there is nothing to train it on: another
        runner may have that.
        """
        if time.monotonic() < self._claim_at or len(self._held) >= self._capacity:
            return False
        if not self._engine.has_devices or not self._blobs_there():
            return False
        but = {*self._held, *self._unread}
        study = _insist(partial(self._store.claim, self._owner, self._lease_seconds, only=self._only, but=but))
        if study is None:
            self._claim_at = 0.0 if self._unread else time.monotonic() + IDLE_SECONDS
            self._unread.clear()  # only those are left: once more, each in its turn
            return False
        log.info("study %s claimed under lease %d", study.id, study.lease_number, extra={"study_id": study.id})
        self._held[study.id] = study.lease_number
        self._begin(study)
        return True

    def _blobs_there(self) -> bool:
        """Whether studies can be begun. Asked of the object store only when it was away."""
        if self._blobs_away:
            try:
                self._blobs.check()
            except BlobsUnavailableError:
                self._claim_at = time.monotonic() + AWAY_SECONDS
            else:
                self._blobs_away = False
        return not self._blobs_away

    def _begin(self, study: ClaimedStudy) -> None:
        if study.state is StudyState.CANCELLING:
            self._drop(study.id)
            self._write(self._store.cancelled, study.id, study.lease_number)
            return
        try:
            if study.unreturned > MAX_CLAIMS:
                raise RuntimeError(f"{MAX_CLAIMS} runners took it up and none brought it to its end")
            signals = self._signals(study)
            lease = study.lease_number
            fence, runs = self._store.fence(study.id, lease), _insist(partial(self._store.runs, study.id))
            self._engine.add(study.plan, signals, runs, lease, elapsed=study.elapsed, fence=fence)
        except StorageUnavailableError:
            raise
        except BlobsUnavailableError as error:
            log.warning("study %s waits: %s", study.id, error, extra={"study_id": study.id})
            self._blobs_away, self._claim_at = True, time.monotonic() + AWAY_SECONDS
            self._unread.add(study.id)
            self._drop(study.id)
            self._write(self._store.release, study.id, study.lease_number)
        except Exception as error:
            log.exception("study %s cannot begin", study.id, extra={"study_id": study.id})
            self._drop(study.id)
            self._write(self._store.fail, study.id, study.lease_number, f"the study could not begin: {error}")

    def _signals(self, study: ClaimedStudy) -> list[Signal]:
        try:
            return [Signal.from_bytes(self._blobs.get(stored.blob_key)) for stored in study.dataset.signals]
        except KeyError:
            sentence = "the dataset's data is gone from the blob store; upload the files again"
            raise RuntimeError(sentence) from None
        except PermissionError:
            raise  # nothing that passes
        except OSError as error:  # of a folder too: a disk's fault, or too many open files
            raise BlobsUnavailableError(f"the dataset's data cannot be read: {error}") from error

    def _renew(self) -> None:
        if time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + min(1.0, self._lease_seconds / 3)
        self._keeper.renewed()
        for study_id, lease in list(self._held.items()):
            word = _insist(partial(self._store.renew, study_id, lease, self._lease_seconds))
            if word == "ok":
                continue
            log.info("study %s is %s", study_id, word, extra={"study_id": study_id})
            self._drop(study_id)
            if word == "cancelling":
                self._write(self._store.cancelled, study_id, lease)

    def _tell(self, study_id: str) -> None:
        """Write down how far a study is."""
        note = self._notes.pop(study_id, None)
        if note is not None:
            self._write(self._store.record_progress, study_id, self._held[study_id], note)

    def _record(self, event: Event, lease: int) -> None:
        study_id = event.study_id
        if isinstance(event, StudyCompleted | StudyFailed):
            self._tell(study_id)
        match event:
            case RunFinished():
                self._write(self._store.record_run, study_id, lease, event.run)
            case StudyProgressed():
                self._notes[study_id] = event.progress
            case StudyCompleted():
                kept = pack(event.exhibits, event.devices)
                self._answers[study_id] = _Answer(event.result, kept, time.monotonic() + KEEP_SECONDS)
            case StudyFailed():
                log.error("study %s failed: %s", study_id, event.error, extra={"study_id": study_id})
                self._write(self._store.fail, study_id, lease, event.error)
                self._drop(study_id)
            case TrialFinished():
                ids = {"study_id": study_id, "family": event.family, "trial": event.number}
                log.info("study %s %s trial %d %s", study_id, event.family, event.number, event.state, extra=ids)

    def _answer(self, study_id: str) -> None:
        """Write the answer down, which names where its report's pictures lie. A full disk, or an object store that
        stays away, costs the pictures and not the answer.
        """
        answer = self._answers[study_id]
        result = answer.result
        try:
            result = replace(result, keepsake=self._blobs.put(answer.kept))
        except OSError as error:
            if isinstance(error, BlobsUnavailableError) and time.monotonic() < answer.until:
                self._keep_at = time.monotonic() + AWAY_SECONDS
                return
            log.exception("its pictures cannot be kept", extra={"study_id": study_id})
        self._write(self._store.complete, study_id, self._held[study_id], result)
        if study_id in self._held:
            log.info("study %s is completed", study_id, extra={"study_id": study_id})
        self._drop(study_id)

    def _write(self, write: Callable[..., object], study_id: str, lease: int, *facts: object) -> None:
        """A write under the lease; when another runner holds the study by now, it is dropped here."""
        try:
            _insist(partial(write, study_id, lease, *facts))
        except LeaseLost:
            log.warning("study %s was claimed by another runner: dropped", study_id, extra={"study_id": study_id})
            self._drop(study_id)

    def _drop(self, study_id: str) -> None:
        self._held.pop(study_id, None)
        self._answers.pop(study_id, None)
        self._notes.pop(study_id, None)
        self._engine.abort(study_id)

    def _give_back(self) -> None:
        for study_id, lease in list(self._held.items()):
            self._tell(study_id)
            self._drop(study_id)
            self._write(self._store.release, study_id, lease)


def _insist(call: Callable[[], T]) -> T:
    """A call of the store, tried again while the database refuses. Each may be repeated: what was written by a call
    whose answer was lost is written once, or the lease is found lost.
    """
    return persistently(call, refusal=OperationalError)
