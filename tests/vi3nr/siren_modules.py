"""Modules as people write them, and a config for them: for the tests of ``initialize_``."""

import torch
from torch import Tensor, nn

from vi3nr.activations import activation
from vi3nr.config import BiasRule, InitConfig
from vi3nr.initialisers import draw_parameters, generator_for
from vi3nr.networks import ActivationModule
from vi3nr.profile import vi3nr_config

OMEGA = 47.0
WIDTHS = (2, 16, 16, 3)
SINE = activation("sine", omega=OMEGA)


def config(**arguments: object) -> InitConfig:
    return vi3nr_config(SINE, WIDTHS, sigma_p=0.03, bias=BiasRule("share", 0.2), **arguments)


def drawn(of: InitConfig, seed: int = 3) -> list[Tensor]:
    return [tensor for pair in draw_parameters(of, generator_for(seed)) for tensor in pair]


class SineLayer(nn.Module):
    """As in SIREN's code: omega inside."""

    def __init__(self, fan_in: int, fan_out: int, omega_0: float = OMEGA) -> None:
        super().__init__()
        self.omega_0 = omega_0
        self.linear = nn.Linear(fan_in, fan_out)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.omega_0 * self.linear(x))


class Siren(nn.Module):
    """Blocks in a ModuleList and a head, as in many repositories."""

    def __init__(self, omega_0: float = OMEGA, head: nn.Module | None = None) -> None:
        super().__init__()
        self.body = nn.ModuleList([SineLayer(2, 16, omega_0), SineLayer(16, 16, omega_0)])
        self.head = nn.Linear(16, 3) if head is None else head

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.body:
            x = layer(x)
        return self.head(x)


READ = {SineLayer: lambda layer: activation("sine", omega=layer.omega_0)}


def plain(*extra: nn.Module) -> nn.Sequential:
    sine = ActivationModule(SINE)
    return nn.Sequential(nn.Linear(2, 16), sine, nn.Linear(16, 16), sine, *extra, nn.Linear(16, 3))
