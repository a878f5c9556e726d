"""Many studies on one pool of trainers: ``step()`` = schedule, run, absorb; it returns what the caller is to record."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from vi3nr.signals import Signal
from workers.events import Event, Run, StudyCompleted, StudyFailed, StudyProgressed
from workers.floor import Floor
from workers.plan import StudyPlan
from workers.pool import DeviceLost, Pool, TurnDone
from workers.scheduler import FairShare
from workers.seats import Resident, Seat
from workers.storage import Fence, StorageUnavailableError, TrialStorage, persistently
from workers.study import StudyProgram
from workers.verdict import with_metrics

__all__ = ["Engine"]

T = TypeVar("T")
log = logging.getLogger(__name__)


class Engine:
    """Runs studies until each is completed, failed or aborted. Not for use by several threads."""

    def __init__(self, pool: Pool, storage: TrialStorage) -> None:
        self._pool, self._storage = pool, storage
        self._floor, self._fair = Floor(pool), FairShare()
        self._studies: dict[str, StudyProgram] = {}
        self._waiting: dict[str, deque[Resident]] = {}  # by study: between two legs, or asked for ahead of time
        self._events: list[Event] = []
        self._changed: set[str] = set()
        self._signals = 0

    @property
    def studies(self) -> tuple[str, ...]:
        """The studies that are active."""
        return tuple(self._studies)

    @property
    def has_devices(self) -> bool:
        """Whether there is anything to train on now."""
        return bool(self._floor.devices)

    def add(
        self,
        plan: StudyPlan,
        signals: Signal | Sequence[Signal],
        runs: Sequence[Run],
        lease: int,
        *,
        elapsed: float = 0.0,
        fence: Fence | None = None,
    ) -> None:
        """Take a study up where its recorded trials and ``runs`` leave it, on one signal or on several.

        ``lease`` is higher than that of whoever ran it before, ``elapsed`` the seconds since it first began, and
        ``fence`` tells the trial storage whether the lease still holds. A plan that cannot be run becomes a StudyFailed
        of the next step. Raises ValueError for a study that is active, StorageUnavailableError without a database.
        """
        if plan.study_id in self._studies:
            raise ValueError(f"study {plan.study_id!r} is active already")
        signals = [signals] if isinstance(signals, Signal) else list(signals)
        keys = [f"{plan.study_id} signal {self._signals + place}" for place in range(1, len(signals) + 1)]
        self._signals += len(signals)
        try:
            begun = time.monotonic() - elapsed
            program = StudyProgram(
                plan, signals, runs,
                signal_keys=keys, lease=lease, storage=self._storage, clock=lambda: time.monotonic() - begun,
                fence=fence,
            )  # fmt: skip
        except StorageUnavailableError:
            raise
        except Exception as error:
            self._events.append(StudyFailed(plan.study_id, _explain(error)))
            return
        for key, signal in zip(keys, signals, strict=True):
            self._floor.publish(key, signal)
        self._studies[plan.study_id] = program
        self._fair.join(plan.study_id)
        self._changed.add(plan.study_id)

    def abort(self, study_id: str) -> None:
        """Stop a study: its members leave their slots, its running trials are failed. Unknown ones are ignored."""
        program = self._studies.get(study_id)
        if program is not None:
            self._remove(study_id)
            program.close()

    def step(self, timeout: float) -> list[Event]:
        """Fill free slots, run, and take in what has ended; waits up to ``timeout`` seconds for something to end.

        Raises StorageUnavailableError when the database stays away; studies can then be taken up again by a new engine.
        """
        self._schedule()
        if self._studies and not self._events:
            ended = self._pool.wait(0.0 if self._ask_ahead() else timeout)
            for done in ended:
                if isinstance(done, TurnDone):
                    self._note(done)
            for done in ended:
                if isinstance(done, DeviceLost):
                    log.warning("%s", done.error)
                    self._lose(done.device_id)
                else:
                    self._absorb(done)
        self._settle()
        persistently(self._storage.flush)
        events, self._events = self._events, []
        return events

    def _schedule(self) -> None:
        for gone in self._floor.vanished():
            self._lose(gone)
        self._floor.withdraw()
        more = True
        for device_id, seat in self._floor.idle():
            more = self._fill(device_id, seat, more)

    def _fill(self, device_id: str, seat: Seat, more: bool) -> bool:
        """Fill a device's free slots and let it run; whether there may be ``more`` to fill slots with."""
        admitted: list[Resident] = []
        while more and len(seat.residents) < seat.slots:
            resident = self._next_resident(self._floor.held())
            more = resident is not None
            if resident is not None:
                seat.residents[resident.job.member.key] = resident
                admitted.append(resident)
        if seat.residents:
            self._floor.play(device_id, admitted)
        return more

    def _next_resident(self, held: Counter[str]) -> Resident | None:
        """A member for a free slot, from the study that is most behind."""
        for study_id in self._fair.order(held):
            if queue := self._waiting.get(study_id):
                return queue.popleft()
            job = self._guarded(study_id, self._studies[study_id].next_job)
            if job is not None:
                self._changed.add(study_id)
                return Resident.of(study_id, job)
        return None

    def _ask_ahead(self) -> bool:
        """Ask for one member that takes the place of one that ends in a running turn; False if there is none to ask.

        Only for devices of many slots, which would otherwise wait for an ask with all of them. On a device of one slot
        an ask is a hundredth of a training, and knowing how that training ended is worth more.
        """
        if sum(len(queue) for queue in self._waiting.values()) >= self._floor.ending:
            return False
        held = self._floor.held() + Counter({study_id: len(queue) for study_id, queue in self._waiting.items()})
        for study_id in self._fair.order(held):
            job = self._guarded(study_id, partial(self._studies[study_id].next_job, ahead=True))
            if job is not None:
                self._queue(study_id).append(Resident.of(study_id, job))
                return True
        return False

    def _queue(self, study_id: str) -> deque[Resident]:
        return self._waiting.setdefault(study_id, deque())

    def _note(self, done: TurnDone) -> None:
        """Where the members stand. If that changes nobody's place the next turn begins before it is written down."""
        unchanged, charges = self._floor.rest(done)
        for study_id, seconds in charges:
            self._fair.charge(study_id, seconds)
            self._changed.add(study_id)
        if unchanged:
            self._floor.play(done.device_id)

    def _absorb(self, done: TurnDone) -> None:
        seat = self._floor.seat(done.device_id)
        reported = {progress.key for progress in done.progress}
        missing = set() if seat.busy else seat.residents.keys() - reported
        for progress in done.progress:
            resident = seat.residents.get(progress.key)
            if resident is None:
                continue
            program = self._studies[resident.study_id]
            state = progress.state
            paused = state is not None and progress.step < resident.job.member.until
            report = replace(progress, finished=False, state=None) if paused else progress
            evict = self._guarded(resident.study_id, partial(program.absorb, report))
            if evict or progress.finished:
                seat.residents.pop(progress.key, None)
            if evict and not progress.finished:
                seat.leaving.append(progress.key)
            if paused and state is not None and not evict and resident.study_id in self._studies:
                resident.pause(state)
                queue = self._queue(resident.study_id)
                queue.insert(sum(one.losses > 0 for one in queue), resident)  # behind those whose trainer was lost
        for key in missing:
            resident = seat.residents.pop(key, None)
            if resident is not None:
                self._lose_resident(key, resident)

    def _lose(self, device_id: str) -> None:
        """A device is gone, and with it what it trained since the last leg of each."""
        for key, resident in self._floor.clear(device_id).items():
            self._lose_resident(key, resident)

    def _lose_resident(self, key: str, resident: Resident) -> None:
        program = self._studies.get(resident.study_id)
        if program is not None:
            self._changed.add(resident.study_id)
            if resident.rewind():
                self._queue(resident.study_id).appendleft(resident)
            else:
                self._guarded(resident.study_id, partial(program.lost, key))

    def _settle(self) -> None:
        """Tell what has changed, and complete the studies that are done."""
        for study_id, program in list(self._studies.items()):
            happened = self._empty(program)
            if study_id in self._changed or happened:
                self._guarded(study_id, partial(self._tell, study_id, program))
        self._changed.clear()

    def _tell(self, study_id: str, program: StudyProgram) -> None:
        note = program.progress()
        completed = self._completed(study_id, program) if program.done else None
        self._events.append(StudyProgressed(study_id, note))
        if completed is not None:
            self._events.append(completed)
            self._remove(study_id)
            program.close()

    def _completed(self, study_id: str, program: StudyProgram) -> StudyCompleted:
        devices = tuple(device.name for device in self._floor.devices)
        shown = program.exhibits()
        return StudyCompleted(study_id, with_metrics(program.result(), shown), shown, devices)

    def _guarded(self, study_id: str, call: Callable[[], T]) -> T | None:
        """``call()``; whatever goes wrong in a study's own program fails this study and no other."""
        try:
            return call()
        except StorageUnavailableError:
            raise
        except Exception as error:
            program = self._studies[study_id]
            self._empty(program)
            self._remove(study_id)
            self._events.append(StudyFailed(study_id, _explain(error)))
            program.close()
            return None

    def _empty(self, program: StudyProgram) -> bool:
        happened = bool(program.outbox)
        self._events += program.outbox
        program.outbox.clear()
        return happened

    def _remove(self, study_id: str) -> None:
        program = self._studies.pop(study_id)
        self._waiting.pop(study_id, None)
        self._fair.leave(study_id)
        self._changed.discard(study_id)
        self._floor.dismiss(study_id)
        self._floor.withdraw(program.signal_keys)


def _explain(error: Exception) -> str:
    """A sentence for the study's owner."""
    text = str(error) or "no reason was given"
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"
