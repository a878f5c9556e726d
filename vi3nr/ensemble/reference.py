# ruff: noqa: D102 - what the methods do is said once, by the base class
"""The same promises by the plainest means: an ``INR``, autograd, ``torch.optim.Adam``. The referee of the others.

Slow and clear; also what a plain training loop costs, for the benchmark. Runs on any torch device.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from vi3nr.config import Encoding
from vi3nr.encoding import encode
from vi3nr.ensemble.batches import BatchOrder, learning_rate_at
from vi3nr.ensemble.held_out import parted
from vi3nr.ensemble.interface import Ensemble, Member, MemberState, Progress, Recipe
from vi3nr.ensemble.shared import tensor_of
from vi3nr.ensemble.slots import Seat, Slots
from vi3nr.networks import INR
from vi3nr.signals import Signal

__all__ = ["ReferenceEnsemble"]


class ReferenceEnsemble(Ensemble):
    """One ``INR`` and one ``torch.optim.Adam`` per member, one member after the other."""

    def __init__(
        self,
        signal: Signal,
        *,
        widths: tuple[int, ...],
        family: str,
        recipe: Recipe,
        capacity: int,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        self._slots: Slots[_Trainee] = Slots(signal, widths, family, recipe, capacity)
        self._recipe = recipe
        self._signals = parted(signal, recipe.held_out)
        self._y, self._judged = (tensor_of(one.values, dtype, device) for one in self._signals)  # (point, out)
        # By encoding: of the points that steps see and of those that are scored, (point, feature).
        self._features: dict[Encoding | None, tuple[Tensor, Tensor]] = {}

    @property
    def free_slots(self) -> int:
        return self._slots.free

    def admit(self, member: Member) -> None:
        self._slots.check(member)
        self._slots.take(member, _Trainee(member, self._features_for(member.config.encoding)[0], self._recipe))

    def evict(self, keys: Iterable[str]) -> None:
        self._slots.vacate(keys)

    def advance(self, steps: int) -> list[Progress]:
        reports = [self._advance_one(seat, seat.ahead(steps)) for seat in self._slots.taken]
        self._slots.vacate(report.key for report in reports if report.finished)
        return reports

    def _features_for(self, encoding: Encoding | None) -> tuple[Tensor, Tensor]:
        """What the first layer sees of every point: computed once, kept as long as a seated member uses it."""
        if encoding not in self._features:
            used = {seat.member.config.encoding for seat in self._slots.taken}
            self._features = {key: features for key, features in self._features.items() if key in used}
            coordinates = (one.coordinates for one in self._signals)
            seen, judged = (one if encoding is None else encode(encoding, one) for one in coordinates)
            dtype, device = self._y.dtype, str(self._y.device)
            self._features[encoding] = tensor_of(seen, dtype, device), tensor_of(judged, dtype, device)
        return self._features[encoding]

    def _advance_one(self, seat: Seat[_Trainee], steps: int) -> Progress:
        begin = time.perf_counter()
        trainee = seat.trainee
        before = [trainee.update(self._y, step, self._recipe) for step in range(seat.step, seat.step + steps)]
        finite = all(bool(torch.isfinite(parameter).all()) for parameter in trainee.network.parameters())
        mse = math.nan
        if finite:
            _, judged = self._features_for(seat.member.config.encoding)
            with torch.no_grad():
                mse = float((trainee.network.from_features(judged) - self._judged).double().square().mean())
        return seat.report(steps, [*before, mse], finite, time.perf_counter() - begin, trainee.arrays)


class _Trainee:
    """A member's network, optimiser and order of batches."""

    def __init__(self, member: Member, x: Tensor, recipe: Recipe) -> None:
        self.learning_rate = member.learning_rate
        self.x = x  # (point, feature)
        self.network = INR.from_config(member.config, seed=member.seed, dtype=x.dtype).to(x.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=member.learning_rate, foreach=False)
        points = x.shape[0]
        self.order = BatchOrder(points, min(recipe.batch_size or points, points), member.seed)
        if member.start is not None:
            self._load(member.start)

    def update(self, y: Tensor, step: int, recipe: Recipe) -> float:
        """One step of Adam on the mean squared error, which is told as it was before; torch's Adam takes a complex
        number as two real ones.
        """
        x = self.x
        if recipe.batch_size is not None and recipe.batch_size < x.shape[0]:
            chosen = torch.from_numpy(self.order.indices(step)).to(x.device)
            x, y = x[chosen], y[chosen]
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.learning_rate, step, recipe)
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(self.network.from_features(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copies of parameters, first and second moment, flat."""
        parameters = list(self.network.parameters())
        states = [self.optimizer.state[parameter] for parameter in parameters]
        zeros = [torch.zeros_like(parameter) for parameter in parameters]
        return (
            _flat([parameter.detach() for parameter in parameters]),
            _flat([state.get("exp_avg", zero) for state, zero in zip(states, zeros, strict=True)]),
            _flat([state.get("exp_avg_sq", zero) for state, zero in zip(states, zeros, strict=True)]),
        )

    def _load(self, start: MemberState) -> None:
        offset = 0
        for parameter in self.network.parameters():
            part = slice(offset, offset + _real(parameter.detach()).numel())
            arrays = (start.parameters, start.first_moment, start.second_moment)
            value, first, second = (torch.zeros_like(parameter.detach()) for _ in arrays)
            for tensor, array in zip((value, first, second), arrays, strict=True):
                _real(tensor).copy_(torch.tensor(array[part]).view_as(_real(tensor)))
            parameter.data.copy_(value)
            step = torch.tensor(float(start.step))
            self.optimizer.state[parameter] = {"step": step, "exp_avg": first, "exp_avg_sq": second}
            offset = part.stop


def _real(tensor: Tensor) -> Tensor:
    """The tensor's numbers as real ones; those of a complex one as pairs, in a last axis of its own."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _flat(tensors: list[Tensor]) -> np.ndarray:
    """The tensors' numbers in one axis, on the CPU."""
    return torch.cat([_real(tensor).reshape(-1) for tensor in tensors]).cpu().numpy()
