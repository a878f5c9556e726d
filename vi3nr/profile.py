"""VI3NR as a profile: Eq. 4 layer by layer, for any std that each layer's pre-activations are to have.

``Var W_i = (sigma_p,i^2 - Var b_i) / (M_i E f(z_{i-1})^2)`` with ``z_{i-1} ~ N(0, sigma_p,i-1^2)``; in the first layer
the second moment of the coordinates, or of their encoding, stands for ``E f^2`` (supplement, 6.2). No torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from vi3nr.complex_moments import circular_second_moment
from vi3nr.config import DISTRIBUTIONS, OUTPUT_RULES, BiasRule, Encoding, InitConfig, LayerInit, Stability
from vi3nr.families import Activation
from vi3nr.moments import Moments, moments
from vi3nr.theory import stable_sigma_p

__all__ = ["INPUT_DISTRIBUTIONS", "input_second_moment_of", "vi3nr_config"]

INPUT_DISTRIBUTIONS = {"uniform": 1.0 / 3.0, "normal": 1.0}  # E x^2: uniform on [-1, 1], standard normal
SLACK = {"closed_form": 1e-9, "quadrature": 1e-9, "monte_carlo": 1e-2}  # cond may fall short of 1 by its own error


@dataclass(frozen=True)
class _Layer:
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


def input_second_moment_of(inputs: str | np.ndarray) -> float:
    """E x^2 of coordinates: of a named distribution (``INPUT_DISTRIBUTIONS``), or measured on ``(points, axes)``.

    Raises:
        ValueError: another name; coordinates that are empty, not finite, or all zero.
    """
    if isinstance(inputs, str):
        if inputs not in INPUT_DISTRIBUTIONS:
            raise ValueError(f"inputs must be coordinates or one of {', '.join(INPUT_DISTRIBUTIONS)}, got {inputs!r}")
        return INPUT_DISTRIBUTIONS[inputs]
    measured = float(np.mean(np.square(inputs, dtype=np.float64))) if np.size(inputs) else math.nan
    if not (math.isfinite(measured) and measured > 0.0):
        raise ValueError(f"inputs must be finite coordinates, not all zero; their mean square is {measured!r}")
    return measured


def vi3nr_config(
    activation: Activation,
    widths: Sequence[int],
    *,
    sigma_p: float | None = None,
    sigma_p_first: float | None = None,
    inputs: str | np.ndarray | None = None,
    input_second_moment: float | None = None,
    encoding: Encoding | None = None,
    bias: BiasRule | None = None,
    bias_first: BiasRule | None = None,
    output: str = "same_sigma_p",
    sigma_p_output: float | None = None,
    distribution: str = "uniform",
    method: str = "analytic",
    generator: np.random.Generator | None = None,
) -> InitConfig:
    """The VI3NR init config of a network.

    With a complex activation (WIRE) all layers but the first are complex, ``sigma_p^2 = E|z|^2``, and from the third
    layer on the moment is that of complex pre-activations (``vi3nr.complex_moments``); its output is the real part.

    Args:
        activation: the activation after each layer but the last.
        widths: from the coordinates to the values, e.g. ``(2, 64, 64, 64, 3)``; at least three, equal or not.
        sigma_p: std of the pre-activations of the hidden layers and the output. None: the theory's own
            (``vi3nr.theory.stable_sigma_p``), and where it has no root ``sigma_a``.
        sigma_p_first: std of the first layer's pre-activations, biases included. None: sigma_p.
        inputs: the coordinates: ``uniform`` on [-1, 1] (the default), ``normal`` (standard), or themselves, as an array
            ``(points, axes)`` that is measured.
        input_second_moment: in place of ``inputs`` E x^2 of the coordinates, mean over points and axes
            (``Signal.input_second_moment``).
        encoding: in front of the first layer; its ``in_dim`` is ``widths[0]``. The features' second moment follows from
            the coordinates' and the config records it.
        bias: the hidden layers' rule. None: zero, but the stability rule where sigma_p is None, the theory has no root
            and the rule can be met.
        bias_first: the first layer's rule, any but ``stability``. None: zero.
        output: the output layer's rule: ``same_sigma_p`` as the hidden layers, zero bias; ``sigma_p_output``, the std
            given by that argument, zero bias; ``torch_default``, the stds of ``nn.Linear``'s own weights and biases;
            ``zero``, weights and biases: the network starts as the constant 0.
        sigma_p_output: std of the output's pre-activations, for the rule of that name, which it implies.
        distribution: of weights and biases, ``uniform`` or ``normal``; torch's default biases stay uniform.
        method: of the moments, see ``vi3nr.moments``; the config records what was used.
        generator: for Monte Carlo moments; None: a fresh one with seed 0.

    Raises:
        ValueError: an argument out of its range, or a bias rule that a layer cannot meet; the sentence names which.
    """
    if sigma_p_output is not None and output == "same_sigma_p":
        output = "sigma_p_output"
    if inputs is not None and input_second_moment is not None:
        raise ValueError(
            f"give inputs or input_second_moment, not both; got input_second_moment {input_second_moment!r}"
        )
    if input_second_moment is None:
        input_second_moment = input_second_moment_of("uniform" if inputs is None else inputs)
    _check(widths, sigma_p, sigma_p_first, input_second_moment, sigma_p_output, output, distribution, encoding)
    entering = input_second_moment if encoding is None else encoding.second_moment(input_second_moment)
    stability = stable_sigma_p(activation)
    hidden = sigma_p or stability.sigma_p or activation.sigma_a
    first = sigma_p_first or hidden
    after_first = moments(activation, first, method=method, generator=generator)
    after_hidden = after_first if first == hidden else moments(activation, hidden, method=method, generator=generator)
    widths_of_layers = (widths[0] if encoding is None else encoding.out_dim, *widths[1:])
    layers = _layers(activation, widths_of_layers, (first, hidden), entering, (after_first, after_hidden))
    rule = bias or _default_rule(sigma_p, stability, layers[1:-1])
    rule_first = bias_first or BiasRule()
    of_biases = "uniform" if "torch_default" in (rule.rule, rule_first.rule, output) else distribution
    rules = [rule_first, *([rule] * (len(layers) - 2))]
    solved = [_solve(*task, distribution, of_biases) for task in zip(layers[:-1], rules, strict=True)]
    return InitConfig(
        family=activation.family,
        sigma_a=activation.sigma_a,
        parameters=activation.parameters,
        layers=(*solved, _output_layer(layers[-1], output, sigma_p_output, distribution, of_biases)),
        rule="vi3nr",
        sigma_p=hidden,
        sigma_p_first=first,
        method="quadrature" if activation.complex else _weakest(after_first, after_hidden),
        bias=rule,
        bias_first=rule_first,
        output=output,
        sigma_p_output=sigma_p_output,
        distribution=distribution,
        bias_distribution=of_biases,
        input_second_moment=entering,
        encoding=encoding,
        complex_weights=activation.complex,
        stability=stability,
    )


def _layers(
    activation: Activation,
    widths: Sequence[int],
    sigma_p: tuple[float, float],
    entering: float,
    incoming: tuple[Moments, Moments],
) -> list[_Layer]:
    """The layers' tasks; the pairs belong to the first layer and to the others."""
    seconds = [entering, incoming[0].second_moment]
    if len(widths) > 3:
        complex_second = circular_second_moment(activation, sigma_p[1]) if activation.complex else None
        seconds += [complex_second or incoming[1].second_moment] * (len(widths) - 3)
    layers = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        before = None if index == 0 else incoming[min(index - 1, 1)]
        parts = 2 if activation.complex and index > 0 else 1
        layers.append(_Layer(index, fan_in, fan_out, sigma_p[min(index, 1)], fan_in * seconds[index], before, parts))
    return layers


