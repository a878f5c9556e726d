"""An activation and a positional encoding as torch modules without parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vi3nr.config import Encoding
from vi3nr.encoding import encoding_frequencies, features_of
from vi3nr.families import Activation, require_activation

__all__ = ["ActivationModule", "EncodingModule", "require_octaves"]

HALF_OCTAVES = 16  # float16 ends below 2^16


class ActivationModule(nn.Module):
    """Applies ``activation`` elementwise."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        require_activation(activation)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """f(x), same shape and dtype."""
        result: Tensor = self.activation.value(x, torch)
        return result

    def extra_repr(self) -> str:
        """What ``print(module)`` shows."""
        return repr(self.activation)


def require_octaves(encoding: Encoding, dtype: torch.dtype) -> None:
    """Raise ValueError where 2^k of the highest octave is an infinity in this dtype."""
    if encoding.kind == "fourier" and encoding.frequencies > HALF_OCTAVES and dtype == torch.float16:
        raise ValueError(
            f"a fourier encoding in float16 has at most {HALF_OCTAVES} frequencies, got {encoding.frequencies}; "
            "2^16 is an infinity there, so use bfloat16 or float32"
        )


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
        """The features, same dtype. Raises ValueError for another number of axes, or octaves beyond the dtype."""
        if x.ndim == 0 or x.shape[-1] != self.encoding.in_dim:
            raise ValueError(f"coordinates must be of shape (..., {self.encoding.in_dim}), got {tuple(x.shape)}")
        require_octaves(self.encoding, x.dtype)
        features: Tensor = features_of(x, self.frequencies, self.encoding.identity, torch)
        return features

    def extra_repr(self) -> str:
        """What ``print(module)`` shows."""
        return repr(self.encoding)
