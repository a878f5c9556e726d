"""An init config as a PyTorch script that draws the same network, for people who want no other package."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vi3nr.activations import families
from vi3nr.config import InitConfig
from vi3nr.formula import is_formula

__all__ = ["pytorch_script"]

# f(x) by PyTorch's names, with u = x / sigma_a; a name in braces is one of the family's parameters
FORMULAS: Mapping[str, str] = {
    "gaussian": "torch.exp(-0.5 * u * u)",
    "sine": "torch.sin(u)",
    "sinc": "torch.sinc(u / math.pi)",
    "gabor": "torch.cos({omega!r} * x) * torch.exp(-0.5 * u * u)",
    "finer": "torch.sin((x.detach().abs() + 1.0) * u)",
    "hosc": "torch.tanh({b!r} * torch.sin(u))",
    "laplacian": "torch.exp(-u.abs())",
    "quadratic": "1.0 / (1.0 + u * u)",
    "multi_quadratic": "torch.rsqrt(1.0 + u * u)",
    "super_gaussian": "torch.exp(-0.5 * {b!r} * u * u)",
    "exp_sin": "torch.exp(-torch.sin(u))",
    "relu": "torch.relu(u)",
    "leaky_relu": "nn.functional.leaky_relu(u, {negative_slope!r})",
    "tanh": "torch.tanh(u)",
    "sigmoid": "torch.sigmoid(u)",
    "softplus": "nn.functional.softplus(u)",
    "gelu": "nn.functional.gelu(u)",
    "silu": "nn.functional.silu(u)",
}
PLAIN = '''\
"""{title}

Written by vi3nr; needs PyTorch alone. ``draw_network(seed)`` is the network that ``vi3nr.INR.from_config`` gives for
the init config and the seed, with the same names in its state dict.
"""

import math

import torch
from torch import nn

SIGMA_A = {sigma_a!r}{omega}
LAYERS = (  # fan-in, fan-out, std of the weights, std of the biases
{layers}
)


class Activation(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u = x / SIGMA_A
        return {formula}


class INR(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for fan_in, fan_out, _, _ in LAYERS:
            parts += [nn.utils.skip_init(nn.Linear, fan_in, fan_out), Activation()]
        self.layers = nn.Sequential(*parts[:-1])

    def forward(self, coordinates: torch.Tensor) -> torch.Tensor:
        return self.layers(coordinates)


def draw_network(seed: int = 0) -> INR:
    generator = torch.Generator().manual_seed(seed)
    network = INR()
    with torch.no_grad():
        for linear, (_, _, weight_std, bias_std) in zip(network.layers[::2], LAYERS):
            draw_{weights}(linear.weight, weight_std, generator)
            draw_{biases}(linear.bias, bias_std, generator)
    return network


{draws}


network = draw_network(seed=0)
'''
DRAWS = {
    "uniform": """\
def draw_uniform(tensor: torch.Tensor, std: float, generator: torch.Generator) -> None:
    bound = math.sqrt(3.0) * std
    if std == 0.0:
        tensor.zero_()
    else:
        tensor.uniform_(-bound, bound, generator=generator)""",
    "normal": """\
def draw_normal(tensor: torch.Tensor, std: float, generator: torch.Generator) -> None:
    if std == 0.0:
        tensor.zero_()
    else:
        tensor.normal_(0.0, std, generator=generator)""",
}
WITH_LIBRARY = '''\
"""{title}

Written by vi3nr, and needs it (``pip install vi3nr``): {reason}.{first}
"""

from vi3nr import INR, InitConfig

config = InitConfig.from_json(
    r"""
{config}
"""
)
network = INR.from_config(config, seed=0)
'''

FIRST = """

Before it runs, call the ``custom_activation`` by which the config was made: the config knows its name alone.\
"""


def pytorch_script(config: InitConfig) -> str:
    """Python source that ends with ``network``, drawn from the config and seed 0.

    It needs PyTorch alone and draws the very parameters of ``INR.from_config(config, seed=0)``; with complex weights,
    an encoding or an activation of the user's own it loads them by this library, and says why. One that is a Python
    function must be made known by the same ``custom_activation`` first, which the script says too.
    """
    title = (
        f"An INR with the activation {_one_line(config.family)}, sigma_a {config.sigma_a:.6g}, as its config draws it."
    )
    reason = _beyond_plain(config)
    if reason is not None:
        first = "" if config.family in families() or is_formula(config.family) else FIRST
        return WITH_LIBRARY.format(title=title, reason=reason, first=first, config=config.to_json())
    rows = [f"    ({one.fan_in}, {one.fan_out}, {one.weight_std!r}, {one.bias_std!r})," for one in config.layers]
    return PLAIN.format(
        title=title,
        sigma_a=config.sigma_a,
        omega=f"  # omega = {1.0 / config.sigma_a:.6g}" if config.family in ("sine", "finer") else "",
        layers="\n".join(rows),
        formula=FORMULAS[config.family].format(**config.parameters),
        weights=config.distribution,
        biases=config.bias_distribution,
        draws="\n\n\n".join(DRAWS[name] for name in sorted({config.distribution, config.bias_distribution})),
    )


def _beyond_plain(config: InitConfig) -> str | None:
    """Why a config needs the library; None where PyTorch alone is enough."""
    reasons: tuple[tuple[Callable[[], bool], str], ...] = (
        (lambda: config.complex_weights, "the network has complex weights"),
        (lambda: config.encoding is not None, "the network begins with a positional encoding"),
        (lambda: config.family not in FORMULAS, "the activation is a formula or a family of your own"),
    )
    return next((sentence for holds, sentence in reasons if holds()), None)


def _one_line(family: str) -> str:
    """A family's name for a docstring; a formula may hold anything but is shown in ASCII and without quotes."""
    return ascii(family)[1:-1].replace('"', "'").replace("\\", "/")[:80]
