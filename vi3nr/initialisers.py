"""Drawing networks from init configs, in the manner of ``torch.nn.init``.

Everything is drawn in float32 on the CPU from a generator that is passed in, so that a seed means the same network
whatever the device and dtype; the global random state is neither read nor changed.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn

from vi3nr.activation_module import ActivationModule
from vi3nr.activations import activation as build_activation
from vi3nr.config import InitConfig, LayerInit
from vi3nr.families import Activation
from vi3nr.moments import moments

__all__ = ["draw_parameters", "generator_for", "initialize_", "vi3nr_normal_", "vi3nr_uniform_"]

_TORCH_FAMILIES: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}


def generator_for(seed: int) -> Generator:
    """A CPU generator with this seed."""
    return torch.Generator(device="cpu").manual_seed(seed)


def draw_parameters(config: InitConfig, generator: Generator) -> list[tuple[Tensor, Tensor]]:
    """Draw a network: weight ``(fan_out, fan_in)`` and bias ``(fan_out,)`` of each layer, float32 on the CPU.

    The draws are taken from the generator in that order; biases that are zero take none.
    """
    drawn = []
    for layer in config.layers:
        weight = _draw((layer.fan_out, layer.fan_in), layer.weight_std, config.distribution, generator)
        bias = _draw((layer.fan_out,), layer.bias_std, config.bias_distribution, generator)
        drawn.append((weight, bias))
    return drawn


def _draw(shape: tuple[int, ...], std: float, distribution: str, generator: Generator) -> Tensor:
    if std == 0.0:
        return torch.zeros(shape, dtype=torch.float32)
    if distribution == "normal":
        return torch.empty(shape, dtype=torch.float32).normal_(0.0, std, generator=generator)
    bound = math.sqrt(3.0) * std
    return torch.empty(shape, dtype=torch.float32).uniform_(-bound, bound, generator=generator)


def _own_generator(generator: Generator | None) -> Generator:
    """The caller's generator, or a fresh one seeded by the operating system."""
    if generator is None:
        generator = torch.Generator(device="cpu")
        generator.seed()
    if generator.device.type != "cpu":
        raise ValueError(f"generator must be on the CPU, where all draws are made, got {generator.device}")
    return generator


def vi3nr_uniform_(
    tensor: Tensor,
    activation: Activation,
    sigma_p: float,
    *,
    sigma_p_in: float | None = None,
    method: str = "analytic",
    generator: Generator | None = None,
) -> Tensor:
    """Fill a hidden layer's weight, in place, from U(-c, c).

    ``c = sigma_p sqrt(3 / (M E f(z)^2))`` with ``z ~ N(0, sigma_p_in^2)``.

    Args:
        tensor: weight ``(fan_out, fan_in)``; M is fan_in.
        activation: the activation of the layer before.
        sigma_p: std that the pre-activations are to have; no share is kept for a bias.
        sigma_p_in: std of the pre-activations of the layer before; None: sigma_p.
        method: ``analytic``, ``quadrature`` or ``monte_carlo`` (see ``vi3nr.moments``).
        generator: on the CPU; None: a fresh one, seeded by the operating system.

    Returns:
        The tensor.

    Raises:
        ValueError: a tensor that is not a matrix, or a std that is not positive and finite.

    Source: VI3NR, Eq. 4.
    """
    return _fill_hidden(tensor, activation, sigma_p, sigma_p_in, method, "uniform", generator)


def vi3nr_normal_(
    tensor: Tensor,
    activation: Activation,
    sigma_p: float,
    *,
    sigma_p_in: float | None = None,
    method: str = "analytic",
    generator: Generator | None = None,
) -> Tensor:
    """Like ``vi3nr_uniform_``, from N(0, std^2) with std = sigma_p / sqrt(M E f(z)^2)."""
    return _fill_hidden(tensor, activation, sigma_p, sigma_p_in, method, "normal", generator)


def _fill_hidden(
    tensor: Tensor,
    activation: Activation,
    sigma_p: float,
    sigma_p_in: float | None,
    method: str,
    distribution: str,
    generator: Generator | None,
) -> Tensor:
    if tensor.ndim != 2 or tensor.numel() == 0:
        raise ValueError(f"tensor must be a weight (fan_out, fan_in), got shape {tuple(tensor.shape)}")
    if not (math.isfinite(sigma_p) and sigma_p > 0.0):
        raise ValueError(f"sigma_p must be positive and finite, got {sigma_p!r}")
    second = moments(activation, sigma_p if sigma_p_in is None else sigma_p_in, method=method).second_moment
    std = sigma_p / math.sqrt(tensor.shape[1] * second)
    drawn = _draw((tensor.shape[0], tensor.shape[1]), std, distribution, _own_generator(generator))
    with torch.no_grad():
        return tensor.copy_(drawn)


def initialize_(module: nn.Module, config: InitConfig, *, generator: Generator | None = None) -> nn.Module:
    """Initialise every Linear layer of a network, in place, as the config says.

    Args:
        module: an ``INR`` or any (nested) ``nn.Sequential`` of Linear layers and activations. Its Linear layers, in the
            order in which they were registered, are the config's layers.
        config: what to draw from.
        generator: on the CPU; None: a fresh one, seeded by the operating system.

    Returns:
        The module.

    Raises:
        ValueError: if the number of Linear layers or a shape differs, a layer has no bias where the config draws one, a
            module holds parameters and is not a Linear layer, or an activation is not the config's. Nothing is changed
            then.
    """
    linears = _linear_layers(module, config)
    if len(linears) != len(config.layers):
        raise ValueError(f"the module has {len(linears)} Linear layers, the config has {len(config.layers)}")
    for (name, linear), layer in zip(linears, config.layers, strict=True):
        _check_shape(name, linear, layer)
    drawn = draw_parameters(config, _own_generator(generator))
    with torch.no_grad():
        for (_, linear), (weight, bias) in zip(linears, drawn, strict=True):
            linear.weight.copy_(weight)
            if linear.bias is not None:
                linear.bias.copy_(bias)
    return module


def _linear_layers(module: nn.Module, config: InitConfig) -> list[tuple[str, nn.Linear]]:
    """The Linear layers with their names, after a look at everything else in the module."""
    expected = build_activation(config.family, config.sigma_a, **config.parameters)
    linears = []
    for name, part in module.named_modules():
        where = f"module {name!r}" if name else "the module itself"
        if isinstance(part, nn.Linear):
            linears.append((name, part))
        elif next(part.parameters(recurse=False), None) is not None:
            raise ValueError(f"{where} ({type(part).__name__}) has parameters but is not a Linear layer")
        elif isinstance(part, ActivationModule) and part.activation != expected:
            raise ValueError(f"{where} is {part.activation!r}, the config is for {expected!r}")
        elif type(part) in _TORCH_FAMILIES and build_activation(_TORCH_FAMILIES[type(part)], 1.0) != expected:
            raise ValueError(f"{where} is {type(part).__name__}, the config is for {expected!r}")
    return linears


def _check_shape(name: str, linear: nn.Linear, layer: LayerInit) -> None:
    shape = tuple(linear.weight.shape)
    if shape != (layer.fan_out, layer.fan_in):
        raise ValueError(f"Linear layer {name!r} has weight {shape}, the config has {(layer.fan_out, layer.fan_in)}")
    if linear.bias is None and layer.bias_std > 0.0:
        raise ValueError(f"Linear layer {name!r} has no bias, the config draws one with std {layer.bias_std!r}")
