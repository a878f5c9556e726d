"""The init config: everything needed to initialise a network again, as plain data with lossless JSON.

No NumPy, no torch: a config can be read, checked and written anywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any

__all__ = ["SCHEMA_VERSION", "BiasRule", "InitConfig", "LayerInit", "Stability"]

SCHEMA_VERSION = 1
RULES = ("vi3nr", "pytorch_default", "xavier", "kaiming", "normal", "siren")
OUTPUT_RULES = ("same_sigma_p", "own_rule")  # own_rule: a usual rule decides the output layer as it does the others
BIAS_RULES = ("zero", "stability", "like_weights", "share", "torch_default")
DISTRIBUTIONS = ("uniform", "normal")


def _require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _require_number(name: str, value: object, *, optional: bool = True, negative: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    if value < 0.0 and not negative:
        raise ValueError(f"{name} must not be negative, got {value!r}")


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
            raise ValueError(f"a share goes with the rule 'share' alone, got rule {self.rule!r}, share {self.share!r}")
        _require_number("bias share", self.share)
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

    def __post_init__(self) -> None:
        for name in ("fan_in", "fan_out"):
            size = getattr(self, name)
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} of a layer must be a positive integer, got {size!r}")
        for name in ("weight_std", "weight_bound", "bias_std", "bias_bound", "sigma_p"):
            _require_number(f"{name} of a layer", getattr(self, name), optional=name not in ("weight_std", "bias_std"))


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
    initialiser needs besides the two distributions; the rest says where it came from. Raises ValueError for values that
    no network could be drawn from.
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

    def __post_init__(self) -> None:
        _require_choice("rule", self.rule, RULES)
        _require_choice("output", self.output, OUTPUT_RULES)
        _require_choice("distribution", self.distribution, DISTRIBUTIONS)
        _require_choice("bias_distribution", self.bias_distribution, DISTRIBUTIONS)
        _require_number("sigma_a", self.sigma_a, optional=False)
        for name in ("sigma_p", "sigma_p_first", "input_second_moment"):
            _require_number(name, getattr(self, name))
        for name, value in self.parameters.items():
            _require_number(f"parameter {name}", value, optional=False, negative=True)
        if not self.layers:
            raise ValueError("layers must hold at least one layer, got none")
        for index, (layer, following) in enumerate(pairwise(self.layers)):
            if layer.fan_out != following.fan_in:
                raise ValueError(
                    f"layer {index} has fan_out {layer.fan_out} but layer {index + 1} has fan_in {following.fan_in}"
                )

    @property
    def widths(self) -> tuple[int, ...]:
        """Layer widths from the coordinates to the values."""
        return (self.layers[0].fan_in, *(layer.fan_out for layer in self.layers))

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON's own types; for the sine family with the derived ``omega = 1 / sigma_a``."""
        data = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in ("bias", "bias_first", "stability"):
            data[name] = None if data[name] is None else asdict(data[name])
        data["parameters"] = dict(self.parameters)
        data["layers"] = [asdict(layer) for layer in self.layers]
        if self.family == "sine":
            data["omega"] = 1.0 / self.sigma_a
        return data

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> InitConfig:
        """The inverse of ``to_dict``. Raises ValueError for unknown or missing keys, wrong types, a newer schema."""
        return _read_config(data)

    def to_json(self) -> str:
        """Lossless: every float is written with the digits that give it back."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> InitConfig:
        """The inverse of ``to_json``. Raises ValueError for what is not a config, or holds NaN or an infinity."""
        try:
            data = json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            raise ValueError(f"the init config is not JSON: {error}") from error
        return _read_config(data)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"an init config holds finite numbers only, got {name}")


def _read_config(data: object) -> InitConfig:
    """Build the config from JSON's types, strictly."""
    version = data.get("schema_version", SCHEMA_VERSION) if isinstance(data, Mapping) else SCHEMA_VERSION
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"schema_version must be a positive integer, got {version!r}")
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"the init config has schema_version {version}; this library reads up to {SCHEMA_VERSION}, so update vi3nr"
        )
    sine = isinstance(data, Mapping) and data.get("family") == "sine"
    values = _keys("the init config", data, InitConfig, derived=("omega",) if sine else ())
    omega = values.pop("omega", None)
    if not isinstance(values["layers"], list):
        raise ValueError(f"layers must be a list, got {values['layers']!r}")
    values["layers"] = tuple(
        LayerInit(**_keys(f"layer {index}", layer, LayerInit)) for index, layer in enumerate(values["layers"])
    )
    for name in ("bias", "bias_first"):
        if name in values:
            values[name] = BiasRule(**_keys(name, values[name], BiasRule))
    if values.get("stability") is not None:
        values["stability"] = Stability(**_keys("stability", values["stability"], Stability))
    if not isinstance(values.get("parameters", {}), Mapping):
        raise ValueError(f"parameters must be an object, got {values['parameters']!r}")
    if not isinstance(values["family"], str):
        raise ValueError(f"family must be a name, got {values['family']!r}")
    config = InitConfig(**values)
    if omega is not None:
        _require_number("omega", omega)
        if not math.isclose(omega * config.sigma_a, 1.0, rel_tol=1e-9):
            raise ValueError(f"omega must be 1 / sigma_a = {1.0 / config.sigma_a!r}, got {omega!r}")
    return config


def _keys(what: str, data: object, cls: type, derived: tuple[str, ...] = ()) -> dict[str, Any]:
    """The object's entries, after a check that all are fields of ``cls`` and none without a default is missing."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{what} must be an object, got {data!r}")
    known = {item.name: item for item in fields(cls)}
    unknown = [name for name in data if name not in known and name not in derived]
    if unknown:
        raise ValueError(f"{what} has unknown keys: {', '.join(map(repr, unknown))}; it may have {', '.join(known)}")
    required = [n for n, item in known.items() if item.default is MISSING and item.default_factory is MISSING]
    missing = [name for name in required if name not in data]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}")
    return dict(data)
