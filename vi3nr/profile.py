"""VI3NR as a profile: Eq. 4 layer by layer, for any std that each layer's pre-activations are to have.

``Var W_i = (sigma_p,i^2 - Var b_i) / (M_i E f(z_{i-1})^2)`` with ``z_{i-1} ~ N(0, sigma_p,i-1^2)``; in the first layer
the second moment of the coordinates, or of their encoding, stands for ``E f^2`` (supplement, 6.2). What one layer makes
of its bias rule is in ``vi3nr.profile_layers``. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vi3nr.complex_moments import circular_second_moment
from vi3nr.config import DISTRIBUTIONS, OUTPUT_RULES, BiasRule, Encoding, InitConfig, Stability
from vi3nr.families import Activation, require_activation
from vi3nr.moments import Moments, moments
from vi3nr.profile_layers import Drawn, Layer, default_rule, output_layer, solve
from vi3nr.scalars import positive_number, whole_number
from vi3nr.theory import stable_sigma_p

__all__ = ["INPUT_DISTRIBUTIONS", "input_second_moment_of", "vi3nr_config"]

INPUT_DISTRIBUTIONS = {"uniform": 1.0 / 3.0, "normal": 1.0}  # E x^2: uniform on [-1, 1], standard normal


def input_second_moment_of(inputs: str | ArrayLike, in_dim: int | None = None) -> float:
    """E x^2 of coordinates: of a named distribution (``INPUT_DISTRIBUTIONS``), or measured on ``(points, axes)``.

    Args:
        inputs: the name, or an array, nested sequences or a torch tensor on any device, which is only read.
        in_dim: how many axes there must be, where one axis may be left out if it is the only one; None: any shape.

    Raises:
        ValueError: another name; coordinates of another shape, or that are empty, no numbers, not finite, or all zero.
    """
    if isinstance(inputs, str):
        if inputs not in INPUT_DISTRIBUTIONS:
            raise ValueError(f"inputs must be coordinates or one of {', '.join(INPUT_DISTRIBUTIONS)}, got {inputs!r}")
        return INPUT_DISTRIBUTIONS[inputs]
    given: Any = inputs
    if hasattr(given, "detach"):  # a tensor; in float64, for NumPy does not have all of torch's types
        given = given.detach().cpu().double()
    try:
        coordinates = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"inputs must be coordinates, real numbers of shape (points, axes): {error}") from None
    if in_dim == 1 and coordinates.ndim == 1:
        coordinates = coordinates[:, None]
    if in_dim is not None and (coordinates.ndim != 2 or coordinates.shape[1] != in_dim):
        raise ValueError(f"inputs must be coordinates of shape (points, {in_dim}), got shape {coordinates.shape}")
    measured = float(np.mean(np.square(coordinates))) if coordinates.size else math.nan
    if not (math.isfinite(measured) and measured > 0.0):
        raise ValueError(f"inputs must be finite coordinates, not all zero; their mean square is {measured!r}")
    return measured


def vi3nr_config(
    activation: Activation,
    widths: Sequence[int],
    *,
    sigma_p: float | None = None,
    sigma_p_first: float | None = None,
    sigma_p_growth: float = 1.0,
    inputs: str | ArrayLike | None = None,
    input_second_moment: float | None = None,
    encoding: Encoding | None = None,
    bias: BiasRule | str | None = None,
    bias_first: BiasRule | str | None = None,
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
        sigma_p: std of the pre-activations of the hidden layers and the output. None: the theory's own for layers of
            equal width (``vi3nr.theory.stable_sigma_p``), and where it has no root ``sigma_a``.
        sigma_p_first: std of the first layer's pre-activations, biases included. None: sigma_p.
        sigma_p_growth: factor of sigma_p from one hidden layer to the next; sigma_p is then the geometric mean of the
            hidden layers' and the output's own. 1: the same in all.
        inputs: the coordinates: ``uniform`` on [-1, 1] (the default), ``normal`` (standard), or themselves, as an array
            or tensor ``(points, widths[0])`` that is measured.
        input_second_moment: in place of ``inputs`` E x^2 of the coordinates, mean over points and axes
            (``Signal.input_second_moment``).
        encoding: in front of the first layer; its ``in_dim`` is ``widths[0]``. The features' second moment follows from
            the coordinates' and the config records it.
        bias: the hidden layers' rule, or its name. None: zero, but the stability rule where sigma_p is None, the theory
            has no root and the rule can be met.
        bias_first: the first layer's rule, or its name, any but ``stability``. None: zero.
        output: the output layer's rule: ``same_sigma_p`` as the hidden layers, zero bias; ``sigma_p_output``, the std
            given by that argument, zero bias; ``torch_default``, the stds of ``nn.Linear``'s own weights and biases;
            ``zero``, weights and biases: the network starts as the constant 0.
        sigma_p_output: std of the output's pre-activations, for the rule of that name, which it implies; of
            complex ones sqrt(E|z|^2), so that the values, their real part, have 1 / sqrt 2 of it.
        distribution: of weights and biases, ``uniform`` or ``normal``; torch's default biases stay uniform.
        method: of the moments, see ``vi3nr.moments``; the config records what was used. Those of complex
            pre-activations are always by quadrature.
        generator: for Monte Carlo moments; None: a fresh one with seed 0.

    Returns:
        A config whose layers' stds are Eq. 4's, and which records all that was chosen.

    Raises:
        ValueError: an argument out of its range, or a bias rule that a layer cannot meet; the sentence names which.
        ArithmeticError: moments that cannot be computed: the quadrature does not converge, or they leave float64; or no
            sigma_p is given and the theory has no answer at all. Where one is given, ``stability`` is then None.

    Source: VI3NR, Eq. 4 and supplement 6.2.
    """
    output = "sigma_p_output" if sigma_p_output is not None and output == "same_sigma_p" else output
    require_activation(activation)
    widths, sigma_p = _widths(widths), _optional("sigma_p", sigma_p)
    sigma_p_first, sigma_p_output = (
        _optional("sigma_p_first", sigma_p_first),
        _optional("sigma_p_output", sigma_p_output),
    )
    _check(widths, output, distribution, encoding)
    fan_in, entering = _entering(widths[0], inputs, input_second_moment, encoding)
    stability = _stability(activation, sigma_p)
    hidden = sigma_p or (stability and stability.sigma_p) or activation.sigma_a
    targets = (sigma_p_first or hidden, *_grown(hidden, sigma_p_growth, len(widths) - 3), hidden)
    layers = _layers(activation, (fan_in, *widths[1:]), targets, entering, method, generator)
    rule = _rule("bias", bias) or default_rule(sigma_p, stability, layers[1:-1])
    rule_first = _rule("bias_first", bias_first) or BiasRule()
    drawn = Drawn(distribution, "uniform" if "torch_default" in (rule.rule, rule_first.rule, output) else distribution)
    solved = [solve(layer, rule if layer.index else rule_first, drawn) for layer in layers[:-1]]
    return InitConfig(
        family=activation.family,
        sigma_a=activation.sigma_a,
        parameters=activation.parameters,
        layers=(*solved, output_layer(layers[-1], output, sigma_p_output, drawn)),
        sigma_p=hidden,
        sigma_p_first=targets[0],
        sigma_p_growth=sigma_p_growth,
        method=_weakest(layers),
        bias=rule,
        bias_first=rule_first,
        output=output,
        sigma_p_output=sigma_p_output,
        distribution=distribution,
        bias_distribution=drawn.biases,
        input_second_moment=entering,
        encoding=encoding,
        complex_weights=activation.complex,
        stability=stability,
    )


