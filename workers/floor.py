"""Where members train: the devices of a pool, who sits in their slots, and the signals that lie ready for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vi3nr.signals import Signal
from workers.pool import Device, Pool, TurnDone
from workers.scheduler import LEG_SECONDS, REPORT_STEPS, TURN_SECONDS, Pace, turn_steps
from workers.seats import Resident, Seat

__all__ = ["Floor"]


class Floor:
    """The trainers' side of the engine: it seats members and lets devices run, and knows nothing of how they do."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._seats: dict[str, Seat] = {}
        self._pace = Pace()
        self._withdrawn: set[str] = set()  # signals that no study needs any more, still in a running turn

    @property
    def devices(self) -> Sequence[Device]:
        """What there is to train on now."""
        return self._pool.devices()

    @property
    def ending(self) -> int:
        """Members that end in a running turn, on devices of several slots."""
        return sum(seat.ending for seat in self._seats.values() if seat.slots > 1)

    def publish(self, key: str, signal: Signal) -> None:
        """Lay a signal ready for every device."""
        self._pool.publish(key, signal)

    def withdraw(self, keys: Sequence[str] = ()) -> None:
        """These signals are not needed any more: each goes once no running turn uses it."""
        for key in keys:
            self._pace.forget(key)
        self._withdrawn.update(keys)
        in_use = {key for seat in self._seats.values() for key in seat.signals}
        for key in self._withdrawn - in_use:
            self._pool.withdraw(key)
        self._withdrawn &= in_use

    def held(self) -> Counter[str]:
        """Slots by study."""
        return Counter(resident.study_id for seat in self._seats.values() for resident in seat.residents.values())

    def idle(self) -> list[tuple[str, Seat]]:
        """The devices that may begin a turn."""
        found = []
        for device in self.devices:
            seat = self.seat(device.id)
            if not seat.busy:
                seat.slots = device.slots
                found.append((device.id, seat))
        return found

    def vanished(self) -> list[str]:
        """Devices that are no longer there and owe no turn."""
        present = {device.id for device in self.devices}
        return [key for key, seat in self._seats.items() if key not in present and not seat.busy]

    def seat(self, device_id: str) -> Seat:
        """A device's slots."""
        return self._seats.setdefault(device_id, Seat())

    def clear(self, device_id: str) -> dict[str, Resident]:
        """A device is gone: its residents by member key."""
        return self._seats.pop(device_id, Seat()).residents

    def dismiss(self, study_id: str) -> None:
        """The members of a study leave their slots."""
        for seat in self._seats.values():
            for key in [key for key, resident in seat.residents.items() if resident.study_id == study_id]:
                del seat.residents[key]
                seat.leaving.append(key)

    def play(self, device_id: str, admitted: Sequence[Resident] = ()) -> None:
        """Begin a turn to the nearest report."""
        seat = self._seats[device_id]
        kinds = [resident.kind for resident in seat.residents.values()]
        fewest = max(resident.job.fewest_steps for resident in seat.residents.values())
        leg = max(2 * fewest, 2 * REPORT_STEPS, self._pace.most_steps(kinds, LEG_SECONDS))
        positions = [resident.position for resident in seat.residents.values()]
        steps = turn_steps(positions, self._pace.most_steps(kinds, TURN_SECONDS), fewest)
        self._pool.start(device_id, seat.turn(tuple(resident.admission(leg) for resident in admitted), steps))

    def rest(self, done: TurnDone) -> tuple[bool, list[tuple[str, float]]]:
        """A turn has ended. Whether its reports can change nobody's place, and what to charge: study and seconds."""
        seat = self.seat(done.device_id)
        seat.rest()
        unchanged = seat.may_go_on(done)
        charges = []
        for progress in done.progress:
            resident = seat.residents.get(progress.key)
            if resident is None:
                continue  # it was aborted while the turn was running
            self._pace.learn(*resident.kind, progress.step - resident.step, progress.seconds)
            resident.step = progress.step
            charges.append((resident.study_id, progress.seconds))
        return unchanged, charges
