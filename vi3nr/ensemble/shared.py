"""A signal's numbers as executors read them, without a copy of their own where that can be.

Many processes of one machine train on one signal, which lies in shared memory that none of them may write to.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

__all__ = ["tensor_of"]


def tensor_of(array: np.ndarray, dtype: torch.dtype, device: str = "cpu") -> Tensor:
    """The array as a tensor to read from: the same memory, unless type or device differ."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch remarks on memory that may not be written
        return torch.from_numpy(array).to(device, dtype)
