"""Variances of pre-activations and gradients as they are in real networks on a real signal, beside the prediction.

The theory is about wide layers and normal pre-activations. A first layer has one to three inputs, so its
pre-activations differ from point to point, and the layer after it inherits that; a narrow layer adds chance of its own.
``diagnose`` measures both over several networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn

from vi3nr.config import InitConfig
from vi3nr.encoding import encode
from vi3nr.initialisers import generator_for
from vi3nr.networks import INR
from vi3nr.plots import Series, line_chart
from vi3nr.propagation import LayerForecast, forecast
from vi3nr.signals import Signal

__all__ = ["Diagnosis", "LayerDiagnosis", "Measured", "diagnose", "layer_variances"]

GRADIENTS = ("normal", "mse")
MOST_POINTS = 4096  # of the signal that a diagnosis looks at, evenly spread, unless told otherwise


@dataclass(frozen=True)
class Measured:
    """A quantity over several networks: arithmetic mean, standard deviation between networks, and how many."""

    mean: float
    spread: float
    networks: int

    @property
    def standard_error(self) -> float:
        """Of the mean; NaN for a single network."""
        return self.spread / math.sqrt(self.networks)


@dataclass(frozen=True)
class LayerDiagnosis:
    """One layer. ``theory`` is the usual prediction, ``by_point`` the one that knows the coordinates (see
    ``vi3nr.propagation.forecast``); gradients are in units of the output's variance.
    """

    theory: LayerForecast
    by_point: LayerForecast
    preactivation: Measured
    gradient: Measured


@dataclass(frozen=True)
class Diagnosis:
    """All layers of a config on a signal."""

    config: InitConfig
    layers: tuple[LayerDiagnosis, ...]

    def table(self) -> str:
        """As text: each measured value with the spread between networks in percent, and over the theory's."""
        columns = f"{'theory':>9}{'by point':>10}{'measured':>10}{'+-':>6}{'ratio':>7}  "
        lines = [
            f"{'':5}{'':>12}  {'pre-activations (variance)':<44}{'gradients (variance, output 1)'}",
            f"{'layer':5}{'in x out':>12}  " + columns * 2,
        ]
        for layer in self.layers:
            told = layer.theory
            row = f"{told.index:<5}{f'{told.fan_in} x {told.fan_out}':>12}  "
            row += _cells(told.preactivation_variance, layer.by_point.preactivation_variance, layer.preactivation)
            row += _cells(told.gradient_variance, layer.by_point.gradient_variance, layer.gradient)
            lines.append(row.rstrip())
        return "\n".join(line.rstrip() for line in lines)

    def plot(self, quantity: str = "preactivation") -> str:
        """An SVG: measured, with the spread between networks, beside both predictions, layer by layer.

        Raises:
            ValueError: a quantity other than ``preactivation`` and ``gradient``.
        """
        if quantity not in ("preactivation", "gradient"):
            raise ValueError(f"quantity must be 'preactivation' or 'gradient', got {quantity!r}")
        field = f"{quantity}_variance"
        found = [layer.preactivation if quantity == "preactivation" else layer.gradient for layer in self.layers]
        index = [float(layer.theory.index) for layer in self.layers]
        low = [max(one.mean - one.spread, one.mean / 10.0) for one in found]
        high = [one.mean + one.spread for one in found]
        name = f"{self.config.family}, sigma_a {self.config.sigma_a:.4g}, rule {self.config.rule}"
        lines = [
            Series(
                f"measured: mean and standard deviation of {found[0].networks} networks",
                index,
                [one.mean for one in found],
                low,
                high,
            ),
            Series("theory", index, [getattr(one.theory, field) for one in self.layers], dashed=True),
            Series("theory, point by point", index, [getattr(one.by_point, field) for one in self.layers], dashed=True),
        ]
        label = "variance of pre-activations" if quantity == "preactivation" else "variance of gradients, output 1"
        return line_chart(lines, title=name, x_label="layer", y_label=label, log_y=True, x_ticks=index)


