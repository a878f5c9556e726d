"""Initialise a network of one's own, in the manner of SIREN's code, and measure its layers before and after.

    python examples/own_module.py

Printed for each layer: the variance of its pre-activations over the points of a picture, with PyTorch's default and
with a config. The config says what it should be: sigma_p squared.
"""

import torch
from skimage import data
from torch import nn

from vi3nr import activation, generator_for, image_signal, initialize_, vi3nr_config

OMEGA, SIGMA_P = 30.0, 0.02


class SineLayer(nn.Module):
    """sin(omega_0 * linear(x))."""

    def __init__(self, fan_in: int, fan_out: int, omega_0: float) -> None:
        super().__init__()
        self.omega_0, self.linear = omega_0, nn.Linear(fan_in, fan_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the units, (point, unit)."""
        return torch.sin(self.omega_0 * self.linear(x))


def variances(network: nn.Module, x: torch.Tensor) -> list[float]:
    """The mean square of each Linear layer's output over points and units."""
    seen: list[float] = []
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    hooks = [layer.register_forward_hook(lambda _m, _i, z: seen.append(float(z.square().mean()))) for layer in layers]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return seen


def main() -> None:
    """Measure, initialise, measure again."""
    torch.manual_seed(0)  # PyTorch's default draws from the global state
    network = nn.Sequential(*[SineLayer(a, 256, OMEGA) for a in (2, 256, 256)], nn.Linear(256, 3))
    x = torch.tensor(image_signal(data.chelsea()[::8, ::8]).coordinates)
    before = variances(network, x)
    config = vi3nr_config(activation("sine", omega=OMEGA), (2, 256, 256, 256, 3), sigma_p=SIGMA_P, inputs=x.numpy())
    read = {SineLayer: lambda layer: activation("sine", omega=layer.omega_0)}
    initialize_(network, config, activations=read, generator=generator_for(0))
    print("layer   wanted     PyTorch's default   config")
    for index, (old, new) in enumerate(zip(before, variances(network, x), strict=True)):
        print(f"{index:<7} {SIGMA_P**2:<10.3g} {old:<19.3g} {new:.3g}")


if __name__ == "__main__":
    main()
