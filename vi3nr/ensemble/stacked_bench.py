"""The bench of a stacked executor: places of a fixed number whose members take every step together.

All that a step reads and writes lies in tensors that are made once, so that a device may record the step and repeat it.
Members are loaded into places for a segment and read out after it; a place keeps nothing of who sat in it before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vi3nr.ensemble.adam import BETA1, BETA2, EPSILON
from vi3nr.ensemble.interface import MOST_SMOOTHED, Recipe
from vi3nr.ensemble.stacked_activation import StackedActivation
from vi3nr.ensemble.stacked_device import StackDevice
from vi3nr.ensemble.stacked_network import StackedNetwork, StackLayout
from vi3nr.families import Activation

__all__ = ["Bench", "Points", "bytes_per_point"]

SHORTEST_CHUNK = 1024  # points; shorter ones leave a device idle


@dataclass(frozen=True)
class Points:
    """Features ``(point, in)`` and values ``(point, out)`` on the device: those that train, of which a step sees
    ``batch_size``, and those that are scored.
    """

    x: Tensor
    y: Tensor
    batch_size: int
    scored_x: Tensor
    scored_y: Tensor

    @property
    def full(self) -> bool:
        """Whether a step sees all points that train."""
        return self.batch_size == self.x.shape[0]


def bytes_per_point(layout: StackLayout, dtype: torch.dtype) -> int:
    """An estimate of what a step keeps for one point of one member: two numbers a hidden unit until the gradient has
    passed, and what the layers on the way need.
    """
    hidden = layout.widths[1:-1]
    numbers = 2 * sum(hidden) + 4 * max(hidden) + 2 * layout.widths[-1] + layout.widths[0]
    return numbers * dtype.itemsize * (2 if layout.complex_weights else 1)


class Bench:
    """``places`` networks of one shape and family, which differ in their parameters, activations and rates.

    Args:
        layout: where the numbers of a member lie.
        points: what is trained on; the same for all members, but for the order of minibatches.
        example: an activation of the family, for what is the same for all members.
        recipe: how every member is trained.
        places: members that step together.
        device: where.
        precision: of the factors in products between hidden layers.
        memory: bytes that a step may take; None: no limit. Points are taken in chunks that fit.

    Raises:
        torch.OutOfMemoryError: not even the shortest chunk fits.
    """

    def __init__(
        self,
        layout: StackLayout,
        points: Points,
        example: Activation,
        recipe: Recipe,
        *,
        places: int,
        device: StackDevice,
        precision: str,
        memory: int | None,
    ) -> None:
        self.places, self._layout, self._points, self._recipe = places, layout, points, recipe
        dtype, where = points.x.dtype, device.device

        def row(columns: int, kind: torch.dtype) -> Tensor:
            return torch.zeros(places, columns, dtype=kind, device=where)

        self._state = torch.zeros(3, places, layout.size, dtype=dtype, device=where)
        self._parameters, self._first, self._second = self._state
        self._order, self._gradient = layout.order.to(where), row(layout.size, dtype)
        self._before = torch.zeros(MOST_SMOOTHED, places, dtype=dtype, device=where)  # errors of the latest steps
        self._rate, self._step = row(1, torch.float64), row(1, torch.float64)  # the rate before the schedule
        self._chosen = torch.zeros(places, points.batch_size, dtype=torch.int64, device=where)
        self._layers, self._gradients = layout.layers(self._parameters), layout.layers(self._gradient)
        self._activation = StackedActivation(example, places, dtype, where)
        exact, hidden = device.product("float32"), device.product(precision)
        self._network = StackedNetwork(
            self._activation, exact=exact, hidden=hidden, elementwise=device.elementwise, products=device.products
        )
        needs = places * bytes_per_point(layout, dtype)
        self._chunk = _chunk(max(len(points.x), len(points.scored_x)), needs, memory)
        self._advance = device.record(self._one_step, needs * min(self._chunk, points.batch_size))

    def load(self, numbers: Tensor, steps: Sequence[int], rates: Sequence[float]) -> None:
        """Seat members in the first places, each at its step: ``numbers`` ``(member, 3, number)`` are parameters, first
        and second moment in the layout's order.
        """
        members = len(numbers)
        self._state[:, :members, self._order] = numbers.transpose(0, 1)
        for column, values in ((self._step, steps), (self._rate, rates)):
            column[:members, 0] = torch.tensor(values, dtype=column.dtype).to(column.device)

    def set_activations(self, activations: Sequence[Activation]) -> None:
        """The activations of the first places."""
        self._activation.set_(activations)

    def unload(self) -> Tensor:
        """Copies of every place's numbers, as ``load`` takes them, on the device."""
        return self._state[:, :, self._order].transpose(0, 1).contiguous()

    def step(self, chosen: Tensor | None) -> None:
        """One update of every place; ``chosen`` ``(member, point)`` are the points of the first places' minibatches."""
        if chosen is not None:
            self._chosen[: chosen.shape[0]].copy_(chosen)
        self._advance()

    def errors(self) -> tuple[list[float], list[bool]]:
        """Mean squared error of every place over what is scored, in float64, and whether its numbers are finite."""
        x, y = self._points.scored_x, self._points.scored_y
        total = torch.zeros(self.places, dtype=torch.float64, device=y.device)
        for part in range(0, x.shape[0], self._chunk):
            seen = slice(part, part + self._chunk)
            values = self._network.predict(self._layers, x[seen].expand(self.places, -1, -1))
            total += (values - y[seen]).double().square().sum((1, 2))
        finite = torch.isfinite(self._parameters).all(1)
        return (total / y.numel()).tolist(), finite.tolist()

    def errors_before(self, steps: int) -> list[list[float]]:
        """Of each place the mean squared errors before its latest ``steps`` steps, or before as many as are kept."""
        kept: list[list[float]] = self._before[max(MOST_SMOOTHED - steps, 0) :].T.tolist()
        return kept

    def _one_step(self) -> None:
        """Gradient of the mean squared error over the step's points, chunk by chunk, and Adam's update."""
        points, places = self._points, self.places
        weight = 2.0 / (points.batch_size * points.y.shape[1])
        self._gradient.zero_()
        squares = torch.zeros_like(self._before[0])
        for part in range(0, points.batch_size, self._chunk):
            seen = slice(part, min(part + self._chunk, points.batch_size))
            if points.full:
                x, y = points.x[seen].expand(places, -1, -1), points.y[seen].expand(places, -1, -1)
            else:
                x, y = points.x[self._chosen[:, seen]], points.y[self._chosen[:, seen]]  # (member, point, axis)
            squares = squares + self._network.add_gradient(self._layers, self._gradients, x, y, weight)
        self._before.copy_(torch.cat((self._before[1:], 0.5 * weight * squares[None])))
        self._update()

    def _update(self) -> None:
        rate = self._rate
        if self._recipe.schedule == "cosine":
            part = (self._step / self._recipe.steps).clamp(max=1.0)
            rate = rate * 0.5 * (1.0 + torch.cos(math.pi * part))
        self._step += 1.0
        dtype = self._parameters.dtype
        scale = (rate / (1.0 - BETA1**self._step)).to(dtype)  # (member, 1)
        correction = torch.sqrt(1.0 - BETA2**self._step).to(dtype)
        self._first.lerp_(self._gradient, 1.0 - BETA1)
        self._second.mul_(BETA2).addcmul_(self._gradient, self._gradient, value=1.0 - BETA2)
        self._parameters.sub_(self._first * scale / (self._second.sqrt().div_(correction).add_(EPSILON)))


def _chunk(points: int, needs: int, memory: int | None) -> int:
    """How many points a pass takes, where one point of all places needs so many bytes."""
    if memory is None:
        return points
    chunk = min(points, memory // needs)
    if chunk < min(points, SHORTEST_CHUNK):
        raise torch.OutOfMemoryError(f"a step on {SHORTEST_CHUNK} points needs more than the {memory} bytes there are")
    return -(-points // -(-points // chunk))  # as few chunks as can be, of nearly equal size
