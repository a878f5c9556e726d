# ruff: noqa: D102 - phi, slope and unit_moments are described once, by Activation
"""What an activation family is, and the three that INRs use most: one small class each.

Every family is written as ``f(x) = phi(x / sigma_a)``; with ``u = x / sigma_a`` and ``z ~ N(0, sigma_p^2)`` the moments
depend on ``rho = sigma_p / sigma_a`` alone, but for the families whose further scale is absolute (``scale_family`` is
False there). ``phi`` is written once for NumPy and torch: ``xp`` is either module. The other families are in
``families_plain``, ``families_bumps`` and ``families_waves``; ``vi3nr.activations`` knows them all by name.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType, ModuleType
from typing import Any, ClassVar

from vi3nr.scalars import finite_number

__all__ = ["ALL", "Activation", "Gaussian", "Sinc", "Sine", "UnitMoments", "require_activation"]

SLOWEST_EXPONENT = -80.0  # torch.exp on a CPU is up to 15 times slower where float32 underflows, below about -87
SINC_SERIES_BELOW = 0.5  # |u| under which sinc and sinc' are summed as series: sinc' as autograd has it cancels there
SINC_SERIES = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(7, -1, -1))  # of sinc(u), in u^2
SINC_SLOPE_SERIES = tuple((-1) ** k * 2 * k / math.factorial(2 * k + 1) for k in range(7, 0, -1))  # of sinc'(u) / u
ALL = ("mean", "second_moment", "slope_second_moment")  # of the names that ``closed_form`` may hold
S_OF_GAUSSIAN = 1.0 / math.sqrt(2.0)  # exp(-(s x)^2) is sigma_a = 1 / (s sqrt 2): WIRE, FINER and INCODE write s
TORCH_SINC_W = (8.0, 30.0)  # customary w of torch.sinc(w x) = sin(pi w x) / (pi w x)


@dataclass(frozen=True)
class UnitMoments:
    """Moments of ``phi(u)``, ``u ~ N(0, rho^2)``: E phi, E phi^2, E phi'^2; None where there is no closed form."""

    mean: float | None = None
    second_moment: float | None = None
    slope_second_moment: float | None = None


