"""Adam over one flat vector: the update of ``torch.optim.Adam`` with its default betas and eps.

m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  p <- p - rate / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
Source: Kingma and Ba 2015, algorithm 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["BETA1", "BETA2", "EPSILON", "Adam"]

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-8


class Adam:
    """The two moments of one member, flat, and the update in place."""

    def __init__(self, count: int, dtype: torch.dtype) -> None:
        self.first_moment = torch.zeros(count, dtype=dtype)
        self.second_moment = torch.zeros(count, dtype=dtype)
        self._scratch = torch.empty(count, dtype=dtype)

    def update_(self, parameters: Tensor, gradient: Tensor, rate: float, step: int) -> None:
        """Update ``parameters`` in place; ``step`` counts from 1 for the first update."""
        self.first_moment.lerp_(gradient, 1.0 - BETA1)
        self.second_moment.mul_(BETA2).addcmul_(gradient, gradient, value=1.0 - BETA2)
        correction1 = 1.0 - BETA1**step
        correction2 = math.sqrt(1.0 - BETA2**step)
        torch.sqrt(self.second_moment, out=self._scratch)
        self._scratch.div_(correction2).add_(EPSILON)
        parameters.addcdiv_(self.first_moment, self._scratch, value=-rate / correction1)
