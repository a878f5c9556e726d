"""What the CPU executor does with one tile of pre-activations: the activation and its derivative.

A kernel sees ``u = scale * z``, z the pre-activation: the executor folds ``scale`` into its matrix products, where it
costs nothing. ``FusedKernel`` is one compiled pass in float32 for every built-in real family. ``GenericKernel`` works
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
    """One buffer ``(point, unit)``, as torch and as NumPy see it."""

    tensor: Tensor
    array: np.ndarray

    @classmethod
    def of(cls, tensor: Tensor) -> Plane:
        """Both views of this tensor's memory."""
        return cls(tensor, tensor.numpy())


class Kernel(ABC):
    """An activation on one tile."""

    scale: float = 1.0  # u = scale * z

    @abstractmethod
    def forward(self, u: Plane, a: Plane) -> None:
        """Write the activation to ``a``, and over ``u`` its derivative with respect to ``u``."""


class FusedKernel(Kernel):
    """A built-in family's compiled loop, in float32. Compiling takes some tenths of a second, once a process."""

    def __init__(self, built_in: Activation) -> None:
        self.scale = 1.0 / built_in.sigma_a
        self._loop = fused.forward(built_in.family)
        self._parameter = np.float32(fused.parameter_of(built_in))

    def forward(self, u: Plane, a: Plane) -> None:
        """One pass, in place."""
        self._loop(u.array.reshape(-1), self._parameter, a.array.reshape(-1))


class GenericKernel(Kernel):
    """Any activation, by its own value and derivative: correct for all, fast for none."""

    def __init__(self, generic: Activation) -> None:
        self._activation = generic

    def forward(self, u: Plane, a: Plane) -> None:
        """Several passes, with arrays in between."""
        np.copyto(a.array, self._activation.value(u.array, np))
        np.copyto(u.array, self._activation.derivative(u.array, np))


def kernel_for(config: InitConfig, dtype: torch.dtype) -> Kernel:
    """The compiled kernel of a built-in family in float32, else the generic one."""
    member = activation(config.family, config.sigma_a, **config.parameters)
    if dtype is torch.float32 and config.family in families():
        return FusedKernel(member)
    return GenericKernel(member)