def _stability(activation: Activation, sigma_p: float | None) -> Stability | None:
    """The theory's own answer; None where there is none, and a sigma_p that is given makes it needless for Eq. 4."""
    try:
        return stable_sigma_p(activation)
    except ArithmeticError:
        if sigma_p is None:
            raise
        return None


def _entering(
    in_dim: int, inputs: str | ArrayLike | None, input_second_moment: float | None, encoding: Encoding | None
) -> tuple[int, float]:
    """Of what enters the first layer, how many numbers and E x^2, however that of the coordinates was given."""
    if input_second_moment is None:
        input_second_moment = input_second_moment_of("uniform" if inputs is None else inputs, in_dim)
    elif inputs is not None:
        raise ValueError(
            f"give inputs or input_second_moment, not both; got input_second_moment {input_second_moment!r}"
        )
    input_second_moment = positive_number("input_second_moment", input_second_moment)
    if encoding is None:
        return in_dim, input_second_moment
    return encoding.out_dim, encoding.second_moment(input_second_moment)


def _grown(sigma_p: float, growth: float, count: int) -> tuple[float, ...]:
    """``sigma_p growth^(i - (count - 1) / 2)``, i = 0, 1, ...: the hidden layers' stds."""
    growth = positive_number("sigma_p_growth", growth)
    try:
        grown = tuple(sigma_p * growth ** (i - (count - 1) / 2) for i in range(count))
    except OverflowError:
        grown = (math.inf,)
    if not all(math.isfinite(std) and std > 0.0 for std in grown):
        raise ValueError(f"sigma_p_growth {growth!r} takes sigma_p {sigma_p!r} out of range over {count} hidden layers")
    return grown


