"""Activations by name: ``activation("sine", omega=30)``, ``families()``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType

from vi3nr.families import Activation, Gaussian, Relu, Sigmoid, Sinc, Sine, Tanh

__all__ = ["Activation", "activation", "families"]

_FAMILIES: Mapping[str, type[Activation]] = MappingProxyType(
    {cls.family: cls for cls in (Gaussian, Sine, Sinc, Tanh, Sigmoid, Relu)}
)
AGREE = 1e-9  # relative: how closely two names of one scale must agree when both are given


def families() -> Mapping[str, type[Activation]]:
    """The families there are, by name."""
    return _FAMILIES


def activation(family: str, sigma_a: float | None = None, **parameters: float) -> Activation:
    """Build an activation.

    Args:
        family: one of ``families()``.
        sigma_a: the scale, in units of x; None takes it from an alias in ``parameters`` (sine: ``omega``, radians per
            unit of x, sigma_a = 1 / omega) or else the family's first customary value.
        parameters: the family's other parameters, or an alias of the scale.

    Raises:
        ValueError: unknown family or parameter, a number that is not finite or not positive, two scales that disagree.
    """
    if family not in _FAMILIES:
        raise ValueError(f"activation family {family!r} is unknown; choose one of {', '.join(_FAMILIES)}")
    cls = _FAMILIES[family]
    rest = dict(parameters)
    for alias, constant in cls.aliases.items():
        if alias in rest:
            sigma_a = _from_alias(family, alias, rest.pop(alias), constant, sigma_a)
    known = [item.name for item in fields(cls) if item.name != "sigma_a"]
    unknown = [name for name in rest if name not in known]
    if unknown:
        choices = ", ".join(["sigma_a", *cls.aliases, *known])
        raise ValueError(f"{family} has no parameter {unknown[0]!r} (got {rest[unknown[0]]!r}); it has {choices}")
    return cls(cls.customary_sigma_a[0] if sigma_a is None else sigma_a, **rest)


def _from_alias(family: str, alias: str, value: float, constant: float, sigma_a: float | None) -> float:
    """The scale that an alias stands for; where both are given they must agree and ``sigma_a`` is kept as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0.0:
        raise ValueError(f"{alias} of {family} must be a positive finite number, got {value!r}")
    scale = constant / value
    if sigma_a is None:
        return scale
    if not math.isclose(scale, sigma_a, rel_tol=AGREE):
        raise ValueError(f"{family} got sigma_a {sigma_a!r} and {alias} {value!r}, which means sigma_a {scale!r}")
    return sigma_a
