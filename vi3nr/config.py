"""The init config: everything needed to initialise a network again, as plain data with lossless JSON.

No NumPy, no torch: a config can be read, checked and written anywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["SCHEMA_VERSION", "BiasRule", "InitConfig", "LayerInit", "Stability"]

SCHEMA_VERSION = 1
BIAS_RULES = ("zero", "stability", "like_weights", "share", "torch_default")
DISTRIBUTIONS = ("uniform", "normal")


@dataclass(frozen=True)
class BiasRule:
    """How a layer's biases take their share of the pre-activation variance ``sigma_p^2``.

    ``zero``           Var b = 0
    ``share``          Var b = share * sigma_p^2, 0 <= share < 1
    ``stability``      Var b = sigma_p^2 (1 - 1/cond): forward and backward conditions both hold (hidden layers)
    ``like_weights``   biases are drawn like the layer's weights: Var b = Var W
    ``torch_default``  ``nn.Linear``'s own: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), Var b = 1/(3 fan_in)

    In each case the weights get what remains, so that the pre-activations keep the std asked for.
    """

    rule: str = "zero"
    share: float | None = None

    def __post_init__(self) -> None:
        if self.rule not in BIAS_RULES:
            raise ValueError(f"bias rule {self.rule!r} is unknown; choose one of {', '.join(BIAS_RULES)}")
        if (self.rule == "share") != (self.share is not None):
            raise ValueError(f"a share goes with the rule 'share' and only with it, got rule {self.rule!r}, share {self.share!r}")
        if self.share is not None and not (0.0 <= self.share < 1.0):
            raise ValueError(f"bias share must lie in [0, 1), got {self.share!r}")


@dataclass(frozen=True)
class LayerInit:
    """One Linear layer's initialisation: stds of weights and biases, and the bounds when uniform."""

    fan_in: int
    fan_out: int
    weight_std: float
    weight_bound: float | None  # sqrt(3) * weight_std for the uniform distribution, None for the normal
    bias_std: float
    bias_bound: float | None
    sigma_p: float | None  # std of the layer's pre-activations that the rule aims at; None for rules without an aim


@dataclass(frozen=True)
class Stability:
    """The theory's own sigma_p for the hidden layers, and which kind of answer it is (see ``vi3nr.theory``)."""

    sigma_p: float | None
    kind: str


@dataclass(frozen=True)
class InitConfig:
    """Everything needed to initialise an INR again.

    ``rule`` names who decides the stds: ``vi3nr`` (Eq. 4 with the profile below) or one of the usual rules
    (``pytorch_default``, ``xavier``, ``kaiming``, ``normal``, ``siren``). ``layers`` is the outcome and all that an
    initialiser needs besides the two distributions; the rest says where it came from.
    """

    family: str
    sigma_a: float
    layers: tuple[LayerInit, ...]
    rule: str = "vi3nr"
    parameters: Mapping[str, float] = field(default_factory=dict)  # the family's parameters besides sigma_a
    sigma_p: float | None = None
    sigma_p_first: float | None = None
    method: str | None = None  # how the moments were computed: closed_form, quadrature or monte_carlo
    bias: BiasRule = BiasRule()
    bias_first: BiasRule = BiasRule()
    output: str = "same_sigma_p"
    distribution: str = "uniform"
    bias_distribution: str = "uniform"
    input_second_moment: float | None = None
    stability: Stability | None = None
    schema_version: int = SCHEMA_VERSION
