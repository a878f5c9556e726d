"""What any initialisation does to a network: predicted variances of pre-activations and gradients, layer by layer.

Forward, ``z_i`` the pre-activation of layer i and ``M_i`` its fan-in:

    Var z_0 = M_0 Var W_0 E x^2 + Var b_0
    Var z_i = M_i Var W_i E f(z_{i-1})^2 + Var b_i,        z_{i-1} ~ N(0, Var z_{i-1})

Backward, for a gradient of variance 1 at the output, ``M_{i+1}`` the fan-out of layer i:

    Var g_{i-1} = M_{i+1} Var W_i E f'(z_{i-1})^2 Var g_i

Both hold for wide layers; ``vi3nr.diagnostics`` measures how far a real network is from them.

In a network with complex weights (WIRE) a variance is E|z|^2, the gradient is PyTorch's, ``dL/dRe z + i dL/dIm z``, of
variance E|g|^2, and in place of ``E f'^2`` stands ``E(|df/dz|^2 + |df/dconj(z)|^2)``. The first layer's z_0 is real, so
only the real part of its gradient is one: half of ``E|f'|^2``. At the output, whose value is the real part, the
gradient is real and its variance 1 as elsewhere; circular weights make the next one circular. No torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy  # its parts are loaded when they are first used

from vi3nr.activations import activation as build_activation
from vi3nr.complex_moments import circular_second_moment, circular_slope_second_moment
from vi3nr.config import InitConfig
from vi3nr.encoding import encode
from vi3nr.families import Activation, require_activation
from vi3nr.moments import MomentTable, moments
from vi3nr.scalars import finite_number, positive_number

__all__ = ["LayerForecast", "fixed_point_variance", "forecast", "per_layer_gradient_factor"]

UNIFORM_CUBE = 1.0 / 3.0  # E x^2 of coordinates uniform on [-1, 1]
RHO_GRID = np.geomspace(1e-4, 1e4, 65)  # where a fixed point is looked for, in units of sigma_a
RADII = 32  # quantiles that stand for the points' distances from the origin


@dataclass(frozen=True)
class LayerForecast:
    """One layer's prediction.

    ``preactivation_variance`` is E z^2 over units, points and draws of the weights (the weights' mean is zero).
    ``gradient_variance`` is that of the loss's gradient with respect to z, in units of the output's.
    ``gradient_factor`` is the layer's own: by how much the gradient's variance grows on the way from its output z_i to
    z_{i-1}; ideal 1, None for the first layer.
    """

    index: int
    fan_in: int
    fan_out: int
    preactivation_variance: float
    gradient_variance: float
    gradient_factor: float | None


def forecast(
    config: InitConfig, *, input_second_moment: float | None = None, coordinates: np.ndarray | None = None
) -> tuple[LayerForecast, ...]:
    """Predicted variances of every layer of a network drawn from ``config``, whatever rule made it.

    Args:
        config: any init config, the usual rules' included.
        input_second_moment: E x^2 of what enters the first layer, mean over points and axes. None: the config's own,
            and where it has none that of coordinates uniform on [-1, 1] (1/3, or their encoding's).
        coordinates: ``(points, in_dim)``, before any encoding. Given, every point has a variance of its own and the
            result is their mean. That is what a network with few inputs does: a point far from the origin has larger
            pre-activations in the first layer, and the layers after it inherit that.

    Returns:
        One forecast a layer, from the first to the output.

    Raises:
        ValueError: both inputs given, a second moment that is not positive and finite, coordinates that do not fit.
        ArithmeticError: variances beyond the range of float64.
    """
    phi = build_activation(config.family, config.sigma_a, **config.parameters)
    entering, weights = _entering(config, input_second_moment, coordinates)
    variances = [_forward(config, 0, entering)]  # each (radius,)
    for index in range(1, len(config.layers)):
        circular = config.complex_weights and index > 1  # only the first layer's pre-activations are real
        variances.append(_forward(config, index, _second_moments(phi, variances[-1], circular)))
    gradients = [np.ones_like(entering)]
    for index in range(len(config.layers) - 1, 0, -1):
        layer = config.layers[index]
        slopes = _slopes(phi, variances[index - 1], config.complex_weights and index > 1)
        if config.complex_weights and index == 1:
            slopes = 0.5 * slopes  # of a circular gradient, the real part
        gradients.insert(0, layer.fan_out * layer.weight_std**2 * slopes * gradients[0])
    forward = [float(values @ weights) for values in variances]
    backward = [float(values @ weights) for values in gradients]
    factors = [None, *(_ratio(before, after) for before, after in pairwise(backward))]
    return tuple(
        LayerForecast(index, layer.fan_in, layer.fan_out, forward[index], backward[index], factors[index])
        for index, layer in enumerate(config.layers)
    )


def per_layer_gradient_factor(
    activation: Activation, gain_squared: float, *, bias_variance: float = 0.0, width_ratio: float = 1.0
) -> float | None:
    """By how much each layer of a deep network multiplies the gradient's variance on the way back; ideal 1.

    Args:
        activation: f, real.
        gain_squared: M Var W, the hidden weights' variance times the fan-in: 1/3 for PyTorch's default, 1 for Xavier's
            rule with equal widths, 2 for Kaiming's, M for N(0, 1), 2 / omega^2 for SIREN's code.
        bias_variance: Var b of the hidden layers.
        width_ratio: fan-out over fan-in.

    Returns:
        ``gain_squared width_ratio E f'(z)^2`` under the variance that the forward recursion settles at; None where it
        settles nowhere (see ``fixed_point_variance``).

    Raises:
        ValueError: a complex activation, a gain_squared or a ratio that is not positive and finite, a bias_variance
            that is negative or not finite.
        ArithmeticError: moments that cannot be computed.
    """
    gain_squared = positive_number("gain_squared", gain_squared)
    width_ratio = positive_number("width_ratio", width_ratio)
    variance = fixed_point_variance(activation, gain_squared, bias_variance=bias_variance)
    if variance is None:
        return None
    return gain_squared * width_ratio * moments(activation, math.sqrt(variance)).slope_second_moment


def fixed_point_variance(activation: Activation, gain_squared: float, *, bias_variance: float = 0.0) -> float | None:
    """The pre-activations' variance v that layers of one kind keep: ``v = gain_squared E f(z)^2 + bias_variance``.

    Where several do, the largest one that the recursion is drawn to. None where none does between 1e-4 and 1e4
    sigma_a: the variance dies out, explodes, or (ReLU at gain^2 = 2) every value is kept. Where E f^2 cannot be
    computed, as that of exp(x) under a large std, none is looked for.

    Args:
        activation: f, real.
        gain_squared: M Var W.
        bias_variance: Var b.

    Raises:
        ValueError: a complex activation, whose layers have other moments than real ones (``forecast`` knows them); a
            gain_squared that is not positive and finite, or a bias_variance that is negative or not finite.
        ArithmeticError: if E f^2 cannot be computed anywhere in that range.
    """
    require_activation(activation)
    if activation.complex:
        raise ValueError(f"{activation!r} is complex: make a config and use forecast")
    gain_squared, bias = positive_number("gain_squared", gain_squared), finite_number(bias_variance)
    if bias is None or bias < 0.0:
        raise ValueError(f"bias_variance must be finite and not negative, got {bias_variance!r}")

    table = MomentTable(activation, float(RHO_GRID[0]), float(RHO_GRID[-1]))

    def growth(log_rho: float, second: float | None = None) -> float:
        """Log of the variance after a layer over the one before; NaN where it cannot be computed."""
        sigma_p = math.exp(log_rho) * activation.sigma_a
        after = gain_squared * (_second_moment(activation, sigma_p, table) if second is None else second) + bias
        return math.log(after) - 2.0 * math.log(sigma_p) if 0.0 < after < math.inf else math.nan

    grid = [float(x) for x in np.log(RHO_GRID)]
    heights = [growth(x, float(second)) for x, second in zip(grid, table.at(RHO_GRID.tolist())[0], strict=True)]
    if all(map(math.isnan, heights)):
        raise ArithmeticError(f"E f^2 of {activation!r} cannot be computed for any rho from 1e-4 to 1e4")
    for (a, b), (at_a, at_b) in reversed(list(zip(pairwise(grid), pairwise(heights), strict=True))):
        if at_a > 0.0 >= at_b and at_a - at_b > 1e-9:  # grows below and shrinks above: the recursion is drawn to it
            return (math.exp(scipy.optimize.brentq(growth, a, b, xtol=1e-14, rtol=1e-14)) * activation.sigma_a) ** 2
    return None


def _second_moment(activation: Activation, sigma_p: float, table: MomentTable) -> float:
    """E f^2 as exactly as can be: 0 where it underflows, NaN where it cannot be computed."""
    try:
        return moments(activation, sigma_p).second_moment
    except ArithmeticError:
        return float(table.at([sigma_p / activation.sigma_a])[0, 0])


def _entering(
    config: InitConfig, input_second_moment: float | None, coordinates: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Second moment of what enters the first layer, ``(radius,)``, and weights: one number, or the points' quantiles.

    Quantiles are dense where the radius is small, for a narrow activation answers there most.
    """
    if coordinates is None:
        second = config.input_second_moment if input_second_moment is None else input_second_moment
        if second is None:
            second = UNIFORM_CUBE if config.encoding is None else config.encoding.second_moment(UNIFORM_CUBE)
        return np.array([positive_number("input_second_moment", second)]), np.ones(1)
    if input_second_moment is not None:
        raise ValueError(f"give input_second_moment or coordinates, not both; got {input_second_moment!r} and an array")
    if coordinates.ndim != 2 or coordinates.shape[1] != config.widths[0] or len(coordinates) == 0:
        raise ValueError(f"coordinates must have shape (points, {config.widths[0]}), got {coordinates.shape}")
    features = coordinates if config.encoding is None else encode(config.encoding, coordinates)
    squares = np.sort(np.square(features, dtype=np.float64).mean(axis=1))  # (point,)
    if len(squares) <= RADII or squares[-1] == 0.0:
        return squares, np.full(len(squares), 1.0 / len(squares))
    places = (np.arange(RADII) + 0.5) / RADII
    radii, weights = np.quantile(squares, places**2), places / places.sum()
    return radii * (squares.mean() / (radii @ weights)), weights


def _forward(config: InitConfig, index: int, second: np.ndarray) -> np.ndarray:
    layer = config.layers[index]
    return layer.fan_in * layer.weight_std**2 * second + layer.bias_std**2


def _second_moments(activation: Activation, variances: np.ndarray, circular: bool) -> np.ndarray:
    """E f^2 under each variance, of complex pre-activations E|f|^2; under none, what f is at 0."""

    def at(variance: float) -> float:
        if variance <= 0.0:
            return float(abs(activation.value(np.zeros(1), np)[0]) ** 2)
        std = math.sqrt(variance)
        return circular_second_moment(activation, std) if circular else moments(activation, std).second_moment

    return np.array([at(float(variance)) for variance in variances])


def _slopes(activation: Activation, variances: np.ndarray, circular: bool) -> np.ndarray:
    """E f'^2 under each variance, E|f'|^2 of complex f, of both derivatives if z is complex; under none, at 0."""

    def at(variance: float) -> float:
        if variance <= 0.0:  # WIRE's derivative by conj(z) is 0 there
            return float(abs(activation.derivative(np.zeros(1), np)[0]) ** 2)
        std = math.sqrt(variance)
        if circular:
            return circular_slope_second_moment(activation, std)
        return moments(activation, std).slope_second_moment

    return np.array([at(float(variance)) for variance in variances])


def _ratio(before: float, after: float) -> float:
    return before / after if after > 0.0 else math.nan
