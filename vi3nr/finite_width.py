"""What finite width does to the mean variance: by how much layers of M units drift from the wide layers' prediction.

Given layer l, the units of layer l + 1 are independent with the common variance ``g' = C / M sum f(z_j)^2 + Var b``,
``C = M Var W``. So the variance g at one point of the coordinates is a Markov chain, with ``F(g) = E f(z)^2``:

    E g' = C F(g) + Var b,        Var g' = C^2 (E f^4 - F^2) / M

Its mean leaves the infinitely wide network's by ``C F'' Var g / 2`` a layer: below a percent at width 256 for most
families, but not where ``d log F / d log g`` exceeds 1 and layers amplify every fluctuation (GELU and SiLU at small
rho). No torch.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from vi3nr.activations import activation as build_activation
from vi3nr.complex_moments import circular_expectation
from vi3nr.config import InitConfig
from vi3nr.families import Activation
from vi3nr.propagation import forecast
from vi3nr.quadrature import normal_expectation

__all__ = ["finite_width_drift"]


def finite_width_drift(config: InitConfig, *, input_second_moment: float | None = None) -> tuple[float, ...]:
    """Relative deviation, layer by layer, of the networks' mean E z^2 from ``forecast``, because widths are finite.

    The chain above, to second order in the fluctuations of g. After ten layers of width 256 at rho 0.5, 2 and 5
    networks of every family deviate by that, within their sampling error; where it is more than 1 % (GELU and SiLU at
    small rho, WIRE at 5) by that to half as much again (``benchmarks.narrow``). Where few units answer at all (a
    Gaussian at rho 20, width 64) it is far too small. The first two layers have none: what enters is one point, and the
    mean of f^2 over units is the wide layers'.

    Args:
        config: any init config.
        input_second_moment: as for ``forecast``; that of the point of the coordinates that is followed.

    Returns:
        One number a layer, 0.01 for one percent above.

    Raises:
        ValueError: an input_second_moment that is not positive and finite.
        ArithmeticError: layers so narrow, or variances so small or large, that the expansion or an integral fails.
    """
    phi = build_activation(config.family, config.sigma_a, **config.parameters)
    wide = [layer.preactivation_variance for layer in forecast(config, input_second_moment=input_second_moment)]
    mean, variance, found = wide[0], 0.0, [0.0]
    for index, layer in enumerate(config.layers[1:], start=1):
        if not (math.isfinite(mean) and mean > 0.0):
            raise ArithmeticError(
                f"the drift cannot go on behind layer {index - 1}, whose variance it puts at {mean!r}"
            )
        square, slope, bend, fourth = _derivatives(phi, mean, config.complex_weights and index > 1)
        scale = layer.fan_in * layer.weight_std**2
        mean = scale * (square + 0.5 * bend * variance) + layer.bias_std**2
        variance = scale**2 * (slope**2 * variance + (fourth - square**2) / layer.fan_in)
        found.append(mean / wide[index] - 1.0 if wide[index] > 0.0 else 0.0)
    return tuple(found)


def _derivatives(phi: Activation, g: float, circular: bool) -> tuple[float, float, float, float]:
    """F, F', F'' and E|f|^4 under variance g, F = E|f|^2.

    The derivatives are the density's, so kinks do no harm: with ``x = |z|^2 / g`` and ``h = |f|^2``,
    ``F' = E h (x - 1) / (2 g)`` and ``F'' = E h (x^2 - 6 x + 3) / (4 g^2)`` for real z, ``E h (x - 1) / g`` and
    ``E h (x^2 - 4 x + 2) / g^2`` for circular complex z.
    """

    def row(k: int, z: np.ndarray) -> np.ndarray:
        return np.asarray(rows(z)[k])

    def rows(z: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):  # what overflows is not finite, and told
            h, x = np.abs(phi.value(z, np)) ** 2, np.abs(z) ** 2 / g
            return np.stack([h, h * x, h * x * x, h * h])  # (function, node)

    std = math.sqrt(g)
    if circular:
        one, x, xx, fourth = (circular_expectation(phi, std, partial(row, k)) for k in range(4))
        return one, (x - one) / g, (xx - 4.0 * x + 2.0 * one) / g**2, fourth
    found = normal_expectation(rows, std, kinks=phi.kinks, feature=phi.unit_feature * phi.sigma_a)
    if not found.converged:
        raise ArithmeticError(f"the quadrature for {phi!r} at sigma_p {std!r} did not reach its tolerance")
    one, x, xx, fourth = (float(value) for value in found.values)
    return one, (x - one) / (2.0 * g), (xx - 6.0 * x + 3.0 * one) / (4.0 * g**2), fourth
