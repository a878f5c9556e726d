"""The usual initialisations as init configs, so that they train and compare like any other arm. No torch.

Weight-only rules keep the default bias of ``torch.nn.Linear``, as people who change only the weights do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from vi3nr.activations import family_of
from vi3nr.config import BiasRule, Encoding, InitConfig, LayerInit
from vi3nr.families import Activation, require_activation
from vi3nr.scalars import positive_number, whole_number

__all__ = [
    "BASELINE_RULES",
    "ONE_FAMILY_ONLY",
    "baseline_config",
    "baseline_label",
    "customary_baselines",
    "scale_label",
]

BASELINE_RULES = {
    "pytorch_default": "PyTorch default",  # torch.nn.Linear.reset_parameters: U(+-1/sqrt(fan_in)), weights and biases
    "xavier": "Xavier",  # Glorot and Bengio 2010, uniform, gain 1
    "kaiming": "Kaiming",  # He et al. 2015, uniform, fan_in, the gain of ReLU
    "normal": "N(0, 1)",  # weights from the standard normal
    "siren": "SIREN",  # Sitzmann et al. 2020, section 3.2 and the authors' code
    "finer": "FINER",  # Liu et al. 2024: SIREN's weights, and a bound of choice for the first layer's biases
}
ONE_FAMILY_ONLY = {"siren": "sine", "finer": "finer"}  # rules that were made for one family
UNIFORM_CUBE = 1.0 / 3.0  # E x^2 of coordinates uniform on [-1, 1]

_CUSTOMARY = {
    "gaussian": (
        ("pytorch_default", 0.05),
        ("pytorch_default", 0.1),
        ("xavier", 0.05),
        ("kaiming", 0.05),
        ("normal", 0.05),
    ),
    "sine": (("siren", 1.0 / 30.0), ("siren", 1.0 / 60.0), ("pytorch_default", 1.0 / 30.0)),
    "finer": (("finer", 1.0 / 30.0), ("pytorch_default", 1.0 / 30.0)),
}


def baseline_config(
    rule: str,
    activation: Activation,
    widths: Sequence[int],
    *,
    encoding: Encoding | None = None,
    first_bias_bound: float | None = None,
) -> InitConfig:
    """The init config of a usual rule.

    Args:
        rule: one of ``BASELINE_RULES``. ``siren`` is for the sine family only: first layer U(+-1/fan_in), the others
            U(+-sqrt(6/fan_in)/omega). Our sine is sin(omega z) with z the Linear's output, so the weights are those of
            SIREN's code as they stand. ``finer`` is the same rule for the finer family.
        activation: the network's activation.
        widths: layer widths from the coordinates to the values.
        encoding: of the coordinates, in front of the first layer, whose fan-in is then the number of features.
        first_bias_bound: k of FINER's first biases, U(-k, k), for the rule ``finer`` only; the larger, the higher the
            frequencies that the network begins with. None: torch's default, as where FINER's code is given no k.

    A complex activation (WIRE) has complex weights in all layers but the first. There torch's uniform rules draw the
    real and the imaginary part each with the rule's bound, so that E|W|^2 is twice that of a real weight.

    Raises:
        ValueError: an unknown rule, one with another family than its own, fewer than two widths, an encoding of
            other coordinates, a first_bias_bound that is not positive and finite or goes with another rule.
    """
    _check(rule, activation, widths, encoding, first_bias_bound)
    if first_bias_bound is not None:
        first_bias_bound = positive_number("first_bias_bound", first_bias_bound)
    normal = rule == "normal"
    layers = []
    entering = widths[0] if encoding is None else encoding.out_dim
    for index, (fan_in, fan_out) in enumerate(pairwise((entering, *widths[1:]))):
        parts = 2 if activation.complex and index > 0 else 1
        bound = _weight_bound(rule, index, fan_in, fan_out, activation.sigma_a)
        bias_bound = first_bias_bound if first_bias_bound and index == 0 else 1.0 / math.sqrt(fan_in)
        layers.append(
            LayerInit(
                fan_in=fan_in,
                fan_out=fan_out,
                weight_std=1.0 if normal else bound * math.sqrt(parts / 3.0),
                weight_bound=None if normal else bound,
                bias_std=bias_bound * math.sqrt(parts / 3.0),
                bias_bound=bias_bound,
                sigma_p=None,
            )
        )
    return InitConfig(
        family=activation.family,
        sigma_a=activation.sigma_a,
        parameters=activation.parameters,
        layers=tuple(layers),
        rule=rule,
        bias=BiasRule("torch_default"),
        bias_first=BiasRule("torch_default") if first_bias_bound is None else _first_share(layers[0], encoding),
        output="own_rule",
        distribution="normal" if normal else "uniform",
        encoding=encoding,
        complex_weights=activation.complex,
    )


def _check(
    rule: str, activation: Activation, widths: Sequence[int], encoding: Encoding | None, first_bias_bound: float | None
) -> None:
    if rule not in BASELINE_RULES:
        raise ValueError(f"baseline {rule!r} is unknown; choose one of {', '.join(BASELINE_RULES)}")
    require_activation(activation)
    family = ONE_FAMILY_ONLY.get(rule, activation.family)
    if activation.family != family:
        raise ValueError(f"the baseline {rule!r} is a rule for the {family} family, got {activation.family!r}")
    if len(widths) < 2:
        raise ValueError(f"widths must name at least an input and an output, got {tuple(widths)!r}")
    if any((whole_number(width) or 0) < 1 for width in widths):
        raise ValueError(f"widths must be positive integers, got {tuple(widths)!r}")
    if encoding is not None and encoding.in_dim != widths[0]:
        raise ValueError(f"the encoding is for {encoding.in_dim} coordinates, widths begin with {widths[0]}")
    if first_bias_bound is not None and rule != "finer":
        raise ValueError(f"first_bias_bound goes with the baseline 'finer' alone, got the rule {rule!r}")


def _first_share(first: LayerInit, encoding: Encoding | None) -> BiasRule:
    """The bound as the share that it takes of the first layer's variance, for coordinates uniform on [-1, 1]."""
    entering = UNIFORM_CUBE if encoding is None else encoding.second_moment(UNIFORM_CUBE)
    return BiasRule("share", first.bias_std**2 / (first.bias_std**2 + first.fan_in * first.weight_std**2 * entering))


