"""Drawing networks from init configs, in the manner of ``torch.nn.init``.

Everything is drawn in float32 on the CPU from a generator that is passed in, so that a seed means the same network
whatever the device and dtype; the global random state is neither read nor changed.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Generator, Tensor, nn

from vi3nr.complex_moments import circular_second_moment
from vi3nr.config import InitConfig
from vi3nr.config_parts import require_count
from vi3nr.families import Activation
from vi3nr.module_layers import Declared, check_layers, linear_layers
from vi3nr.moments import moments
from vi3nr.scalars import positive_number

__all__ = ["draw_parameters", "generator_for", "initialize_", "vi3nr_normal_", "vi3nr_uniform_"]


def generator_for(seed: int) -> Generator:
    """A CPU generator with this seed."""
    return torch.Generator(device="cpu").manual_seed(seed)


def draw_parameters(config: InitConfig, generator: Generator) -> list[tuple[Tensor, Tensor]]:
    """Draw a network: weight ``(fan_out, fan_in)`` and bias ``(fan_out,)`` of each layer, float32 on the CPU.

    The draws are taken from the generator in that order; biases that are zero take none. Where the config has
    ``complex_weights`` all layers but the first are complex64 and circular: E W = E W^2 = 0, E|W|^2 = weight_std^2, the
    real and the imaginary part drawn alike, one after the other for each number.
    """
    drawn = []
    for index, layer in enumerate(config.layers):
        kind = torch.complex64 if config.complex_weights and index > 0 else torch.float32
        weight = _draw((layer.fan_out, layer.fan_in), layer.weight_std, config.distribution, kind, generator)
        bias = _draw((layer.fan_out,), layer.bias_std, config.bias_distribution, kind, generator)
        drawn.append((weight, bias))
    return drawn


def _draw(shape: tuple[int, ...], std: float, distribution: str, dtype: torch.dtype, generator: Generator) -> Tensor:
    """Numbers with E|w|^2 = std^2, float32 or complex64."""
    if dtype.is_complex:
        return torch.view_as_complex(_draw((*shape, 2), std / math.sqrt(2.0), distribution, torch.float32, generator))
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
    fan_in: int | None = None,
    method: str = "analytic",
    circular: bool | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Fill a hidden layer's weight, in place, from U(-c, c).

    ``c = sigma_p sqrt(3 / (M E f(z)^2))`` with ``z ~ N(0, sigma_p_in^2)``. A complex tensor gets it as the uniform
    distribution of real and imaginary part with the same E|W|^2, and sigma_p^2 is then E|z|^2.

    Args:
        tensor: a weight of any dtype and device. As in ``torch.nn.init`` the first axis is fan-out, M the product of
            the others: ``(fan_out, fan_in)`` of a Linear layer, ``(out, in, ...)`` of a convolution.
        activation: the activation of the layer before.
        sigma_p: std that the pre-activations are to have; no share is kept for a bias.
        sigma_p_in: std of the pre-activations of the layer before; None: sigma_p.
        fan_in: M where the tensor's axes mean something else, e.g. stacked weights ``(member, fan_out, fan_in)``.
        method: ``analytic``, ``quadrature`` or ``monte_carlo`` (see ``vi3nr.moments``).
        circular: whether the pre-activations of the layer before are complex, as behind complex weights; the moment is
            then that of ``vi3nr.complex_moments``, by quadrature whatever the method. None: where the tensor and the
            activation are complex. In a WIRE network the second layer's weight is complex but the first layer's
            pre-activations are real: say False there.
        generator: on the CPU; None: a fresh one, seeded by the operating system.

    Returns:
        The tensor.

    Raises:
        ValueError: a tensor that is empty, has no memory, or one axis and no ``fan_in``; a std that is not positive and
            finite; ``circular`` with a real activation.
        ArithmeticError: moments that cannot be computed.

    Source: VI3NR, Eq. 4.
    """
    std = _hidden_std(tensor, activation, sigma_p, sigma_p_in, fan_in, method, circular)
    return _fill(tensor, std, "uniform", generator)


