# ruff: noqa: ARG005, D102 - every function of a table has the same arguments; phi, slope and unit_moments are described once, by Activation
"""An activation of the user's own as text: ``activation("exp(-x**2/(2*a**2)) * cos(30*x)", sigma_a=1.0, a=0.05)``.

``sigma_a`` stretches the whole formula, f(x / sigma_a); every other name but ``x`` and ``pi`` is a parameter. The text
is read by ``vi3nr.formula_parser`` and evaluated by walking its tree with NumPy or torch; the derivative is exact, by
the chain rule from node to node, and takes at most a few times as long as the value. ``sinc(x)`` is sin(x) / x, without
torch.sinc's pi; ``exp`` never returns less than exp(-80), as in the built-in families.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import Any, ClassVar, cast

import numpy as np
import scipy  # its parts are loaded when they are first used

from vi3nr.families import SLOWEST_EXPONENT, Activation, Sinc, UnitMoments
from vi3nr.families_plain import Softplus
from vi3nr.formula_parser import Apply, Binary, Name, Node, Number, parse
from vi3nr.scalars import finite_number

__all__ = ["Formula", "formula_family", "is_formula"]

LARGEST_EXPONENT = 64.0
_HALVES = np.arange(0.5, 6.1, 0.5)
_TRIED = np.concatenate([[0.0], _HALVES, -_HALVES, np.geomspace(1e-3, 0.4, 9), -np.geomspace(1e-3, 0.4, 9)])
_SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def is_formula(name: str) -> bool:
    """Whether a family's name is meant as a formula: it holds an x and a sign of an operation or a bracket."""
    return "x" in name and any(sign in name for sign in "+-*/^(")


@lru_cache(maxsize=512)
def formula_family(text: str) -> type[Formula]:
    """The family that a formula stands for. Raises ValueError, naming the column, for what cannot be read."""
    tree, names = parse(text)
    data = {"family": text, "label": text, "formula": f"{text}, x stands for x / sigma_a", "tree": tree, "names": names}
    return cast("type[Formula]", type("Formula", (Formula,), {**data, "__doc__": Formula.__doc__}))