def diagnose(
    config: InitConfig,
    signal: Signal,
    *,
    networks: int = 8,
    gradient: str = "normal",
    points: int = MOST_POINTS,
    first_seed: int = 0,
) -> Diagnosis:
    """Draw several networks and measure every layer's variances on the signal.

    Args:
        config: what to draw from.
        signal: its coordinates enter the networks; its values are used by ``gradient="mse"``.
        networks: how many, with the seeds first_seed, first_seed + 1, ...
        gradient: at the output: ``normal`` sends back independent N(0, 1) numbers, ``mse`` the mean squared error's.
        points: at most so many points, evenly spread over the signal's order.
        first_seed: see ``networks``; the same seed gives the network of ``INR.from_config``.

    Returns:
        Measured and predicted variances of every layer, with ``table()`` and ``plot()``.

    Raises:
        ValueError: fewer than one network or point, an unknown gradient, or widths that do not fit the signal.
    """
    if networks < 1 or points < 1:
        raise ValueError(f"networks and points must be at least 1, got {networks!r} and {points!r}")
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, got {gradient!r}")
    ends = (signal.coordinates.shape[1], signal.values.shape[1])
    if (config.widths[0], config.widths[-1]) != ends:
        raise ValueError(f"the config's widths are {config.widths}, the signal has {ends[0]} inputs, {ends[1]} outputs")
    chosen = np.linspace(0, len(signal.values) - 1, min(points, len(signal.values))).round().astype(np.int64)
    coordinates = signal.coordinates[chosen]
    x, targets = torch.from_numpy(coordinates), torch.from_numpy(signal.values[chosen])
    found = []  # (network, quantity, layer)
    for seed in range(first_seed, first_seed + networks):
        generator = None if gradient == "mse" else generator_for(seed + 1_000_003)
        found.append(layer_variances(INR.from_config(config, seed=seed), x, targets, generator=generator))
    values = np.array(found)
    mean = values.mean(axis=0)
    spread = values.std(axis=0, ddof=1) if networks > 1 else np.full_like(mean, math.nan)
    entering = coordinates if config.encoding is None else encode(config.encoding, coordinates)
    second = float(np.mean(np.square(entering, dtype=np.float64)))
    theory, by_point = forecast(config, input_second_moment=second), forecast(config, coordinates=coordinates)
    return Diagnosis(
        config,
        tuple(
            LayerDiagnosis(
                theory[i],
                by_point[i],
                Measured(float(mean[0, i]), float(spread[0, i]), networks),
                Measured(float(mean[1, i]), float(spread[1, i]), networks),
            )
            for i in range(len(config.layers))
        ),
    )


def layer_variances(
    network: nn.Module, coordinates: Tensor, targets: Tensor, *, generator: Generator | None = None
) -> tuple[list[float], list[float]]:
    """One network's mean square of pre-activations, and of gradients over the output's, for each Linear layer.

    Args:
        network: any module whose Linear layers run one after the other, the last one giving the output.
        coordinates: ``(point, in_dim)``.
        targets: ``(point, out_dim)``.
        generator: on the CPU, for N(0, 1) gradients at the output; None: the gradient of the mean squared error.

    Raises:
        ValueError: if no Linear layer ran, or the targets do not have the output's shape.
    """
    caught: list[Tensor] = []  # (point, unit) of each layer
    linears = [part for part in network.modules() if isinstance(part, nn.Linear)]
    hooks = [part.register_forward_hook(lambda _module, _args, output: caught.append(output)) for part in linears]
    try:
        with torch.enable_grad():
            output = network(coordinates)  # (point, out); of a complex network the real part
    finally:
        for hook in hooks:
            hook.remove()
    if not caught:
        raise ValueError(f"no Linear layer ran in {type(network).__name__}")
    if output.shape != targets.shape:
        raise ValueError(f"targets must have the output's shape {tuple(output.shape)}, got {tuple(targets.shape)}")
    if generator is None:
        sent = (output - targets).detach() * (2.0 / targets.numel())
    else:
        sent = torch.empty(targets.shape).normal_(generator=generator).to(output)
    gradients = torch.autograd.grad(output, caught, sent)
    unit = _mean_square(sent)
    return [_mean_square(z) for z in caught], [_mean_square(g) / unit for g in gradients]


def _mean_square(values: Tensor) -> float:
    """Of the modulus, summed in float64."""
    return float(values.detach().abs().double().square().mean())


def _cells(theory: float, by_point: float, found: Measured) -> str:
    relative = "" if found.networks < 2 else f"{found.spread / found.mean:.0%}" if found.mean > 0.0 else "-"
    ratio = found.mean / theory if theory > 0.0 else math.nan
    return f"{theory:>9.3g}{by_point:>10.3g}{found.mean:>10.3g}{relative:>6}{ratio:>7.2f}  "
