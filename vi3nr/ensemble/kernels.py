# ruff: noqa: D102 - what the methods do is said once, by the base class
"""Fast activation kernels for the CPU executor: the value and the chain rule, in place, on one tile.

A kernel sees ``u = scale * z``, z the pre-activation: the executor folds ``scale`` into its matrix products, where it
costs nothing. NumPy's float32 sin, cos, exp and tanh are vectorised and 2 to 13 times as fast as torch's on a CPU, and
its exp has no slow path where it underflows; hence a tile is seen by both (``Plane``).

A new family works at once through ``GenericKernel``; its fast kernel is one small class and a line in ``KERNELS``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vi3nr.activations import Activation, activation
from vi3nr.config import InitConfig

__all__ = ["KERNELS", "GenericKernel", "Kernel", "Plane", "kernel_for"]

EXPONENT_FLOOR = -80.0  # exp(-80) = 2e-35 is still a normal float32; below -87 come denormals, which are slow
SINC_SERIES_BELOW = 0.5  # |u|
TRIGONOMETRY_LIMIT = 5e4  # beyond about 7e4 vectorised float32 sin and cos fall back to 20 times slower code


@dataclass(frozen=True)
class Plane:
    """One buffer ``(point, unit)``, as torch and as NumPy see it."""

    tensor: Tensor
    array: np.ndarray

    @classmethod
    def of(cls, tensor: Tensor) -> Plane:
        """Both views of this tensor's memory."""
        return cls(tensor, tensor.numpy())


class Kernel(ABC):
    """An activation on one tile. ``u`` and ``a`` are buffers ``(point, unit)`` that live from forward to backward."""

    scale: float = 1.0  # u = scale * z
    slope: float = 1.0  # factor of da/dz that backward leaves out; the executor folds it into its matrix products
    reach: float = math.inf  # above this bound on |u| the executor calls ``tame`` first

    @abstractmethod
    def forward(self, u: Plane, a: Plane) -> None:
        """Write the activation of ``u`` to ``a``; ``u`` may be overwritten with what backward needs."""

    @abstractmethod
    def backward(self, g: Tensor, u: Plane, a: Plane) -> None:
        """Multiply ``g`` in place by da/dz / slope, given what forward left; ``u`` and ``a`` may be overwritten."""

    def tame(self, u: Plane) -> None:  # noqa: B027 - most kernels have no slow path
        """Replace ``u`` by smaller numbers that give the same result."""


class Gaussian(Kernel):
    """exp(-u^2 / 2), derivative -u a."""

    def __init__(self, sigma_a: float) -> None:
        self.scale = 1.0 / sigma_a
        self.slope = -self.scale

    def forward(self, u: Plane, a: Plane) -> None:
        torch.addcmul(ZERO[u.tensor.dtype], u.tensor, u.tensor, value=-0.5, out=a.tensor)
        a.tensor.clamp_(min=EXPONENT_FLOOR)
        np.exp(a.array, out=a.array)

    def backward(self, g: Tensor, u: Plane, a: Plane) -> None:
        g.mul_(u.tensor).mul_(a.tensor)


class Sine(Kernel):
    """sin(u), derivative cos(u). Huge arguments are reduced in float64 first (they come from diverging networks)."""

    reach = TRIGONOMETRY_LIMIT

    def __init__(self, sigma_a: float) -> None:
        self.scale = self.slope = 1.0 / sigma_a

    def forward(self, u: Plane, a: Plane) -> None:
        np.sin(u.array, out=a.array)

    def backward(self, g: Tensor, u: Plane, a: Plane) -> None:
        np.cos(u.array, out=a.array)
        g.mul_(a.tensor)

    def tame(self, u: Plane) -> None:
        wide = u.tensor.double()
        wide.sub_(torch.round(wide / math.tau), alpha=math.tau)
        u.tensor.copy_(wide)


class Tanh(Kernel):
    """tanh(u), derivative 1 - a^2."""

    def __init__(self, sigma_a: float) -> None:
        self.scale = self.slope = 1.0 / sigma_a

    def forward(self, u: Plane, a: Plane) -> None:
        np.tanh(u.array, out=a.array)

    def backward(self, g: Tensor, u: Plane, a: Plane) -> None:
        torch.ops.aten.tanh_backward.grad_input(g, a.tensor, grad_input=g)


