# ruff: noqa: D102 - what the methods do is said once, by the base class
"""The GPU executor: members are stacked and step together, by batched products and hand-derived gradients.

Members wait in a dormitory of flat tensors and are loaded onto a bench for a segment. A bench has a power of two of
places: the smallest that holds those who step together, so that few shapes are compiled and a slot is refilled without
compiling again. Where memory runs out, half as many step together, one group after the other, and nobody is lost: a
segment begins again from what the dormitory holds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from vi3nr.activations import activation, family_of
from vi3nr.config import Encoding
from vi3nr.encoding import encode
from vi3nr.ensemble.batches import BatchOrder
from vi3nr.ensemble.held_out import parted
from vi3nr.ensemble.interface import Ensemble, Member, Progress, Recipe
from vi3nr.ensemble.slots import Seat, Slots
from vi3nr.ensemble.stacked_activation import shared_part
from vi3nr.ensemble.stacked_bench import Bench, Points
from vi3nr.ensemble.stacked_device import PRECISIONS, StackDevice, device_for
from vi3nr.ensemble.stacked_network import StackLayout
from vi3nr.families import Activation
from vi3nr.initialisers import draw_parameters, generator_for
from vi3nr.signals import Signal

__all__ = ["StackedEnsemble"]

log = logging.getLogger(__name__)

SHARE_OF_FREE_MEMORY = 0.4  # for one bench: benches of smaller sizes are kept beside the largest


@dataclass(frozen=True)
class _Kind:
    """What members must share to sit on one bench."""

    layer_widths: tuple[int, ...]
    encoding: Encoding | None
    shared: tuple[object, ...]  # of their activations


@dataclass
class _Trainee:
    """A member between two segments; ``numbers`` ``(3, number)``: parameters, first and second moment, in a state's
    order, on the device.
    """

    kind: _Kind
    activation: Activation
    order: BatchOrder
    numbers: Tensor

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parameters, first, second = self.numbers.cpu().numpy()
        return parameters.copy(), first.copy(), second.copy()


class StackedEnsemble(Ensemble):
    """Trains the members that it holds at once.

    Args:
        signal: coordinates ``(point, in)`` and values ``(point, out)``.
        widths: all layer widths from the coordinates to the values.
        family: the activation family of every member.
        recipe: how every member is trained.
        capacity: how many members may be seated at once.
        dtype: float32, or float64 for checks; ``MemberState`` arrays have this type.
        device: "cpu", "cuda", "cuda:1" and so on, or what stands for one.
        precision: of the factors in products between hidden layers: float32, tf32 or bfloat16. Sums, the first layer,
            the last one and the score have that of ``dtype``, and so has all that is complex; the errors that a
            smoothed score is made of are the steps' own.
        memory: bytes that the process may use on the device; None: what is free.

    Raises:
        ValueError: the widths do not fit the signal, or the recipe, the device or the precision is unknown.
    """

    def __init__(
        self,
        signal: Signal,
        *,
        widths: tuple[int, ...],
        family: str,
        recipe: Recipe,
        capacity: int,
        dtype: torch.dtype = torch.float32,
        device: StackDevice | str = "cpu",
        precision: str = "float32",
        memory: int | None = None,
    ) -> None:
        self._slots: Slots[_Trainee] = Slots(signal, widths, family, recipe, capacity)
        if precision not in PRECISIONS:
            raise ValueError(f"precision {precision!r} is unknown; choose {', '.join(PRECISIONS)}")
        if precision != "float32" and dtype != torch.float32:
            raise ValueError(f"precision {precision!r} is for float32, got dtype {dtype}")
        self._signals = parted(signal, recipe.held_out)
        self._recipe, self._dtype = recipe, dtype
        self._device = device_for(device) if isinstance(device, str) else device
        self._complex = family_of(family).complex
        self._precision = "float32" if self._complex else precision  # devices have no low complex precision
        self._memory = memory
        self._together = capacity  # members that step at once: fewer once memory has run out
        self._points: dict[Encoding | None, Points] = {}
        self._benches: dict[tuple[_Kind, int], Bench] = {}

    @property
    def free_slots(self) -> int:
        return self._slots.free

    @property
    def together(self) -> int:
        """The most members that step at once: the capacity, or less where memory has run out."""
        return self._together

    def admit(self, member: Member) -> None:
        self._slots.check(member)
        config = member.config
        phi = activation(config.family, config.sigma_a, **config.parameters)
        kind = _Kind(config.layer_widths, config.encoding, shared_part(phi))
        points = len(self._signals[0].values)
        order = BatchOrder(points, min(self._recipe.batch_size or points, points), member.seed)
        self._slots.take(member, _Trainee(kind, phi, order, self._numbers(member)))

    def evict(self, keys: Iterable[str]) -> None:
        self._slots.vacate(keys)

    def advance(self, steps: int) -> list[Progress]:
        reports: dict[str, Progress] = {}
        arrived = self._slots.taken
        seats = sorted(arrived, key=lambda seat: str(seat.trainee.kind))
        with torch.no_grad():
            for _, alike in groupby(seats, key=lambda seat: seat.trainee.kind):
                waiting = list(alike)
                while waiting:
                    group = waiting[: self._together]
                    try:
                        found = self._advance_group(group, steps)
                    except torch.OutOfMemoryError as error:
                        self._step_in_smaller_groups(len(group), error)
                        continue
                    reports |= {progress.key: progress for progress in found}
                    waiting = waiting[len(group) :]
        self._slots.vacate(key for key, report in reports.items() if report.finished)
        return [reports[seat.member.key] for seat in arrived]

    def _advance_group(self, group: list[Seat[_Trainee]], steps: int) -> list[Progress]:
        """Load, step and read out. Nothing of a seat changes before all of the group has been trained."""
        begin = time.perf_counter()
        bench = self._bench_for(group[0].trainee, len(group))
        bench.set_activations([seat.trainee.activation for seat in group])
        numbers = torch.stack([seat.trainee.numbers for seat in group])
        bench.load(numbers, [seat.step for seat in group], [seat.member.learning_rate for seat in group])
        ends = [seat.ahead(steps) for seat in group]
        found: dict[int, tuple[Tensor, list[float], bool]] = {}
        done = 0
        for end in sorted(set(ends)):
            for ahead in range(done, end):
                bench.step(self._batches(group, ahead))
            numbers = bench.unload()
            after, finite = bench.errors()
            before = bench.errors_before(end)
            for place in (place for place, own in enumerate(ends) if own == end):
                found[place] = numbers[place], [*before[place], after[place]], finite[place]
            done = end
        seconds = (time.perf_counter() - begin) / max(1, sum(ends))
        reports = []
        for place, seat in enumerate(group):
            seat.trainee.numbers, errors, whole = found[place]
            reports.append(seat.report(ends[place], errors, whole, seconds * ends[place], seat.trainee.arrays))
        return reports

    def _batches(self, group: list[Seat[_Trainee]], ahead: int) -> Tensor | None:
        """The points of the next step of each member, (member, point); None for all points."""
        if self._points[group[0].trainee.kind.encoding].full:
            return None
        return torch.from_numpy(np.stack([seat.trainee.order.indices(seat.step + ahead) for seat in group]))

    def _bench_for(self, trainee: _Trainee, members: int) -> Bench:
        kind, places = trainee.kind, 1 << (members - 1).bit_length()
        bench = self._benches.get((kind, places))
        if bench is None:
            seated = {seat.trainee.kind for seat in self._slots.taken}
            self._benches = {key: kept for key, kept in self._benches.items() if key[0] in seated}
            free = self._device.free_bytes(self._memory)
            bench = Bench(
                StackLayout(kind.layer_widths, self._complex),
                self._points_for(kind.encoding),
                trainee.activation,
                self._recipe,
                places=places,
                device=self._device,
                precision=self._precision,
                memory=None if free is None else int(SHARE_OF_FREE_MEMORY * free),
            )
            self._benches[kind, places] = bench
        return bench

    def _points_for(self, encoding: Encoding | None) -> Points:
        """The signal under an encoding, on the device; kept as long as a seated member uses it."""
        if encoding not in self._points:
            used = {seat.trainee.kind.encoding for seat in self._slots.taken}
            self._points = {key: points for key, points in self._points.items() if key in used}
            seen = x, y = self._on_device(self._signals[0], encoding)
            scored = seen if self._recipe.held_out is None else self._on_device(self._signals[1], encoding)
            self._points[encoding] = Points(x, y, min(self._recipe.batch_size or len(y), len(y)), *scored)
        return self._points[encoding]

    def _on_device(self, signal: Signal, encoding: Encoding | None) -> tuple[Tensor, Tensor]:
        features = signal.coordinates if encoding is None else encode(encoding, signal.coordinates)
        x, y = (torch.tensor(part, dtype=self._dtype, device=self._device.device) for part in (features, signal.values))
        return x, y

    def _numbers(self, member: Member) -> Tensor:
        """A member's parameters and moments as it arrives: its state's, or drawn from its seed."""
        start = member.start
        if start is not None:
            parts = [torch.tensor(part) for part in (start.parameters, start.first_moment, start.second_moment)]
        else:
            drawn = draw_parameters(member.config, generator_for(member.seed))
            flat = torch.cat([_real(part).reshape(-1) for pair in drawn for part in pair])
            parts = [flat, torch.zeros_like(flat), torch.zeros_like(flat)]
        return torch.stack(parts).to(self._device.device, self._dtype)

    def _step_in_smaller_groups(self, members: int, error: torch.OutOfMemoryError) -> None:
        """Halve the groups, or give up where one member alone does not fit."""
        self._benches.clear()
        self._device.reclaim()
        if members == 1:
            raise error
        self._together = members // 2
        log.warning("memory ran out with %d members at once; from now on %d step together", members, self._together)


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