def _layers(
    activation: Activation,
    widths: Sequence[int],
    sigma_p: Sequence[float],
    entering: float,
    method: str,
    generator: np.random.Generator | None,
) -> list[Layer]:
    """The layers' tasks; ``sigma_p`` layer by layer, from the first to the output."""
    behind: dict[float, Moments] = {}  # of the activation, by the std of the pre-activations before it
    for std in sigma_p[:-1]:
        if std not in behind:
            behind[std] = moments(activation, std, method=method, generator=generator)
    layers = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        before = behind[sigma_p[index - 1]] if index else None
        second = entering if before is None else before.second_moment
        if activation.complex and index > 1:
            second = circular_second_moment(activation, sigma_p[index - 1])
        parts = 2 if activation.complex and index > 0 else 1
        layers.append(Layer(index, fan_in, fan_out, sigma_p[index], fan_in * second, before, parts))
    return layers


def _widths(widths: Sequence[int]) -> tuple[int, ...]:
    counts = tuple(whole_number(width) or 0 for width in widths)
    if len(counts) < 3 or min(counts) < 1:
        raise ValueError(f"widths must be at least three positive integers, got {tuple(widths)!r}")
    return counts


def _rule(name: str, given: BiasRule | str | None) -> BiasRule | None:
    if given is None or isinstance(given, BiasRule):
        return given
    if not isinstance(given, str):
        raise ValueError(f"{name} must be a BiasRule or the name of a rule, got {given!r}")
    return BiasRule(given)


def _optional(name: str, value: float | None) -> float | None:
    return None if value is None else positive_number(name, value)


def _check(widths: Sequence[int], output: str, distribution: str, encoding: Encoding | None) -> None:
    choices = [rule for rule in OUTPUT_RULES if rule != "own_rule"]
    if output not in choices:
        raise ValueError(f"output must be one of {', '.join(choices)}, got {output!r}")
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution must be one of {', '.join(DISTRIBUTIONS)}, got {distribution!r}")
    if encoding is not None and encoding.in_dim != widths[0]:
        raise ValueError(f"the encoding is for {encoding.in_dim} coordinates, widths begin with {widths[0]}")


def _weakest(layers: Sequence[Layer]) -> str:
    """How the second moments were computed; if not all in one way, the least exact of them."""
    methods = {layer.incoming.methods[1] for layer in layers if layer.incoming is not None}
    if layers[-1].parts == 2 and len(layers) > 2:
        methods.add("quadrature")  # of complex pre-activations
    return max(methods, key=("closed_form", "quadrature", "monte_carlo").index)