@dataclass(frozen=True)
class Activation(ABC):
    """One activation with its parameters. ``sigma_a`` (> 0) is the scale that studies search.

    Further fields of a subclass are the family's other parameters. Raises ValueError for a parameter that is not a
    finite number (those in ``positive``: and positive), or a scale other than 1 where the family has none.

    ``gradient`` says what ``derivative`` is: ``exact``, the derivative of ``value``; or ``detached``, what autograd
    gives because a factor of the value is held constant in the backward pass (FINER).
    """

    sigma_a: float

    family: ClassVar[str]
    label: ClassVar[str]
    formula: ClassVar[str]
    customary_sigma_a: ClassVar[tuple[float, ...]]
    sigma_a_range: ClassVar[tuple[float, float]]  # where a search looks unless told otherwise
    learning_rate: ClassVar[float]  # customary, for Adam
    even: ClassVar[bool] = False  # phi(-u) = phi(u)
    complex: ClassVar[bool] = False  # values are complex, moments those of the moduli
    gradient: ClassVar[str] = "exact"
    scale_family: ClassVar[bool] = True  # phi itself does not change with sigma_a
    has_scale: ClassVar[bool] = True
    closed_form: ClassVar[tuple[str, ...]]  # names of the fields of UnitMoments that have one
    unit_kinks: ClassVar[tuple[float, ...]] = ()  # u where phi or phi' is not smooth
    unit_period: ClassVar[float | None] = None  # of phi, if quadrature is to work on one period
    positive: ClassVar[tuple[str, ...]] = ("sigma_a",)  # fields that must be positive
    aliases: ClassVar[Mapping[str, float]] = MappingProxyType({})  # other scales: constant / sigma_a
    spellings: ClassVar[Mapping[str, tuple[float, int]]] = MappingProxyType({})
    """Names of the scale in the field that are accepted too: sigma_a = constant * value ** (1 or -1)."""

    def __post_init__(self) -> None:
        for item in fields(self):
            given = getattr(self, item.name)
            number = finite_number(given)
            if number is None:
                raise ValueError(f"{item.name} of {self.family} must be a finite number, got {given!r}")
            if item.name in self.positive and number <= 0.0:
                raise ValueError(f"{item.name} of {self.family} must be positive, got {given!r}")
            object.__setattr__(self, item.name, number)
        if not self.has_scale and self.sigma_a != 1.0:
            raise ValueError(f"{self.family} has no scale: sigma_a is 1, got {self.sigma_a!r}")

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """The names of the parameters besides ``sigma_a``."""
        return tuple(item.name for item in fields(cls) if item.name != "sigma_a")

    @classmethod
    def scale_names(cls) -> dict[str, tuple[float, int]]:
        """Every other name of the scale, as (constant, power): sigma_a = constant * value ** power."""
        return {**{alias: (constant, -1) for alias, constant in cls.aliases.items()}, **cls.spellings}

    @classmethod
    def build(cls, sigma_a: float, parameters: Mapping[str, float]) -> Activation:
        """The activation with these parameters, by the names of ``parameter_names``."""
        return cls(sigma_a, **parameters)

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters besides ``sigma_a``."""
        return {item.name: float(getattr(self, item.name)) for item in fields(self) if item.name != "sigma_a"}

    @property
    def kinks(self) -> tuple[float, ...]:
        """The x where f or f' is not smooth."""
        return tuple(self.sigma_a * u for u in self.unit_kinks)

    @property
    def unit_feature(self) -> float:
        """Width, in u, of the narrowest feature near 0 or a kink."""
        return 1.0

    def value(self, x: Any, xp: ModuleType) -> Any:
        """f(x), elementwise; ``xp`` is the module of the array: ``numpy`` or ``torch``."""
        return self.phi(self._unit(x), xp)

    def derivative(self, x: Any, xp: ModuleType) -> Any:
        """f'(x) = phi'(x / sigma_a) / sigma_a, elementwise."""
        slope = self.slope(self._unit(x), xp)
        return slope if self.sigma_a == 1.0 else slope * (1.0 / self.sigma_a)

    def conjugate_derivative(self, x: Any, xp: ModuleType) -> Any:
        """Df/dconj(x) for complex x, at constant x; ``derivative`` is then df/dx. Complex families have it."""
        raise ValueError(f"{self!r} is a real activation; it has no derivative by conj(x)")

    def _unit(self, x: Any) -> Any:
        return x if self.sigma_a == 1.0 else x * (1.0 / self.sigma_a)

    @abstractmethod
    def phi(self, u: Any, xp: ModuleType) -> Any:
        """The unit function."""

    @abstractmethod
    def slope(self, u: Any, xp: ModuleType) -> Any:
        """phi'(u). At a kink it is what autograd gives for ``phi``."""

    @abstractmethod
    def unit_moments(self, rho: float) -> UnitMoments:
        """The closed forms there are, for rho > 0; relative error about 1e-14."""


def require_activation(value: object) -> None:
    """Raise ValueError for what is no activation, such as a family's name."""
    if not isinstance(value, Activation):
        hint = f"; write activation({value!r})" if isinstance(value, str) else ""
        raise ValueError(f"activation must be what vi3nr.activation gives, got {value!r}{hint}")


@dataclass(frozen=True)
class Gaussian(Activation):
    """exp(-x^2 / (2 sigma_a^2)). Moments: VI3NR, supplement 6.3, rewritten in rho."""

    family = "gaussian"
    label = "Gaussian"
    formula = "exp(-x^2 / (2 sigma_a^2))"
    customary_sigma_a = (0.05, 0.1)
    sigma_a_range = (0.005, 0.3)
    learning_rate = 1e-3
    even = True
    closed_form = ALL
    spellings = MappingProxyType({"a": (1.0, 1), "s": (S_OF_GAUSSIAN, -1)})

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.exp(xp.clip(u * u * -0.5, SLOWEST_EXPONENT, None))

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return -u * self.phi(u, xp)

    def unit_moments(self, rho: float) -> UnitMoments:
        wide = 1.0 + 2.0 * rho * rho
        return UnitMoments(1.0 / math.hypot(1.0, rho), 1.0 / math.sqrt(wide), (rho / wide) * (rho / math.sqrt(wide)))


