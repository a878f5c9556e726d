"""One layer of the profile: its biases take their share of ``sigma_p^2`` by rule, and its weights get the rest.

``sigma_p^2 = Var W * signal + Var b`` with ``signal = M E x^2``, x what enters the layer: see ``vi3nr.profile``.
No torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vi3nr.config import BiasRule, LayerInit, Stability
from vi3nr.moments import Moments

__all__ = ["Drawn", "Layer", "default_rule", "output_layer", "solve"]

SLACK = {"closed_form": 1e-9, "quadrature": 1e-9, "monte_carlo": 1e-2}  # cond may fall short of 1 by its own error


@dataclass(frozen=True)
class Layer:
    """One layer's task. ``signal`` = M E x^2, what the weights' variance is multiplied by on the way to ``z``.

    ``parts`` is 2 where weights are complex, else 1: a variance of such a weight is that of its modulus.
    """

    index: int
    fan_in: int
    fan_out: int
    sigma_p: float
    signal: float
    incoming: Moments | None  # of the activation before the layer; None for the first layer
    parts: int = 1


@dataclass(frozen=True)
class Drawn:
    """The distributions, ``uniform`` or ``normal``, of all weights and of all biases."""

    weights: str
    biases: str


def default_rule(sigma_p: float | None, stability: Stability | None, hidden: Sequence[Layer]) -> BiasRule:
    """The hidden layers' bias rule where none is given.

    Without a root there is no stable sigma_p unless biases make room, so they do where they can.
    """
    if sigma_p is None and stability is not None and stability.sigma_p is None and _has_room(hidden):
        return BiasRule("stability")
    return BiasRule()


def solve(layer: Layer, rule: BiasRule, drawn: Drawn) -> LayerInit:
    """The layer's stds: ``Var b`` by rule, ``Var W = (sigma_p^2 - Var b) / signal``.

    Raises:
        ValueError: a rule that the layer cannot meet; the sentence names the layer.
    """
    bias = _bias_variance(layer, rule)
    weight_std = math.sqrt((layer.sigma_p**2 - bias) / layer.signal)
    return _layer_init(layer, weight_std, math.sqrt(bias), layer.sigma_p, drawn)


def output_layer(layer: Layer, output: str, sigma_p_output: float | None, drawn: Drawn) -> LayerInit:
    """The last layer, by its own rule: see ``output`` of ``vi3nr.vi3nr_config``."""
    if output == "zero":
        return _layer_init(layer, 0.0, 0.0, 0.0, drawn)
    if output == "torch_default":
        std = math.sqrt(layer.parts / (3.0 * layer.fan_in))
        return _layer_init(layer, std, std, None, drawn)
    return solve(replace(layer, sigma_p=sigma_p_output or layer.sigma_p), BiasRule(), drawn)


def _has_room(hidden: Sequence[Layer]) -> bool:
    """Whether these layers have room for the stability rule."""
    return all(layer.parts == 1 and _condition(layer) >= 1.0 for layer in hidden)


def _condition(layer: Layer) -> float:
    """The factor on the gradient's variance of this layer without bias; see ``vi3nr.theory.condition``."""
    if layer.incoming is None:
        raise ValueError("bias_first cannot be 'stability': the first layer has no activation before it")
    if layer.parts == 2:
        raise ValueError(f"the bias rule 'stability' is for real activations, layer {layer.index} is complex")
    ratio = layer.fan_out / layer.fan_in
    return layer.sigma_p**2 * ratio * layer.incoming.slope_second_moment / layer.incoming.second_moment


def _layer_init(layer: Layer, weight_std: float, bias_std: float, sigma_p: float | None, drawn: Drawn) -> LayerInit:
    return LayerInit(
        fan_in=layer.fan_in,
        fan_out=layer.fan_out,
        weight_std=weight_std,
        weight_bound=math.sqrt(3.0 / layer.parts) * weight_std if drawn.weights == "uniform" else None,
        bias_std=bias_std,
        bias_bound=math.sqrt(3.0 / layer.parts) * bias_std if drawn.biases == "uniform" else None,
        sigma_p=sigma_p,
    )


def _bias_variance(layer: Layer, rule: BiasRule) -> float:
    total = layer.sigma_p**2
    if rule.rule == "zero":
        return 0.0
    if rule.rule == "share" and rule.share is not None:
        return rule.share * total
    if rule.rule == "like_weights":
        return total / (layer.signal + 1.0)  # sigma_p^2 = Var W (M E x^2 + 1)
    if rule.rule == "torch_default":
        variance = layer.parts / (3.0 * layer.fan_in)
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