def _check(
    widths: Sequence[int],
    sigma_p: float | None,
    sigma_p_first: float | None,
    input_second_moment: float,
    sigma_p_output: float | None,
    output: str,
    distribution: str,
    encoding: Encoding | None,
) -> None:
    if len(widths) < 3 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in widths):
        raise ValueError(f"widths must be at least three positive integers, got {tuple(widths)!r}")
    for name, value in (
        ("sigma_p", sigma_p),
        ("sigma_p_first", sigma_p_first),
        ("input_second_moment", input_second_moment),
        ("sigma_p_output", sigma_p_output),
    ):
        if value is not None and not (math.isfinite(value) and value > 0.0):
            raise ValueError(f"{name} must be positive and finite, got {value!r}")
    choices = [rule for rule in OUTPUT_RULES if rule != "own_rule"]
    if output not in choices:
        raise ValueError(f"output must be one of {', '.join(choices)}, got {output!r}")
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution must be one of {', '.join(DISTRIBUTIONS)}, got {distribution!r}")
    if encoding is not None and encoding.in_dim != widths[0]:
        raise ValueError(f"the encoding is for {encoding.in_dim} coordinates, widths begin with {widths[0]}")


def _default_rule(sigma_p: float | None, stability: Stability, hidden: Sequence[_Layer]) -> BiasRule:
    """Without a root there is no stable sigma_p unless biases make room, so they do where they can."""
    if sigma_p is None and stability.sigma_p is None and _is_met(hidden):
        return BiasRule("stability")
    return BiasRule()