@dataclass(frozen=True, eq=False, repr=False)
class Formula(Activation):
    """A formula with the values of its parameters, in the order of ``names``.

    Raises ValueError where it does not depend on x, is not finite near 0, or asks for powers that are too large.
    """

    constants: tuple[float, ...] = ()
    _bound: Node = field(init=False)  # the tree with the parameters' values in it and everything constant worked out

    family = ""
    label = "formula"
    formula = ""
    customary_sigma_a = (1.0,)
    sigma_a_range = (0.05, 5.0)
    learning_rate = 1e-3
    closed_form = ()
    tree: ClassVar[Node] = Name("x")
    names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        numbers = []
        for name, given in [("sigma_a", self.sigma_a), *zip(self.names, self.constants, strict=True)]:
            number = finite_number(given)
            if number is None:
                raise ValueError(f"{name} of the formula {self.family!r} must be a finite number, got {given!r}")
            numbers.append(number)
        object.__setattr__(self, "sigma_a", numbers[0])
        object.__setattr__(self, "constants", tuple(numbers[1:]))
        if self.sigma_a <= 0.0:
            raise ValueError(f"sigma_a of the formula {self.family!r} must be positive, got {self.sigma_a!r}")
        object.__setattr__(self, "_bound", _Binder(self.family, self.parameters).bind(self.tree))
        if isinstance(self._bound, Number):
            raise ValueError(f"the formula {self.family!r} does not depend on x")
        with np.errstate(all="ignore"):
            value, slope = _value_and_slope(self._bound, _TRIED, np)
        finite = np.isfinite(value) & np.isfinite(slope)
        if not finite.all():
            where = f"{_TRIED[np.argmin(finite)]:.4g}"
            hint = "; write sinc(x) for sin(x) / x" if where == "0" and "sin" in self.family else ""
            raise ValueError(f"the formula {self.family!r} or its slope is not a finite number at x = {where}{hint}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        values = "".join(f", {name}={value!r}" for name, value in self.parameters.items())
        return f"activation({self.family!r}, {self.sigma_a!r}{values})"

    def __reduce__(self) -> tuple[Callable[..., Formula], tuple[object, ...]]:
        return _rebuild, self._key

    @property
    def _key(self) -> tuple[str, float, tuple[float, ...]]:
        return self.family, self.sigma_a, self.constants

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        return cls.names

    @classmethod
    def build(cls, sigma_a: float, parameters: Mapping[str, float]) -> Formula:
        missing = [name for name in cls.names if name not in parameters]
        if missing:
            raise ValueError(f"the formula {cls.family!r} needs a value for its parameter {missing[0]!r}")
        return cls(sigma_a, tuple(parameters[name] for name in cls.names))

    @property
    def parameters(self) -> dict[str, float]:
        return dict(zip(self.names, self.constants, strict=True))

    @property
    def unit_feature(self) -> float:
        return 1e-5  # not known, so the quadrature looks closely

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return _value(self._bound, u, xp)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return _value_and_slope(self._bound, u, xp)[1]

    def unit_moments(self, rho: float) -> UnitMoments:
        return UnitMoments()


def _rebuild(text: str, sigma_a: float, constants: tuple[float, ...]) -> Formula:
    return formula_family(text)(sigma_a, constants)


@dataclass(frozen=True)
class _Binder:
    """Puts the parameters' values into a tree and works out its constant parts, in Python's floats."""

    text: str
    parameters: Mapping[str, float]

    def bind(self, node: Node) -> Node:
        if isinstance(node, Number):
            return node
        if isinstance(node, Name):
            return node if node.name == "x" else Number(float(self.parameters[node.name]))
        if isinstance(node, Apply):
            argument = self.bind(node.argument)
            if not isinstance(argument, Number):
                return Apply(node.function, argument)
            with np.errstate(all="ignore"):
                value = float(_FUNCTIONS[node.function][0](np.float64(argument.value), np))
            return self._number(value, f"{node.function}({argument.value:.6g})")
        return self._binary(node.sign, self.bind(node.left), self.bind(node.right), node.column)

    def _binary(self, sign: str, left: Node, right: Node, column: int) -> Node:
        if isinstance(left, Number) and isinstance(right, Number):
            with np.errstate(all="ignore"):
                value = float(np.float64(left.value) ** right.value) if sign == "**" else None
                value = float(_SIGNS[sign](np.float64(left.value), right.value)) if value is None else value
            return self._number(value, f"{left.value:.6g} {sign} {right.value:.6g}", column)
        if sign == "**" and isinstance(right, Number):
            if abs(right.value) > LARGEST_EXPONENT:
                raise self._error(f"exponents reach up to {LARGEST_EXPONENT:.0f}, got {right.value:.6g}", column)
            if right.value == 0.0:
                return Number(1.0)
        elif sign == "**" and isinstance(left, Number):
            if left.value <= 0.0:
                raise self._error(f"a power of x needs a positive base, got {left.value:.6g}", column)
            return Apply("exp", Binary("*", right, Number(math.log(left.value)), column))
        elif sign == "**":
            raise self._error("a power needs a base or an exponent that does not depend on x", column)
        return Binary(sign, left, right, column)

    def _number(self, value: float, what: str, column: int | None = None) -> Number:
        if not math.isfinite(value):
            raise self._error(f"{what} is not a finite number", column)
        return Number(value)

    def _error(self, what: str, column: int | None) -> ValueError:
        place = "" if column is None else f" at column {column}"
        return ValueError(f"the formula {self.text!r} cannot be used{place}: {what}")


def _value(node: Node, u: Any, xp: ModuleType) -> Any:
    """The value of a bound tree: an array like u, or a float."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Name):
        return u
    if isinstance(node, Apply):
        return _FUNCTIONS[node.function][0](_value(node.argument, u, xp), xp)
    left = _value(node.left, u, xp)
    if node.sign == "**":
        return left ** cast("Number", node.right).value
    return _SIGNS[node.sign](left, _value(node.right, u, xp))


def _value_and_slope(node: Node, u: Any, xp: ModuleType) -> tuple[Any, Any]:
    """The value and its derivative; the derivative of a number is the float 0."""
    if isinstance(node, Number):
        return node.value, 0.0
    if isinstance(node, Name):
        return u, xp.ones_like(u)
    if isinstance(node, Apply):
        inner, slope = _value_and_slope(node.argument, u, xp)
        value = _FUNCTIONS[node.function][0](inner, xp)
        return value, _FUNCTIONS[node.function][1](inner, value, xp) * slope
    left, left_slope = _value_and_slope(node.left, u, xp)
    if node.sign == "**":
        power = cast("Number", node.right).value
        return left**power, left ** (power - 1.0) * left_slope * power
    right, right_slope = _value_and_slope(node.right, u, xp)
    if node.sign == "*":
        return left * right, left_slope * right + left * right_slope
    if node.sign == "/":
        return left / right, (left_slope - left / right * right_slope) / right
    return _SIGNS[node.sign](left, right), _SIGNS[node.sign](left_slope, right_slope)


def _special(xp: ModuleType) -> Any:
    return scipy.special if xp is np else xp.special


def _exp(v: Any, xp: ModuleType) -> Any:
    return xp.exp(xp.clip(v, SLOWEST_EXPONENT, None))


def _sigmoid(v: Any, xp: ModuleType) -> Any:
    return xp.tanh(v * 0.5) * 0.5 + 0.5


_SINC = Sinc(1.0)
_Value = Callable[[Any, ModuleType], Any]
_Slope = Callable[[Any, Any, ModuleType], Any]
_FUNCTIONS: Mapping[str, tuple[_Value, _Slope]] = {
    "neg": (lambda v, xp: -v, lambda v, y, xp: -1.0),
    "abs": (lambda v, xp: abs(v), lambda v, y, xp: xp.sign(v)),
    "atan": (lambda v, xp: xp.arctan(v), lambda v, y, xp: 1.0 / (v * v + 1.0)),
    "cos": (lambda v, xp: xp.cos(v), lambda v, y, xp: -xp.sin(v)),
    "cosh": (lambda v, xp: xp.cosh(v), lambda v, y, xp: xp.sinh(v)),
    "erf": (lambda v, xp: _special(xp).erf(v), lambda v, y, xp: _exp(-v * v, xp) * (2.0 / math.sqrt(math.pi))),
    "exp": (_exp, lambda v, y, xp: y),
    "log": (lambda v, xp: xp.log(v), lambda v, y, xp: 1.0 / v),
    "relu": (lambda v, xp: v * (v > 0.0), lambda v, y, xp: xp.heaviside(v, xp.zeros_like(v))),
    "sigmoid": (_sigmoid, lambda v, y, xp: y * (1.0 - y)),
    "sign": (lambda v, xp: xp.sign(v), lambda v, y, xp: v * 0.0),
    "sin": (lambda v, xp: xp.sin(v), lambda v, y, xp: xp.cos(v)),
    "sinc": (_SINC.phi, lambda v, y, xp: _SINC.slope(v, xp)),
    "sinh": (lambda v, xp: xp.sinh(v), lambda v, y, xp: xp.cosh(v)),
    "softplus": (Softplus(1.0).phi, lambda v, y, xp: _sigmoid(v, xp)),
    "sqrt": (lambda v, xp: xp.sqrt(v), lambda v, y, xp: 0.5 / y),
    "tan": (lambda v, xp: xp.tan(v), lambda v, y, xp: y * y + 1.0),
    "tanh": (lambda v, xp: xp.tanh(v), lambda v, y, xp: 1.0 - y * y),
}
