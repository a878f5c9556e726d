"""Adam over one flat vector: the update of ``torch.optim.Adam`` with its default betas and eps.

m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  p <- p - rate / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
Source: Kingma and Ba 2015, algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import from_dtype
from torch import Tensor

from vi3nr.ensemble.fused import compiled

__all__ = ["BETA1", "BETA2", "EPSILON", "Adam"]

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-8


class Adam:
    """The two moments of one member, flat, and the update in place."""

    def __init__(self, count: int, dtype: torch.dtype) -> None:
        self.first_moment = torch.zeros(count, dtype=dtype)
        self.second_moment = torch.zeros(count, dtype=dtype)
        self._number = self.first_moment.numpy().dtype.type
        self._update = _update(self.first_moment.numpy().dtype)

    def update_(self, parameters: Tensor, gradient: Tensor, rate: float, step: int) -> None:
        """Update ``parameters`` in place, in one pass; ``step`` counts from 1 for the first update."""
        rate_now = self._number(rate / (1.0 - BETA1**step))
        correction = self._number(1.0 / math.sqrt(1.0 - BETA2**step))
        arrays = (part.numpy() for part in (parameters, gradient, self.first_moment, self.second_moment))
        self._update(*arrays, rate_now, correction)


@cache
def _update(dtype: np.dtype[Any]) -> Callable[..., None]:
    """The compiled loop over flat arrays of this type, in place."""
    number = from_dtype(dtype)
    keep1, take1, keep2, take2, epsilon = (dtype.type(c) for c in (BETA1, 1.0 - BETA1, BETA2, 1.0 - BETA2, EPSILON))

    def loop(parameters: Any, gradient: Any, first: Any, second: Any, rate: Any, correction: Any) -> None:
        for i in range(parameters.size):
            g = gradient[i]
            m = keep1 * first[i] + take1 * g
            v = keep2 * second[i] + take2 * (g * g)
            first[i] = m
            second[i] = v
            parameters[i] -= rate * m / (np.sqrt(v) * correction + epsilon)

    return compiled(loop, *[number[::1]] * 4, number, number)