def _is_met(hidden: Sequence[_Layer]) -> bool:
    """Whether these layers have room for the stability rule."""
    return all(layer.parts == 1 and _condition(layer) >= 1.0 for layer in hidden)


def _condition(layer: _Layer) -> float:
    """The factor on the gradient's variance of this layer without bias; see ``vi3nr.theory.condition``."""
    if layer.incoming is None:
        raise ValueError("bias_first cannot be 'stability': the first layer has no activation before it")
    if layer.parts == 2:
        raise ValueError(f"the bias rule 'stability' is for real activations, layer {layer.index} is complex")
    ratio = layer.fan_out / layer.fan_in
    return layer.sigma_p**2 * ratio * layer.incoming.slope_second_moment / layer.incoming.second_moment


def _solve(layer: _Layer, rule: BiasRule, distribution: str, of_biases: str) -> LayerInit:
    """Biases take their share of sigma_p^2 by rule, the weights the rest."""
    bias = _bias_variance(layer, rule)
    weight_std = math.sqrt((layer.sigma_p**2 - bias) / layer.signal)
    return _layer_init(layer, weight_std, math.sqrt(bias), layer.sigma_p, distribution, of_biases)


def _output_layer(
    layer: _Layer, output: str, sigma_p_output: float | None, distribution: str, of_biases: str
) -> LayerInit:
    """The last layer, by its own rule."""
    if output == "zero":
        return _layer_init(layer, 0.0, 0.0, 0.0, distribution, of_biases)
    if output == "torch_default":
        std = math.sqrt(layer.parts / (3.0 * layer.fan_in))
        return _layer_init(layer, std, std, None, distribution, of_biases)
    return _solve(replace(layer, sigma_p=sigma_p_output or layer.sigma_p), BiasRule(), distribution, of_biases)


def _layer_init(
    layer: _Layer, weight_std: float, bias_std: float, sigma_p: float | None, distribution: str, of_biases: str
) -> LayerInit:
    return LayerInit(
        fan_in=layer.fan_in,
        fan_out=layer.fan_out,
        weight_std=weight_std,
        weight_bound=math.sqrt(3.0 / layer.parts) * weight_std if distribution == "uniform" else None,
        bias_std=bias_std,
        bias_bound=math.sqrt(3.0 / layer.parts) * bias_std if of_biases == "uniform" else None,
        sigma_p=sigma_p,
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


def _weakest(*used: Moments) -> str:
    """How the second moments were computed; if not all in one way, the way that is not a closed form."""
    methods = {found.methods[1] for found in used}
    return "closed_form" if methods == {"closed_form"} else (methods - {"closed_form"}).pop()
