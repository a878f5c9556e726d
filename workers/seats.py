"""What the engine knows of its devices: who sits in their slots, and until when."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from vi3nr.ensemble.interface import MemberState
from workers.jobs import MAX_ATTEMPTS, Job
from workers.pool import Admission, Turn, TurnDone
from workers.scheduler import Position

__all__ = ["Resident", "Seat"]


@dataclass
class Resident:
    """A member in a slot, or between two of its legs: then it waits for a slot with the state it was left in."""

    study_id: str
    job: Job
    step: int
    start: MemberState | None  # where its next leg begins; None in a slot, and for a member that begins anew
    kept: MemberState | None = None  # where its last leg ended: what a lost trainer cannot take along
    losses: int = 0  # trainers that it lost since its last leg ended

    @staticmethod
    def of(study_id: str, job: Job) -> Resident:
        """A member that has not been in a slot yet."""
        start = job.member.start
        return Resident(study_id, job, 0 if start is None else start.step, start)

    @property
    def position(self) -> Position:
        """Where it stands on its way."""
        return Position(self.step, self.job.segment, self.job.member.until)

    @property
    def kind(self) -> tuple[str, str]:
        """What decides how long its steps take: signal and family."""
        return self.job.group.signal_key, self.job.group.family

    def pause(self, state: MemberState) -> None:
        """A leg has ended; the next one begins with this state, and again if its trainer is lost."""
        self.start = self.kept = state
        self.losses = 0

    def rewind(self) -> bool:
        """Its trainer was lost: go back to the end of the last leg. False if there is none, or too many were lost."""
        self.losses += 1
        if self.kept is None or self.losses >= MAX_ATTEMPTS:
            return False
        self.start, self.step = self.kept, self.kept.step
        return True

    def admission(self, leg: int) -> Admission:
        """Into a slot, for a leg of about so many steps."""
        start, self.start = self.start, None
        return Admission(self.job.group, replace(self.job.member, start=start, until=self.position.leg_end(leg)))


@dataclass
class Seat:
    """A device: its residents by member key, who has to go, and the turn that it is playing."""

    slots: int = 1
    residents: dict[str, Resident] = field(default_factory=dict)
    leaving: list[str] = field(default_factory=list)
    signals: frozenset[str] = frozenset()  # keys of the signals in the turn that is being played
    ending: int = 0  # residents that reach their very end in it
    busy: bool = False

    def turn(self, admit: tuple[Admission, ...], steps: int) -> Turn:
        """The turn that this device is to play now."""
        evict, self.leaving = tuple(self.leaving), []
        residents = self.residents.values()
        self.signals = frozenset(resident.job.group.signal_key for resident in residents)
        self.ending = sum(resident.step + steps >= resident.job.member.until for resident in residents)
        self.busy = True
        return Turn(admit, evict, steps)

    def rest(self) -> None:
        """The turn has ended."""
        self.busy, self.signals, self.ending = False, frozenset(), 0

    def may_go_on(self, done: TurnDone) -> bool:
        """Whether these reports can change nobody's place: every slot taken, nobody at an end or at a decision."""
        if self.leaving or len(self.residents) < self.slots or len(done.progress) < len(self.residents):
            return False
        found = [(self.residents.get(progress.key), progress) for progress in done.progress]
        return all(
            resident is not None and not progress.finished and progress.step not in resident.job.decisions
            for resident, progress in found
        )