class Sigmoid(Kernel):
    """1 / (1 + exp(-u)), derivative a (1 - a)."""

    def __init__(self, sigma_a: float) -> None:
        self.scale = self.slope = 1.0 / sigma_a

    def forward(self, u: Plane, a: Plane) -> None:
        torch.sigmoid(u.tensor, out=a.tensor)

    def backward(self, g: Tensor, u: Plane, a: Plane) -> None:
        torch.ops.aten.sigmoid_backward.grad_input(g, a.tensor, grad_input=g)


class Gelu(Kernel):
    """u Phi(u)."""

    def __init__(self, sigma_a: float) -> None:
        self.scale = self.slope = 1.0 / sigma_a

    def forward(self, u: Plane, a: Plane) -> None:
        torch.ops.aten.gelu.out(u.tensor, out=a.tensor)

    def backward(self, g: Tensor, u: Plane, a: Plane) -> None:
        torch.ops.aten.gelu_backward.grad_input(g, u.tensor, grad_input=g)


class Silu(Kernel):
    """u / (1 + exp(-u))."""

    def __init__(self, sigma_a: float) -> None:
        self.scale = self.slope = 1.0 / sigma_a

    def forward(self, u: Plane, a: Plane) -> None:
        torch.ops.aten.silu.out(u.tensor, out=a.tensor)

    def backward(self, g: Tensor, u: Plane, a: Plane) -> None:
        torch.ops.aten.silu_backward.grad_input(g, u.tensor, grad_input=g)


class Relu(Kernel):
    """max(u, 0), derivative 1 for u > 0, else 0."""

    def __init__(self, sigma_a: float) -> None:
        self.scale = self.slope = 1.0 / sigma_a

    def forward(self, u: Plane, a: Plane) -> None:
        torch.clamp(u.tensor, min=0.0, out=a.tensor)

    def backward(self, g: Tensor, u: Plane, a: Plane) -> None:
        torch.ops.aten.threshold_backward.grad_input(g, a.tensor, 0.0, grad_input=g)


class Sinc(Kernel):
    """sin(u) / u, derivative (cos(u) - a) / u; where that cancels, near 0, the family's own series is used."""

    def __init__(self, sigma_a: float) -> None:
        self.scale = self.slope = 1.0 / sigma_a
        self._unit = activation("sinc", 1.0)

    def forward(self, u: Plane, a: Plane) -> None:
        np.sin(u.array, out=a.array)
        np.divide(a.array, u.array, out=a.array)
        np.copyto(a.array, 1.0, where=u.array == 0.0)

    def backward(self, g: Tensor, u: Plane, a: Plane) -> None:
        slope = np.cos(u.array)
        np.subtract(slope, a.array, out=slope)
        np.divide(slope, u.array, out=slope)
        near = np.abs(u.array) < SINC_SERIES_BELOW
        slope[near] = self._unit.slope(u.array[near], np)
        g.mul_(torch.from_numpy(slope))


class GenericKernel(Kernel):
    """Any activation, by its own value and derivative: correct for all, fast for none."""

    def __init__(self, generic: Activation) -> None:
        self._activation = generic

    def forward(self, u: Plane, a: Plane) -> None:
        np.copyto(a.array, self._activation.value(u.array, np))

    def backward(self, g: Tensor, u: Plane, a: Plane) -> None:
        g.mul_(torch.from_numpy(self._activation.derivative(u.array, np)))


ZERO: Final = {dtype: torch.zeros(1, dtype=dtype) for dtype in (torch.float32, torch.float64)}

KERNELS: Final[dict[str, Callable[[float], Kernel]]] = {
    "gaussian": Gaussian,
    "sine": Sine,
    "sinc": Sinc,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "relu": Relu,
    "gelu": Gelu,
    "silu": Silu,
}


def kernel_for(config: InitConfig) -> Kernel:
    """The fast kernel of the config's family, or the generic one."""
    fast = KERNELS.get(config.family)
    if fast is not None:
        return fast(config.sigma_a)
    return GenericKernel(activation(config.family, config.sigma_a, **config.parameters))
