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

from vi3nr.config_parts import BIAS_RULES, BiasRule, Encoding, LayerInit, Stability, require_choice, require_number

__all__ = [
    "BIAS_RULES",
    "DISTRIBUTIONS",
    "OUTPUT_RULES",
    "RULES",
    "SCHEMA_VERSION",
    "BiasRule",
    "Encoding",
    "InitConfig",
    "LayerInit",
    "Stability",
]

SCHEMA_VERSION = 1
RULES = ("vi3nr", "pytorch_default", "xavier", "kaiming", "normal", "siren", "finer")
# own_rule: a usual rule decides the output layer as it does the others; the rest are those of vi3nr.profile
OUTPUT_RULES = ("same_sigma_p", "sigma_p_output", "torch_default", "zero", "own_rule")
MOMENT_METHODS = ("closed_form", "quadrature", "monte_carlo")
DISTRIBUTIONS = ("uniform", "normal")
OPTIONAL_KEYS = {
    "sigma_p_output": None,
    "sigma_p_growth": 1.0,
    "encoding": None,
    "complex_weights": False,
}  # left out where they say nothing


@dataclass(frozen=True)
class InitConfig:
    """Everything needed to initialise an INR again.

    ``rule`` names who decides the stds: ``vi3nr`` (Eq. 4 with the profile below) or one of the usual rules
    (``pytorch_default``, ``xavier``, ``kaiming``, ``normal``, ``siren``, ``finer``). ``layers`` is the outcome and all
    that an initialiser needs besides the two distributions; the rest says where it came from. Raises ValueError for
    values that no network could be drawn from.
    """

    family: str
    sigma_a: float
    layers: tuple[LayerInit, ...]
    rule: str = "vi3nr"
    parameters: Mapping[str, float] = field(default_factory=dict)  # the family's parameters besides sigma_a
    sigma_p: float | None = None
    sigma_p_first: float | None = None
    method: str | None = None  # how the moments were computed: closed_form, quadrature or monte_carlo
    bias: BiasRule = field(default_factory=BiasRule)
    bias_first: BiasRule = field(default_factory=BiasRule)
    output: str = "same_sigma_p"
    distribution: str = "uniform"
    bias_distribution: str = "uniform"
    input_second_moment: float | None = None  # of what enters the first layer, after any encoding
    stability: Stability | None = None
    sigma_p_output: float | None = None  # of the output rule of that name
    encoding: Encoding | None = None  # in front of the first layer, whose fan_in is the number of its features
    sigma_p_growth: float = 1.0  # of the hidden layers' sigma_p from one to the next; sigma_p is their geometric mean
    complex_weights: bool = False  # all layers but the first have complex weights; the real part is the value
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        require_choice("rule", self.rule, RULES)
        require_choice("output", self.output, OUTPUT_RULES)
        require_choice("distribution", self.distribution, DISTRIBUTIONS)
        require_choice("bias_distribution", self.bias_distribution, DISTRIBUTIONS)
        if self.method is not None:
            require_choice("method", self.method, MOMENT_METHODS)
        for name in ("sigma_a", "sigma_p_growth", "sigma_p", "sigma_p_first", "input_second_moment", "sigma_p_output"):
            optional = name not in ("sigma_a", "sigma_p_growth")
            object.__setattr__(self, name, require_number(name, getattr(self, name), optional=optional, zero=False))
        object.__setattr__(self, "parameters", _checked_parameters(self.parameters))
        if (self.output == "sigma_p_output") != (self.sigma_p_output is not None):
            raise ValueError(
                f"sigma_p_output goes with the output rule of that name and only with it, got output {self.output!r}, "
                f"sigma_p_output {self.sigma_p_output!r}"
            )
        if not isinstance(self.complex_weights, bool):
            raise ValueError(f"complex_weights must be true or false, got {self.complex_weights!r}")
        self._check_layers()

    def _check_layers(self) -> None:
        if not self.layers:
            raise ValueError("layers must hold at least one layer, got none")
        for index, layer in enumerate(self.layers):
            parts = 2 if self.complex_weights and index > 0 else 1
            layer.check_bounds(index, (self.distribution, self.bias_distribution), parts)
        for index, (layer, following) in enumerate(pairwise(self.layers)):
            if layer.fan_out != following.fan_in:
                raise ValueError(
                    f"layer {index} has fan_out {layer.fan_out} but layer {index + 1} has fan_in {following.fan_in}"
                )
        if self.encoding is not None and self.encoding.out_dim != self.layers[0].fan_in:
            raise ValueError(
                f"layer 0 has fan_in {self.layers[0].fan_in} but the encoding has {self.encoding.out_dim} features"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths from the coordinates, before any encoding, to the values."""
        in_dim = self.layers[0].fan_in if self.encoding is None else self.encoding.in_dim
        return (in_dim, *self.layer_widths[1:])

    @property
    def layer_widths(self) -> tuple[int, ...]:
        """Widths of the Linear layers: from the encoded coordinates to the values."""
        return (self.layers[0].fan_in, *(layer.fan_out for layer in self.layers))

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON's own types; for the sine family with the derived ``omega = 1 / sigma_a``.

        What a config without what ``OPTIONAL_KEYS`` names writes, older readers of schema 1 read.
        """
        data = {item.name: getattr(self, item.name) for item in fields(self)}
        for name, absent in OPTIONAL_KEYS.items():
            if data[name] == absent:
                del data[name]
        for name in ("bias", "bias_first", "stability", *(["encoding"] if self.encoding else [])):
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
        except RecursionError:
            raise ValueError("the init config is not JSON that can be read: it is nested too deeply") from None
        return _read_config(data)

    @staticmethod
    def from_url(url: str, *, key: str | None = None, seconds: float = 30.0) -> InitConfig:
        """The config at an http or https address, such as a service's ``/v1/studies/{id}/export``.

        Args:
            url: of the config's JSON, of at most 4 MB.
            key: an API key of the service; it is sent to this address alone and to none that it redirects to.
            seconds: for connecting, for each wait on the server, and for the text as a whole.

        Raises:
            ValueError: another kind of address, or what is no config.
            OSError: no answer, none in time (TimeoutError), or an answer that is an error; the sentence tells which.
        """
        from vi3nr.config_url import read_url  # few need it, and it brings the standard library's HTTP

        text = read_url(url, key, seconds=seconds)
        try:
            return InitConfig.from_json(text)
        except ValueError as error:
            raise ValueError(f"{url}: {error}") from error


def _checked_parameters(parameters: Mapping[str, float]) -> dict[str, float | None]:
    """The family's parameters as Python's numbers; ``sigma_a`` and ``family`` have fields of their own."""
    for name in parameters:
        if not isinstance(name, str) or name in ("sigma_a", "family"):
            raise ValueError(f"parameters must hold the family's besides sigma_a, by name, got one called {name!r}")
    return {
        name: require_number(f"parameter {name}", value, optional=False, negative=True)
        for name, value in parameters.items()
    }


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
    for name, cls in (("stability", Stability), ("encoding", Encoding)):
        if values.get(name) is not None:
            values[name] = cls(**_keys(name, values[name], cls))
    if not isinstance(values.get("parameters", {}), Mapping):
        raise ValueError(f"parameters must be an object, got {values['parameters']!r}")
    if not isinstance(values["family"], str):
        raise ValueError(f"family must be a name, got {values['family']!r}")
    config = InitConfig(**values)
    if omega is not None:
        require_number("omega", omega)
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