@dataclass(frozen=True)
class Sine(Activation):
    """sin(omega x), sigma_a = 1 / omega: the activation of SIREN (Sitzmann et al. 2020)."""

    family = "sine"
    label = "sine"
    formula = "sin(x / sigma_a) = sin(omega x)"
    customary_sigma_a = (1.0 / 30.0, 1.0 / 60.0)
    sigma_a_range = (1.0 / 200.0, 1.0 / 10.0)
    learning_rate = 5e-4
    closed_form = ALL
    aliases = MappingProxyType({"omega": 1.0})

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.sin(u)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return xp.cos(u)

    def unit_moments(self, rho: float) -> UnitMoments:
        a = 2.0 * rho * rho
        return UnitMoments(0.0, -math.expm1(-a) / 2.0, (1.0 + math.exp(-a)) / 2.0)


@dataclass(frozen=True)
class Sinc(Activation):
    """sin(u) / u with its limit 1 at 0; ``torch.sinc(w x)`` holds a pi and is sigma_a = 1 / (pi w), accepted as
    ``sinc_omega = w``; ``omega`` is the w of sin(w x) / (w x).

    Moments: sinc^2 is the cosine transform of the triangle, so with a = 2 rho^2
    ``E phi^2 = 2 int_0^1 (1 - t) exp(-a t^2) dt`` and ``E phi'^2 = int_0^1 (2/3 - 2 t + 4/3 t^3) exp(-a t^2) dt``.
    """

    family = "sinc"
    label = "sinc"
    formula = "sin(x / sigma_a) / (x / sigma_a)"
    customary_sigma_a = tuple(1.0 / (math.pi * w) for w in TORCH_SINC_W)
    sigma_a_range = (0.004, 0.2)
    learning_rate = 1e-3
    even = True
    closed_form = ALL
    spellings = MappingProxyType({"omega": (1.0, -1), "sinc_omega": (1.0 / math.pi, -1)})

    def phi(self, u: Any, xp: ModuleType) -> Any:
        far = xp.where(abs(u) < SINC_SERIES_BELOW, xp.ones_like(u), u)
        near = 0.0
        for coefficient in SINC_SERIES:
            near = near * (u * u) + coefficient
        return xp.where(abs(u) < SINC_SERIES_BELOW, near, xp.sin(far) / far)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        far = xp.where(abs(u) < SINC_SERIES_BELOW, xp.ones_like(u), u)
        near = 0.0
        for coefficient in SINC_SLOPE_SERIES:
            near = near * (u * u) + coefficient
        return xp.where(abs(u) < SINC_SERIES_BELOW, near * u, (xp.cos(far) - xp.sin(far) / far) / far)

    def unit_moments(self, rho: float) -> UnitMoments:
        a = 2.0 * rho * rho
        flat = math.sqrt(math.pi / 2.0) / rho * math.erf(rho / math.sqrt(2.0))
        constant = math.sqrt(math.pi / 8.0) / rho * math.erf(math.sqrt(2.0) * rho)  # int exp(-a t^2)
        linear = -math.expm1(-a) / (2.0 * a)  # int t exp(-a t^2)
        return UnitMoments(flat, 2.0 * (constant - linear), _sinc_slope(a, constant, linear))


def _sinc_slope(a: float, constant: float, linear: float) -> float:
    """E sinc'^2; for small a the three integrals cancel to a / 18, so the power series of the exponential is summed."""
    if a > 1.0:
        cubic = (-math.expm1(-a) - a * math.exp(-a)) / (2.0 * a * a)  # int t^3 exp(-a t^2)
        return 2.0 / 3.0 * constant - 2.0 * linear + 4.0 / 3.0 * cubic
    total, power = 0.0, 1.0
    for k in range(1, 22):
        power *= -a / k
        total += power * (2.0 / (3 * (2 * k + 1)) - 1.0 / (k + 1) + 2.0 / (3 * (k + 2)))
    return total
