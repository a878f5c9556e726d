"""The INR: a small MLP from coordinates to values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from torch import Generator, Tensor, nn

from vi3nr.activation_module import ActivationModule
from vi3nr.activations import activation as build_activation
from vi3nr.baselines import baseline_config
from vi3nr.config import InitConfig
from vi3nr.families import Activation
from vi3nr.initialisers import generator_for, initialize_

__all__ = ["INR", "ActivationModule"]


class INR(nn.Module):
    """Linear layers with the activation after each but the last.

    Args:
        widths: from the coordinates to the values, e.g. ``(2, 64, 64, 64, 64, 3)``.
        activation: the activation of all layers.
        generator: on the CPU; for the parameters, which follow PyTorch's default rule until ``initialize_`` is called.
            None: a fresh one, seeded by the operating system. The global random state is not used.
    """

    def __init__(self, widths: Sequence[int], activation: Activation, *, generator: Generator | None = None) -> None:
        super().__init__()
        config = baseline_config("pytorch_default", activation, widths)
        parts: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            linear = nn.Linear(fan_in, fan_out, device="meta")  # no memory and no random numbers yet
            parts += [linear.to_empty(device="cpu"), ActivationModule(activation)]
        self.layers = nn.Sequential(*parts[:-1])
        initialize_(self, config, generator=generator)

    @staticmethod
    def from_config(config: InitConfig, *, seed: int = 0) -> INR:
        """The network that this config and seed stand for, on the CPU."""
        network = INR(config.widths, build_activation(config.family, config.sigma_a, **config.parameters))
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
        """Weights and biases."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, coordinates: Tensor) -> Tensor:
        """Values ``(points, out_dim)`` at coordinates ``(points, in_dim)``."""
        values: Tensor = self.layers(coordinates)
        return values
