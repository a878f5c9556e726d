# ruff: noqa: D102 - what the methods do is said once, by the base class
"""The CPU executor: members train one after the other, tile by tile, with hand-derived gradients in reused buffers.

Stacking members makes a CPU slower, because their activations leave the cache; a tile of one member does not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from vi3nr.activations import family_of
from vi3nr.config import Encoding, InitConfig
from vi3nr.encoding import encode
from vi3nr.ensemble.adam import Adam
from vi3nr.ensemble.batches import BatchOrder, learning_rate_at
from vi3nr.ensemble.held_out import parted
from vi3nr.ensemble.interface import Ensemble, Member, Progress, Recipe
from vi3nr.ensemble.kernels import kernel_for
from vi3nr.ensemble.shared import tensor_of
from vi3nr.ensemble.slots import Seat, Slots, parameter_count
from vi3nr.ensemble.tiles import FlatParameters, TiledNetwork, tile_slices
from vi3nr.initialisers import draw_parameters, generator_for
from vi3nr.signals import Signal

__all__ = ["CpuEnsemble"]

TILE_UNITS = 2**17  # points x width of a tile: measured fastest from 2^16 to 2^18 where a core has 1 MB of cache
TILE_ROWS = (256, 4096)  # at least, for the matrix products; at most, for narrow networks


class CpuEnsemble(Ensemble):
    """Trains each member as if it were alone, in arrival order, on one thread: other cores have their own process.

    Args:
        signal: coordinates ``(point, in)`` and values ``(point, out)``.
        widths: all layer widths from the coordinates to the values.
        family: the activation family of every member.
        recipe: how every member is trained.
        capacity: how many members may be seated at once.
        dtype: float32, or float64 for checks; ``MemberState`` arrays have this type.

    Raises:
        ValueError: the widths do not fit the signal, the recipe is unknown, or the family is complex, for which
            ``ReferenceEnsemble`` is there.
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
    ) -> None:
        self._slots: Slots[_Trainee] = Slots(signal, widths, family, recipe, capacity)
        if family_of(family).complex:
            raise ValueError(f"the CPU executor has no complex numbers, which the family {family!r} needs")
        self._signals = parted(signal, recipe.held_out)
        self._recipe, self._dtype = recipe, dtype
        self._trainers: dict[Encoding | None, _TileTrainer] = {}

    @property
    def free_slots(self) -> int:
        return self._slots.free

    def admit(self, member: Member) -> None:
        self._slots.check(member)
        self._slots.take(member, _Trainee(member, self._trainer_for(member.config)))

    def evict(self, keys: Iterable[str]) -> None:
        self._slots.vacate(keys)

    def advance(self, steps: int) -> list[Progress]:
        with one_thread(), torch.no_grad(), np.errstate(all="ignore"):
            reports = [self._advance_one(seat, seat.ahead(steps)) for seat in self._slots.taken]
        self._slots.vacate(report.key for report in reports if report.finished)
        return reports

    def _trainer_for(self, config: InitConfig) -> _TileTrainer:
        """The signal under the config's encoding, in tiles; kept as long as a seated member uses it."""
        if config.encoding not in self._trainers:
            used = {seat.trainee.trainer for seat in self._slots.taken}
            self._trainers = {key: trainer for key, trainer in self._trainers.items() if trainer in used}
            encoding = config.encoding
            seen, scored = (
                (one.coordinates if encoding is None else encode(encoding, one.coordinates), one.values)
                for one in self._signals
            )
            others = None if self._recipe.held_out is None else scored
            self._trainers[encoding] = _TileTrainer(*seen, config.layer_widths, self._recipe, self._dtype, others)
        return self._trainers[config.encoding]

    def _advance_one(self, seat: Seat[_Trainee], steps: int) -> Progress:
        begin = time.perf_counter()
        trainee, trainer = seat.trainee, seat.trainee.trainer
        before = [trainer.step(trainee, step) for step in range(seat.step, seat.step + steps)]
        finite = bool(torch.isfinite(trainee.parameters.flat).all())
        goes_on = seat.step + steps < seat.member.until
        mse = trainer.mean_squared_error(trainee, goes_on=goes_on) if finite else math.nan
        return seat.report(steps, [*before, mse], finite, time.perf_counter() - begin, trainee.arrays)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread within, as before afterwards: tiles are too small to share, and waiting threads spin."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Trainee:
    """What one member owns: parameters, moments, its activation's kernel and its order of batches."""

    def __init__(self, member: Member, trainer: _TileTrainer) -> None:
        self.trainer = trainer
        self.learning_rate = member.learning_rate
        self.kernel = kernel_for(member.config, trainer.dtype)
        self.order = BatchOrder(trainer.points, trainer.batch_size, member.seed)
        self.ahead: tuple[float, Tensor] | None = None  # the next step's error and gradient, where a report found them
        if member.start is None:
            drawn = draw_parameters(member.config, generator_for(member.seed))
            flat = torch.cat([part.reshape(-1) for pair in drawn for part in pair]).to(trainer.dtype)
        else:
            flat = torch.tensor(member.start.parameters, dtype=trainer.dtype)
        self.parameters = FlatParameters(flat, trainer.network.widths)
        self.adam = Adam(flat.numel(), trainer.dtype)
        if member.start is not None:
            self.adam.first_moment.copy_(torch.tensor(member.start.first_moment))
            self.adam.second_moment.copy_(torch.tensor(member.start.second_moment))

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copies of parameters, first and second moment, flat."""
        parts = (self.parameters.flat, self.adam.first_moment, self.adam.second_moment)
        first, second, third = (part.numpy().copy() for part in parts)
        return first, second, third


class _TileTrainer:
    """Features ``(point, in)`` and values ``(point, out)`` in tiles, and the buffers that members use in turn.

    ``scored`` are the features and values that are scored, where these are others than those that steps see. A signal
    that ``by_axis`` has laid out is not copied.
    """

    def __init__(
        self, features: np.ndarray, values: np.ndarray, widths: tuple[int, ...], recipe: Recipe, dtype: torch.dtype,
        scored: tuple[np.ndarray, np.ndarray] | None,
    ) -> None:  # fmt: skip
        self.dtype = dtype
        self.points = features.shape[0]
        self.batch_size = min(recipe.batch_size or self.points, self.points)
        self._recipe = recipe
        self._full = self.batch_size == self.points
        self._x = _turned(features, dtype)  # (in, point)
        self._y = _turned(values, dtype)  # (out, point)
        rows = min(max(TILE_UNITS // max(widths), TILE_ROWS[0]), TILE_ROWS[1])
        self._tiles = self._cut(self._x, self._y, rows)
        self._judged = self._tiles  # what is scored
        if scored is not None:
            features, values = scored
            self._judged = self._cut(_turned(features, dtype), _turned(values, dtype), rows)
        self._foresees = self._full and scored is None
        batch = 0 if self._full else self.batch_size
        self._batch_x = torch.empty(self._x.shape[0], batch, dtype=dtype)
        self._batch_y = torch.empty(self._y.shape[0], batch, dtype=dtype)
        self._batch_tiles = self._tiles if self._full else self._cut(self._batch_x, self._batch_y, rows)
        largest = max(x.shape[1] for x, _ in [*self._tiles, *self._judged])
        self.network = TiledNetwork(widths, largest, dtype)
        self._gradient = FlatParameters(torch.zeros(parameter_count(widths), dtype=dtype), widths)

    def step(self, trainee: _Trainee, step: int) -> float:
        """One Adam update on the mean squared error of the step's points; that error, as it was before."""
        if trainee.ahead is not None:
            mse, gradient = trainee.ahead
            self._gradient.flat.copy_(gradient)
            trainee.ahead = None
        else:
            if not self._full:
                chosen = torch.from_numpy(trainee.order.indices(step))
                torch.index_select(self._x, 1, chosen, out=self._batch_x)
                torch.index_select(self._y, 1, chosen, out=self._batch_y)
            self._gradient.flat.zero_()
            total = 0.0
            for x, y in self._batch_tiles:
                error = self._error(trainee, x, y)
                norm = float(torch.linalg.vector_norm(error))
                total += norm * norm
                self._add_gradient(trainee, x, error)
            mse = total / (self.batch_size * self.network.widths[-1])
        rate = learning_rate_at(trainee.learning_rate, step, self._recipe)
        trainee.adam.update_(trainee.parameters.flat, self._gradient.flat, rate, step + 1)
        return mse

    def mean_squared_error(self, trainee: _Trainee, *, goes_on: bool) -> float:
        """Over all points and channels that are scored, summed in float64.

        Where steps see just these points, this pass is the first half of the next step. If the member ``goes_on``, the
        second half is made as well and its gradient kept, so that a report costs next to nothing.
        """
        ahead = self._foresees and goes_on
        if ahead:
            self._gradient.flat.zero_()
        total, numbers = 0.0, 0
        for x, y in self._judged:
            numbers += y.numel()
            error = self._error(trainee, x, y)
            total += float(error.double().square().sum())
            if ahead:
                self._add_gradient(trainee, x, error)
        if ahead:
            trainee.ahead = total / numbers, self._gradient.flat.clone()
        return total / numbers

    def _error(self, trainee: _Trainee, x: Tensor, y: Tensor) -> Tensor:
        """Prediction minus value on a tile, (out, point), in a buffer."""
        return self.network.predict(trainee.parameters, trainee.kernel, x).sub_(y)

    def _add_gradient(self, trainee: _Trainee, x: Tensor, error: Tensor) -> None:
        """Add a tile's gradient of the mean squared error; ``error`` is scaled on the way."""
        weight = 2.0 / (self.batch_size * self.network.widths[-1])
        self.network.add_gradient(trainee.parameters, x, error.mul_(weight), self._gradient)

    @staticmethod
    def _cut(x: Tensor, y: Tensor, rows: int) -> list[tuple[Tensor, Tensor]]:
        return [(x[:, part], y[:, part]) for part in tile_slices(x.shape[1], rows)]


def _turned(array: np.ndarray, dtype: torch.dtype) -> Tensor:
    """``(point, axis)`` as ``(axis, point)``, each axis in one piece: the array's own memory where it lies so."""
    return tensor_of(np.ascontiguousarray(array.T), dtype)
