"""An activation as a torch module without parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vi3nr.families import Activation

__all__ = ["ActivationModule"]


class ActivationModule(nn.Module):
    """Applies ``activation`` elementwise."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """f(x), same shape and dtype."""
        result: Tensor = self.activation.value(x, torch)
        return result

    def extra_repr(self) -> str:
        """What ``print(module)`` shows."""
        return repr(self.activation)