def vi3nr_normal_(
    tensor: Tensor,
    activation: Activation,
    sigma_p: float,
    *,
    sigma_p_in: float | None = None,
    fan_in: int | None = None,
    method: str = "analytic",
    circular: bool | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Like ``vi3nr_uniform_``, from N(0, std^2) with std = sigma_p / sqrt(M E f(z)^2)."""
    std = _hidden_std(tensor, activation, sigma_p, sigma_p_in, fan_in, method, circular)
    return _fill(tensor, std, "normal", generator)


def _hidden_std(
    tensor: Tensor,
    activation: Activation,
    sigma_p: float,
    sigma_p_in: float | None,
    fan_in: int | None,
    method: str,
    circular: bool | None,
) -> float:
    """Eq. 4, after a look at the arguments."""
    if tensor.numel() == 0 or (tensor.ndim < 2 and fan_in is None):
        raise ValueError(f"tensor must be a weight (fan_out, fan_in, ...), got shape {tuple(tensor.shape)}")
    if not (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"tensor must hold floating-point or complex numbers, got {tensor.dtype}")
    if tensor.device == torch.device("meta"):
        raise ValueError("tensor is on the meta device and has no memory; call to_empty first")
    fan_in = None if fan_in is None else require_count("fan_in", fan_in)
    sigma_p = positive_number("sigma_p", sigma_p)
    before = sigma_p if sigma_p_in is None else positive_number("sigma_p_in", sigma_p_in)
    second = moments(activation, before, method=method).second_moment
    if (tensor.is_complex() and activation.complex) if circular is None else circular:
        second = circular_second_moment(activation, before)
    return sigma_p / math.sqrt((fan_in or math.prod(tensor.shape[1:])) * second)


def _fill(tensor: Tensor, std: float, distribution: str, generator: Generator | None) -> Tensor:
    kind = torch.complex64 if tensor.is_complex() else torch.float32
    drawn = _draw(tuple(tensor.shape), std, distribution, kind, _own_generator(generator))
    with torch.no_grad():
        return tensor.copy_(drawn)


def initialize_(
    module: nn.Module,
    config: InitConfig,
    *,
    activations: Declared | None = None,
    leave: Collection[type[nn.Module] | str] = (),
    generator: Generator | None = None,
) -> nn.Module:
    """Initialise every Linear layer of a network, in place, as the config says.

    Args:
        module: an ``INR``, or any module whose Linear layers, however deep inside, are the config's layers in the order
            in which they were registered; of any floating-point dtype, on any device, compiled or not.
        config: what to draw from. Its layers belong to pre-activations z with the activation f(z), z the Linear layer's
            output. So a layer that computes ``sin(omega * linear(x))`` takes the config's weights as they are if its
            omega is the config's (``1 / sigma_a``).
        activations: for classes of the module's own that apply an activation: how to read it off, for example
            ``{SineLayer: lambda layer: activation("sine", omega=layer.omega_0)}``. It must be the config's. What is not
            declared cannot be seen and is not checked, nor whether an activation follows each layer but the last.
        leave: classes, or names as in ``named_modules``, that are to stay as they are, with all that they contain; and
            names as in ``named_parameters`` of single parameters that are no Linear layer's, such as a learnable scale.
        generator: on the CPU; None: a fresh one, seeded by the operating system.

    Returns:
        The module.

    Raises:
        ValueError: naming the part that could not be placed: another number of Linear layers, another shape, a layer
            without bias where the config draws one, real weights for complex ones; a weight or bias that is lazy, on
            the meta device, expanded, computed from others or in another layer's memory; another activation or encoding
            than the config's; a parameter or a module of ``torch.nn`` that is no Linear layer's, and dropout. Nothing
            is changed then.
    """
    if isinstance(leave, str | type):
        raise ValueError(f"leave must be a collection of names and classes, got {leave!r}; put it in a list")
    linears = linear_layers(module, config, activations or {}, leave)
    check_layers(linears, config)
    drawn = draw_parameters(config, _own_generator(generator))
    with torch.no_grad():
        for (_, linear), (weight, bias) in zip(linears, drawn, strict=True):
            linear.weight.copy_(weight)
            if linear.bias is not None:
                linear.bias.copy_(bias)
    return module
