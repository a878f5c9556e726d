"""VI3NR as a profile: Eq. 4 layer by layer, for any std that each layer's pre-activations are to have.

``Var W_i = (sigma_p,i^2 - Var b_i) / (M_i E f(z_{i-1})^2)`` with ``z_{i-1} ~ N(0, sigma_p,i-1^2)``; in the first layer
the measured second moment of the coordinates stands for ``E f^2`` (supplement, 6.2). No torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vi3nr.config import DISTRIBUTIONS, BiasRule, InitConfig, LayerInit, Stability
from vi3nr.families import Activation
from vi3nr.moments import Moments, moments
from vi3nr.theory import stable_sigma_p

__all__ = ["vi3nr_config"]

UNIFORM_CUBE = 1.0 / 3.0  # E x^2 of coordinates uniform on [-1, 1]
SLACK = {"closed_form": 1e-9, "quadrature": 1e-9, "monte_carlo": 1e-2}  # cond may fall short of 1 by its own error


@dataclass(frozen=True)
class _Layer:
    """One layer's task. ``signal`` = M E x^2, what the weights' variance is multiplied by on the way to ``z``."""

    index: int
    fan_in: int
    fan_out: int
    sigma_p: float
    signal: float
    incoming: Moments | None  # of the activation before the layer; None for the first layer


def vi3nr_config(
    activation: Activation,
    widths: Sequence[int],
    *,
    sigma_p: float | None = None,
    sigma_p_first: float | None = None,
    input_second_moment: float = UNIFORM_CUBE,
    bias: BiasRule | None = None,
    bias_first: BiasRule | None = None,
    output: str = "same_sigma_p",
    distribution: str = "uniform",
    method: str = "analytic",
    generator: np.random.Generator | None = None,
) -> InitConfig:
    """The VI3NR init config of a network.

    Args:
        activation: the activation after each layer but the last.
        widths: from the coordinates to the values, e.g. ``(2, 64, 64, 64, 3)``; at least three.
        sigma_p: std of the pre-activations of the hidden layers and the output. None: the theory's own
            (``vi3nr.theory.stable_sigma_p``), and where it has no root ``sigma_a``.
        sigma_p_first: std of the first layer's pre-activations, biases included. None: sigma_p.
        input_second_moment: E x^2 of the coordinates, mean over points and axes (``Signal.input_second_moment``).
        bias: the hidden layers' rule. None: zero, but the stability rule where sigma_p is None, the theory has no root
            and the rule can be met.
        bias_first: the first layer's rule, any but ``stability``. None: zero.
        output: the output layer's rule: ``same_sigma_p`` (and zero bias).
        distribution: of weights and biases, ``uniform`` or ``normal``; torch's default biases stay uniform.
        method: of the moments, see ``vi3nr.moments``; the config records what was used.
        generator: for Monte Carlo moments; None: a fresh one with seed 0.

    Raises:
        ValueError: an argument out of its range, or a bias rule that a layer cannot meet; the sentence names which.
    """
    _check(widths, sigma_p, sigma_p_first, input_second_moment, output, distribution)
    stability = stable_sigma_p(activation)
    hidden = sigma_p or stability.sigma_p or activation.sigma_a
    first = sigma_p_first or hidden
    after_first = moments(activation, first, method=method, generator=generator)
    after_hidden = after_first if first == hidden else moments(activation, hidden, method=method, generator=generator)
    layers = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        incoming = None if index == 0 else after_first if index == 1 else after_hidden
        second = input_second_moment if incoming is None else incoming.second_moment
        layers.append(_Layer(index, fan_in, fan_out, hidden if index else first, fan_in * second, incoming))
    rule = bias or _default_rule(sigma_p, stability, layers[1:-1])
    rule_first = bias_first or BiasRule()
    of_biases = "uniform" if "torch_default" in (rule.rule, rule_first.rule) else distribution
    rules = [rule_first, *([rule] * (len(layers) - 2)), BiasRule()]
    return InitConfig(
        family=activation.family,
        sigma_a=activation.sigma_a,
        parameters=activation.parameters,
        layers=tuple(_solve(*task, distribution, of_biases) for task in zip(layers, rules, strict=True)),
        rule="vi3nr",
        sigma_p=hidden,
        sigma_p_first=first,
        method=_weakest(after_first, after_hidden),
        bias=rule,
        bias_first=rule_first,
        output=output,
        distribution=distribution,
        bias_distribution=of_biases,
        input_second_moment=input_second_moment,
        stability=stability,
    )


def _check(
    widths: Sequence[int],
    sigma_p: float | None,
    sigma_p_first: float | None,
    input_second_moment: float,
    output: str,
    distribution: str,
) -> None:
    if len(widths) < 3 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in widths):
        raise ValueError(f"widths must be at least three positive integers, got {tuple(widths)!r}")
    for name, value in (
        ("sigma_p", sigma_p),
        ("sigma_p_first", sigma_p_first),
        ("input_second_moment", input_second_moment),
    ):
        if value is not None and not (math.isfinite(value) and value > 0.0):
            raise ValueError(f"{name} must be positive and finite, got {value!r}")
    if output != "same_sigma_p":
        raise ValueError(f"output must be 'same_sigma_p', got {output!r}")
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution must be one of {', '.join(DISTRIBUTIONS)}, got {distribution!r}")


def _default_rule(sigma_p: float | None, stability: Stability, hidden: Sequence[_Layer]) -> BiasRule:
    """Without a root there is no stable sigma_p unless biases make room, so they do where they can."""
    if sigma_p is None and stability.sigma_p is None and all(_condition(layer) >= 1.0 for layer in hidden):
        return BiasRule("stability")
    return BiasRule()


def _condition(layer: _Layer) -> float:
    """The factor on the gradient's variance of this layer without bias; see ``vi3nr.theory.condition``."""
    if layer.incoming is None:
        raise ValueError("bias_first cannot be 'stability': the first layer has no activation before it")
    ratio = layer.fan_out / layer.fan_in
    return layer.sigma_p**2 * ratio * layer.incoming.slope_second_moment / layer.incoming.second_moment


