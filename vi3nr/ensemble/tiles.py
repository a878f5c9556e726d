"""Value and gradient of one network over a signal, tile by tile, in buffers that are allocated once.

Axes: ``(point, unit)`` for activations, ``(out, in)`` for weights. A tile of points goes forward and back through the
whole network while its activations are still in the cache; the gradients of all tiles add up in one flat vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from vi3nr.ensemble import fused
from vi3nr.ensemble.kernels import Kernel, Plane

__all__ = ["FlatParameters", "TiledNetwork", "tile_slices"]


class FlatParameters:
    """One flat vector and its views: weight ``(out, in)`` then bias ``(out)`` of each layer in order."""

    def __init__(self, flat: Tensor, widths: Sequence[int]) -> None:
        self.flat = flat
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        offset = 0
        for fan_in, fan_out in pairwise(widths):
            end = offset + fan_out * fan_in
            self.weights.append(flat[offset:end].view(fan_out, fan_in))
            self.biases.append(flat[end : end + fan_out])
            offset = end + fan_out
        self.turned = [weight.t() for weight in self.weights]  # (in, out); views are made once, not at every tile
        self.bias_arrays = [bias.numpy() for bias in self.biases]


def tile_slices(points: int, rows: int) -> list[slice]:
    """Cut ``points`` into as few tiles of at most ``rows`` as can be, of nearly equal size."""
    tiles = -(-points // rows)
    size = -(-points // tiles)
    return [slice(start, min(start + size, points)) for start in range(0, points, size)]


class TiledNetwork:
    """The buffers of one network shape, and the passes through them. Holds no parameters.

    Coordinates and values, whose axes are few, are transposed: ``x`` is ``(in, point)``, values are ``(out, point)``.
    """

    def __init__(self, widths: Sequence[int], rows: int, dtype: torch.dtype) -> None:
        self.widths = tuple(widths)
        hidden = self.widths[1:-1]
        self._z = [torch.empty(rows * width, dtype=dtype) for width in hidden]
        self._a = [torch.empty(rows * width, dtype=dtype) for width in hidden]
        self._g = [torch.empty(rows * max(hidden), dtype=dtype) for _ in range(2)]
        self._total = [torch.empty(width, dtype=dtype) for width in hidden]
        self._out = torch.empty(self.widths[-1] * rows, dtype=dtype)
        self._backward = fused.backward(self._out.numpy().dtype)
        self._first = torch.empty(self.widths[0], hidden[0], dtype=dtype)
        self._views: dict[int, _Views] = {}

    def predict(self, parameters: FlatParameters, kernel: Kernel, x: Tensor) -> Tensor:
        """The network's values ``(out, point)`` at ``x``, in a buffer that the next call overwrites."""
        views = self._of(x.shape[1])
        below = x.t()  # (point, in)
        for weight, bias, z, a in zip(parameters.turned, parameters.bias_arrays, views.z, views.a, strict=False):
            torch.mm(below, weight, out=z.tensor)
            kernel.forward(z, bias, a)
            below = a.tensor
        torch.mm(parameters.weights[-1], views.a[-1].turned, out=views.out)
        return views.out.add_(parameters.biases[-1].unsqueeze(1))

    def add_gradient(self, parameters: FlatParameters, x: Tensor, error: Tensor, gradient: FlatParameters) -> None:
        """Add a tile's gradient, given dloss/dvalues ``(out, point)``, after ``predict`` on the same ``x``."""
        views = self._of(x.shape[1])
        last = len(views.a)
        gradient.weights[last].addmm_(error, views.a[-1].tensor)
        gradient.biases[last].add_(error.sum(1))
        h = views.g[last % 2][last - 1]
        torch.mm(error.t(), parameters.weights[last], out=h.tensor)
        for layer in range(last - 1, 0, -1):
            self._backward(h.array, views.z[layer].array, views.total[layer], gradient.bias_arrays[layer])  # dloss/dz
            gradient.weights[layer].addmm_(h.turned, views.a[layer - 1].tensor)
            below = views.g[layer % 2][layer - 1]
            torch.mm(h.tensor, parameters.weights[layer], out=below.tensor)
            h = below
        self._backward(h.array, views.z[0].array, views.total[0], gradient.bias_arrays[0])
        torch.mm(x, h.tensor, out=self._first)  # (in, out)
        gradient.weights[0].add_(self._first.t())

    def _of(self, rows: int) -> _Views:
        views = self._views.get(rows)
        if views is None:
            views = self._views[rows] = _Views(self, rows)
        return views


class _Views:
    """The buffers cut to a number of rows. Layer l's gradient lies in buffer (l + 1) % 2, so neighbours never share."""

    def __init__(self, network: TiledNetwork, rows: int) -> None:
        hidden = network.widths[1:-1]

        def cut(buffer: Tensor, width: int) -> Tensor:
            return buffer[: rows * width].view(rows, width)

        self.z = [Plane.of(cut(buffer, width)) for buffer, width in zip(network._z, hidden, strict=True)]
        self.a = [Plane.of(cut(buffer, width)) for buffer, width in zip(network._a, hidden, strict=True)]
        self.g = [[Plane.of(cut(buffer, width)) for width in hidden] for buffer in network._g]
        self.total = [total.numpy() for total in network._total]
        self.out = network._out[: rows * network.widths[-1]].view(network.widths[-1], rows)
