"""The INR: a small MLP from coordinates to values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from vi3nr.activation_module import ActivationModule, EncodingModule, require_octaves
from vi3nr.activations import activation as build_activation
from vi3nr.baselines import baseline_config
from vi3nr.config import Encoding, InitConfig
from vi3nr.families import Activation
from vi3nr.initialisers import generator_for, initialize_

__all__ = ["INR", "ActivationModule"]

_COMPLEX = {torch.float16: torch.complex32, torch.float32: torch.complex64, torch.float64: torch.complex128}


class INR(nn.Module):
    """Linear layers with the activation after each but the last.

    With a complex activation (WIRE) the first layer is real, the others have complex weights, and the values are the
    real part. Such a network is made in its dtype (``dtype``): ``Module.to(dtype)`` would make complex weights real.

    Args:
        widths: from the coordinates to the values, e.g. ``(2, 64, 64, 64, 64, 3)``.
        activation: the activation of all layers.
        encoding: of the coordinates, in front of the first layer; its ``in_dim`` is ``widths[0]``.
        dtype: of the real parameters; complex ones have the complex type of the same precision.
        generator: on the CPU; for the parameters, which follow PyTorch's default rule until ``initialize_`` is called.
            None: a fresh one, seeded by the operating system. The global random state is not used.

    Raises:
        ValueError: widths or an encoding that make no network; a dtype without complex numbers for a complex
            activation, or float16 for a fourier encoding of more than 16 octaves.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: Activation,
        *,
        encoding: Encoding | None = None,
        dtype: torch.dtype = torch.float32,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        config = baseline_config("pytorch_default", activation, widths, encoding=encoding)
        if encoding is not None:
            require_octaves(encoding, dtype)
        self.encoding = nn.Identity() if encoding is None else EncodingModule(encoding).to(dtype)
        if config.complex_weights and dtype not in _COMPLEX:
            raise ValueError(f"there are no complex numbers of the precision of {dtype}, which {activation!r} needs")
        parts: list[nn.Module] = []
        for fan_in, fan_out in pairwise(config.layer_widths):
            kind = _COMPLEX[dtype] if config.complex_weights and parts else dtype
            linear = nn.Linear(fan_in, fan_out, device="meta", dtype=kind)  # no memory and no random numbers yet
            parts += [linear.to_empty(device="cpu"), ActivationModule(activation)]
        self.layers = nn.Sequential(*parts[:-1])
        self._complex = config.complex_weights
        initialize_(self, config, generator=generator)

    @staticmethod
    def from_config(config: InitConfig, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> INR:
        """The network that this config and seed stand for, on the CPU."""
        phi = build_activation(config.family, config.sigma_a, **config.parameters)
        network = INR(config.widths, phi, encoding=config.encoding, dtype=dtype)
        initialize_(network, config, generator=generator_for(seed))
        return network

    @staticmethod
    def from_json(source: str | Path, *, seed: int = 0) -> INR:
        """``from_config`` of a config's JSON: the text itself, or the path of a file that holds it."""
        inline = isinstance(source, str) and source.lstrip().startswith("{")
        text = str(source) if inline else Path(source).read_text(encoding="utf-8")
        return INR.from_config(InitConfig.from_json(text), seed=seed)

    @property
    def number_of_parameters(self) -> int:
        """Weights and biases; a complex one counts as two."""
        return sum(parameter.numel() * (2 if parameter.is_complex() else 1) for parameter in self.parameters())

    def forward(self, coordinates: Tensor) -> Tensor:
        """Values ``(points, out_dim)`` at coordinates ``(points, in_dim)``."""
        return self.from_features(self.encoding(coordinates))

    def from_features(self, features: Tensor) -> Tensor:
        """Values at coordinates that went through the encoding already, for loops that always see the same points."""
        values: Tensor = self.layers(features)
        return values.real if self._complex else values
