"""What the CPU executor does with one tile of pre-activations: the activation and its derivative.

``FusedKernel`` is one compiled pass in float32 for every built-in real family. ``GenericKernel`` works
for any activation and any type, by the family's own value and derivative in NumPy: formulas, families of one's own, and
float64, which is for checks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vi3nr.activations import Activation, activation, families
from vi3nr.config import InitConfig
from vi3nr.ensemble import fused

__all__ = ["FusedKernel", "GenericKernel", "Kernel", "Plane", "kernel_for"]


@dataclass(frozen=True)
class Plane:
    """One buffer ``(point, unit)``, as torch and as NumPy see it; ``turned`` is ``(unit, point)``."""

    tensor: Tensor
    turned: Tensor
    array: np.ndarray

    @classmethod
    def of(cls, tensor: Tensor) -> Plane:
        """The views of this tensor's memory."""
        return cls(tensor, tensor.t(), tensor.numpy())


class Kernel(ABC):
    """An activation on one tile."""

    @abstractmethod
    def forward(self, z: Plane, bias: np.ndarray, a: Plane) -> None:
        """Write f(z + bias) to ``a`` and f'(z + bias) over ``z``; ``bias`` is ``(unit,)``."""


class FusedKernel(Kernel):
    """A built-in family's compiled loop, in float32. Compiling takes about a second, once a process."""

    def __init__(self, built_in: Activation) -> None:
        self._loop = fused.forward(built_in.family)
        self._scale = np.float32(1.0 / built_in.sigma_a)
        self._parameter = np.float32(fused.parameter_of(built_in))

    def forward(self, z: Plane, bias: np.ndarray, a: Plane) -> None:
        """One pass, in place."""
        self._loop(z.array, bias, self._scale, self._parameter, a.array)


class GenericKernel(Kernel):
    """Any activation, by its own value and derivative: correct for all, fast for none."""

    def __init__(self, generic: Activation) -> None:
        self._activation = generic

    def forward(self, z: Plane, bias: np.ndarray, a: Plane) -> None:
        """Several passes, with arrays in between."""
        x = z.array + bias
        np.copyto(a.array, self._activation.value(x, np))
        np.copyto(z.array, self._activation.derivative(x, np))


def kernel_for(config: InitConfig, dtype: torch.dtype) -> Kernel:
    """The compiled kernel of a built-in family in float32, else the generic one."""
    member = activation(config.family, config.sigma_a, **config.parameters)
    if dtype is torch.float32 and config.family in families():
        return FusedKernel(member)
    return GenericKernel(member)
