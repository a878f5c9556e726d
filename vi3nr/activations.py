"""Activations by name: ``activation("sine", omega=30)``, ``activation("cos(x) * exp(-x**2)")``, ``families()``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from vi3nr.families import Activation, Gaussian, Sinc, Sine
from vi3nr.families_bumps import Gabor, Laplacian, MultiQuadratic, Quadratic, SuperGaussian, Wire
from vi3nr.families_plain import Gelu, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh
from vi3nr.families_waves import ExpSin, Finer, Hosc
from vi3nr.formula import formula_family, is_formula
from vi3nr.scalars import finite_number

__all__ = ["Activation", "activation", "families", "family_of", "register_family"]

_FAMILIES: Mapping[str, type[Activation]] = MappingProxyType(
    {
        cls.family: cls
        for cls in (
            *(Gaussian, Sine, Sinc, Wire, Gabor, Finer, Hosc),
            *(Laplacian, Quadratic, MultiQuadratic, SuperGaussian, ExpSin),
            *(Tanh, Sigmoid, Relu, LeakyRelu, Softplus, Gelu, Silu),
        )
    }
)
_REGISTERED: dict[str, type[Activation]] = {}  # families of the user's own, of this process
AGREE = 1e-9  # relative: how closely two names of one scale must agree when both are given
SHOWN = 60  # characters of an unknown name that an error repeats


def families() -> Mapping[str, type[Activation]]:
    """The built-in families, by name."""
    return _FAMILIES


def family_of(name: str) -> type[Activation]:
    """The class of a built-in family, of a registered one, or of a formula of x such as ``cos(30*x) * exp(-x**2)``.

    Raises:
        ValueError: a name that is none of these, or a formula that cannot be read; the sentence says where.
    """
    known = _FAMILIES.get(name) or _REGISTERED.get(name)
    if known is not None:
        return known
    if is_formula(name):
        return formula_family(name)
    short = name if len(name) <= SHOWN else name[:SHOWN] + "..."
    names = ", ".join([*_FAMILIES, *_REGISTERED])
    raise ValueError(f"activation family {short!r} is unknown; choose one of {names}, or write a formula of x")


def register_family(cls: type[Activation]) -> None:
    """Make a family of one's own known by its name in this process; a later one of the same name replaces it.

    Raises ValueError for the name of a built-in family, or one that would be read as a formula.
    """
    name = cls.family
    if name in _FAMILIES or is_formula(name) or not name.isidentifier():
        raise ValueError(f"the name of a family of one's own must be an identifier that no family has, got {name!r}")
    _REGISTERED[name] = cls


def activation(family: str, sigma_a: float | None = None, **parameters: float) -> Activation:
    """Build an activation.

    Args:
        family: one of ``families()``, or a formula of x, see ``vi3nr.formula``.
        sigma_a: the scale, in units of x; None takes it from another name in ``parameters`` (sine: ``omega``, radians
            per unit of x, sigma_a = 1 / omega; gaussian: ``s`` of exp(-(s x)^2), sigma_a = 1 / (s sqrt 2); ...) or else
            the family's first customary value.
        parameters: the family's other parameters, or another name of the scale.

    Raises:
        ValueError: unknown family or parameter, a number that is not finite or not positive, two scales that disagree,
            a formula that cannot be read.
    """
    cls = family_of(family)
    rest = dict(parameters)
    for name, (constant, power) in cls.scale_names().items():
        if name in rest:
            sigma_a = _from_name(family, name, rest.pop(name), constant, power, sigma_a)
    known = cls.parameter_names()
    unknown = [name for name in rest if name not in known]
    if unknown:
        choices = ", ".join(["sigma_a", *cls.scale_names(), *known])
        raise ValueError(f"{family} has no parameter {unknown[0]!r} (got {rest[unknown[0]]!r}); it has {choices}")
    return cls.build(cls.customary_sigma_a[0] if sigma_a is None else sigma_a, rest)


def _from_name(family: str, name: str, value: float, constant: float, power: int, sigma_a: float | None) -> float:
    """The scale that another name stands for; where two are given they must agree, and the first is kept as it is."""
    number = finite_number(value)
    if number is None or number <= 0.0:
        raise ValueError(f"{name} of {family} must be a positive finite number, got {value!r}")
    scale = constant / number if power < 0 else constant * number
    if sigma_a is None:
        return scale
    if finite_number(sigma_a) is None or not math.isclose(scale, sigma_a, rel_tol=AGREE):
        raise ValueError(f"{family} got sigma_a {sigma_a!r} and {name} {value!r}, which means sigma_a {scale!r}")
    return sigma_a
