"""Value and gradient of a stack of networks, by batched matrix products and hand-derived gradients.

Axes: ``(member, point, unit)`` for activations, ``(member, in, out)`` for weights, ``(member, 1, out)`` for biases.
No axis mixes members: what happens in one, NaN included, never reaches another.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from vi3nr.ensemble.stacked_activation import StackedActivation
from vi3nr.ensemble.stacked_device import Elementwise, Product

__all__ = ["StackLayout", "StackedNetwork"]

ALIGNMENT = 32  # numbers: layers start at multiples of 128 bytes, so that tensor cores read them without a copy

FEWEST_POINTS = 256  # of a part of a product over the points

Layers = list[tuple[Tensor, Tensor]]  # weight (member, in, out) and bias (member, 1, out), real or complex


class StackLayout:
    """Where the numbers of a member lie in its row of a stack: layer by layer, weight ``(in, out)`` then bias, aligned.

    ``order[i]`` is the place of number i of a ``MemberState``, whose weights are ``(out, in)``. What lies between the
    layers is zero and stays zero. Complex numbers are pairs of real ones, side by side.
    """

    def __init__(self, widths: tuple[int, ...], complex_weights: bool) -> None:
        self.widths = widths
        self.complex_weights = complex_weights
        self._starts: list[tuple[int, int]] = []  # of weight and bias
        order: list[Tensor] = []
        end = 0
        for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
            parts = self._parts(index)
            weight, bias = end, _aligned(end + fan_in * fan_out * parts)
            places = torch.arange(fan_in * fan_out * parts).view(fan_in, fan_out, parts)
            order += [weight + places.transpose(0, 1).reshape(-1), bias + torch.arange(fan_out * parts)]
            self._starts.append((weight, bias))
            end = _aligned(bias + fan_out * parts)
        self.size = end
        self.order = torch.cat(order)

    def layers(self, flat: Tensor) -> Layers:
        """The layers of ``flat`` ``(member, number)``, as views of it."""
        found = []
        for index, (fan_in, fan_out) in enumerate(pairwise(self.widths)):
            weight, bias = self._starts[index]
            parts = self._parts(index)
            members = flat.shape[0]
            w = flat[:, weight : weight + fan_in * fan_out * parts].view(members, fan_in, fan_out, parts)
            b = flat[:, bias : bias + fan_out * parts].view(members, 1, fan_out, parts)
            found.append((w.squeeze(-1), b.squeeze(-1)) if parts == 1 else _as_complex(w, b))
        return found

    def _parts(self, layer: int) -> int:
        return 2 if self.complex_weights and layer > 0 else 1


def _aligned(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT


def _as_complex(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    return torch.view_as_complex(weight), torch.view_as_complex(bias)


class StackedNetwork:
    """The passes through a stack. ``hidden`` multiplies between hidden layers, ``exact`` at both ends.

    The first layer sees coordinates and the last one makes values: few operations, whose rounding would show.
    ``products`` is how many products side by side keep the device busy: a sum over the points is split into as many.
    """

    def __init__(
        self,
        activation: StackedActivation,
        *,
        exact: Product,
        hidden: Product,
        elementwise: Elementwise,
        products: int,
    ) -> None:
        self._exact, self._hidden, self._products = exact, hidden, products
        self._forward = elementwise(activation.kind, activation.forward)
        self._backward = elementwise(activation.kind, activation.backward)

    def predict(self, layers: Layers, x: Tensor, *, exact: bool = True) -> Tensor:
        """Values ``(member, point, out)`` at features ``x`` ``(member, point, in)``; all layers ``exact`` or not."""
        for index, (weight, bias) in enumerate(layers[:-1]):
            z = self._exact(x, weight) if exact else self._product(index, layers)(x, weight)
            x = self._forward(z, bias)
        weight, bias = layers[-1]
        return _real(self._exact(x, weight) + bias)

    def add_gradient(self, layers: Layers, gradient: Layers, x: Tensor, y: Tensor, weight: float) -> Tensor:
        """Add d/dparameters of ``weight / 2`` times the sum of squared errors at ``x`` against ``y``.

        Returns that sum, ``(member)``.
        """
        inputs, sums = [x], []
        for index, (matrix, bias) in enumerate(layers[:-1]):
            sums.append(self._product(index, layers)(inputs[-1], matrix))
            inputs.append(self._forward(sums[-1], bias))
        matrix, bias = layers[-1]
        error = _real(self._exact(inputs[-1], matrix) + bias) - y
        squares: Tensor = torch.linalg.vector_norm(error, dim=(1, 2)).square()
        g = error * weight
        if matrix.is_complex():
            g = torch.complex(g, torch.zeros_like(g))
        for index in range(len(layers) - 1, -1, -1):
            product = self._product(index, layers)
            below = inputs.pop()
            gradient[index][0].add_(_over_points(product, below, g, self._products))
            gradient[index][1].add_(g.sum(1, keepdim=True))
            if index > 0:
                g = product(g, layers[index][0].mH)
                g = self._backward(g, sums.pop(), layers[index - 1][1])
        return squares

    def _product(self, index: int, layers: Layers) -> Product:
        return self._hidden if 0 < index < len(layers) - 1 else self._exact


def _over_points(product: Product, below: Tensor, g: Tensor, products: int) -> Tensor:
    """``below`` ^H ``g`` over the points, ``(member, in, out)``.

    One member's product is small in ``in`` and ``out`` and long in the points, so it keeps a small part of a GPU busy:
    the points are parted, and the parts are products of their own. Parts are equal, for else they would be copied.
    """
    members, points = g.shape[:2]
    wanted = min(-(-products // members), points // FEWEST_POINTS)
    parts = next((count for count in range(wanted, 1, -1) if points % count == 0), 1)
    b, h = (tensor.reshape(members * parts, points // parts, -1) for tensor in (below, g))
    return product(b.mH, h).view(members, parts, b.shape[-1], h.shape[-1]).sum(1)


def _real(values: Tensor) -> Tensor:
    return values.real if values.is_complex() else values