def _solve(layer: _Layer, rule: BiasRule, distribution: str, of_biases: str) -> LayerInit:
    """Biases take their share of sigma_p^2 by rule, the weights the rest."""
    bias = _bias_variance(layer, rule)
    weight_std = math.sqrt((layer.sigma_p**2 - bias) / layer.signal)
    bias_std = math.sqrt(bias)
    return LayerInit(
        fan_in=layer.fan_in,
        fan_out=layer.fan_out,
        weight_std=weight_std,
        weight_bound=math.sqrt(3.0) * weight_std if distribution == "uniform" else None,
        bias_std=bias_std,
        bias_bound=math.sqrt(3.0) * bias_std if of_biases == "uniform" else None,
        sigma_p=layer.sigma_p,
    )


def _bias_variance(layer: _Layer, rule: BiasRule) -> float:
    total = layer.sigma_p**2
    if rule.rule == "zero":
        return 0.0
    if rule.rule == "share" and rule.share is not None:
        return rule.share * total
    if rule.rule == "like_weights":
        return total / (layer.signal + 1.0)  # sigma_p^2 = Var W (M E x^2 + 1)
    if rule.rule == "torch_default":
        variance = 1.0 / (3.0 * layer.fan_in)
        if variance >= total:
            raise ValueError(
                f"the bias rule 'torch_default' cannot be met in layer {layer.index}: its biases alone have std "
                f"{math.sqrt(variance):.4g}, the pre-activations are to have sigma_p {layer.sigma_p:.4g}"
            )
        return variance
    cond = _condition(layer)
    method = layer.incoming.methods[2] if layer.incoming else "closed_form"
    if cond < 1.0 - SLACK[method]:
        raise ValueError(
            f"the bias rule 'stability' cannot be met in layer {layer.index}: it needs cond >= 1, which is {cond:.4g} "
            f"at sigma_p {layer.sigma_p:.4g}"
        )
    return max(0.0, total * (1.0 - 1.0 / cond))


def _weakest(*used: Moments) -> str:
    """How the second moments were computed; if not all in one way, the way that is not a closed form."""
    methods = {found.methods[1] for found in used}
    return "closed_form" if methods == {"closed_form"} else (methods - {"closed_form"}).pop()