def _weight_bound(rule: str, index: int, fan_in: int, fan_out: int, sigma_a: float) -> float:
    """Half-width of the uniform distribution of the weights; unused for ``normal``."""
    if rule == "xavier":
        return math.sqrt(6.0 / (fan_in + fan_out))
    if rule == "kaiming":
        return math.sqrt(6.0 / fan_in)
    if rule in ("siren", "finer"):
        return 1.0 / fan_in if index == 0 else math.sqrt(6.0 / fan_in) * sigma_a
    return 1.0 / math.sqrt(fan_in)


def customary_baselines(family: str) -> tuple[tuple[str, float], ...]:
    """What people use for a family: (rule, sigma_a) pairs. A study adds the same rules at its winner's sigma_a."""
    rules = ("pytorch_default", "xavier", "kaiming")
    plain = tuple((rule, sigma_a) for sigma_a in family_of(family).customary_sigma_a for rule in rules)
    return _CUSTOMARY.get(family, plain)


def baseline_label(rule: str, activation: Activation) -> str:
    """A name to read: "SIREN, omega 30", "PyTorch default, sigma_a 0.05"; families without a scale: "Kaiming"."""
    if rule not in BASELINE_RULES:
        raise ValueError(f"baseline {rule!r} is unknown; choose one of {', '.join(BASELINE_RULES)}")
    return BASELINE_RULES[rule] + scale_label(activation)


def scale_label(activation: Activation) -> str:
    """What a name says of the scale: ", omega 30", ", sigma_a 0.05", or nothing for families without one."""
    if not activation.has_scale:
        return ""
    for alias, constant in activation.aliases.items():
        return f", {alias} {constant / activation.sigma_a:.4g}"
    return f", sigma_a {activation.sigma_a:.4g}"
