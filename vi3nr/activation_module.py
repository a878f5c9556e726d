"""An activation and a positional encoding as torch modules without parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vi3nr.config import Encoding
from vi3nr.encoding import encoding_frequencies, features_of
from vi3nr.families import Activation

__all__ = ["ActivationModule", "EncodingModule"]


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


class EncodingModule(nn.Module):
    """Turns coordinates ``(..., axis)`` into features ``(..., feature)``; see ``vi3nr.encoding``.

    Its frequencies are a buffer that moves with the module and is no part of its state dict: the config holds it.
    """

    frequencies: Tensor

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self.encoding = encoding
        drawn = torch.from_numpy(encoding_frequencies(encoding)).to(torch.float32)  # (pair, axis)
        self.register_buffer("frequencies", drawn, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The features, same dtype."""
        features: Tensor = features_of(x, self.frequencies, self.encoding.identity, torch)
        return features

    def extra_repr(self) -> str:
        """What ``print(module)`` shows."""
        return repr(self.encoding)
