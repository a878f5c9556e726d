"""The theory against published and independently derived numbers, and against families made up for the purpose."""

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from vi3nr.activations import activation
from vi3nr.families import Activation, UnitMoments
from vi3nr.moments import moments
from vi3nr.theory import condition, gain_squared, stability_bias_variance, stable_sigma_p

GOLDEN = [  # family, sigma_a, gain^2 and cond at sigma_p 1
    ("sinc", 1.0, 1.309, 0.0856),
    ("sinc", 1 / (8 * math.pi), 20.4, 204.0),
    ("sigmoid", 1.0, 3.409, 0.153),
    ("tanh", 1.0, 2.536, 1.178),
    ("sine", 1.0, 2.313, 1.313),
    ("sine", 1 / 30, 2.000, 900.0),
    ("relu", 1.0, 2.0, 1.0),
]
ROOTS = [  # family, sigma_a, root, gain^2 at the root
    ("gaussian", 1.0, math.sqrt(1 + math.sqrt(2)), 2.4142 * (1 + math.sqrt(2))),
    ("sinc", 1.0, 2.223, 10.69),
    ("sinc", 1 / (8 * math.pi), 0.0885, 0.0169),
    ("sigmoid", 1.0, 6.755, 103.0),
]


@pytest.mark.parametrize(("family", "sigma_a", "gain", "cond"), GOLDEN)
def test_gain_and_condition_at_one(family: str, sigma_a: float, gain: float, cond: float) -> None:
    """Golden values to the digits given."""
    phi = activation(family, sigma_a)
    assert gain_squared(phi, 1.0) == pytest.approx(gain, rel=3e-3)
    assert condition(phi, 1.0) == pytest.approx(cond, rel=4e-3)


@pytest.mark.parametrize(("family", "sigma_a", "root", "gain"), ROOTS)
def test_roots(family: str, sigma_a: float, root: float, gain: float) -> None:
    """The stable sigma_p, and that cond is 1 there to twelve digits."""
    phi = activation(family, sigma_a)
    stable = stable_sigma_p(phi)
    assert stable.kind == "root"
    assert stable.sigma_p == pytest.approx(root, rel=1e-3)
    assert gain_squared(phi, stable.sigma_p) == pytest.approx(gain, rel=4e-3)
    assert condition(phi, stable.sigma_p) == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize("sigma_a", [1e-4, 0.05, 1.0, 300.0])
def test_gaussian_root_is_exact_at_every_scale(sigma_a: float) -> None:
    """(sigma_p / sigma_a)^2 = 1 + sqrt(2)."""
    root = stable_sigma_p(activation("gaussian", sigma_a)).sigma_p
    assert root == pytest.approx(sigma_a * math.sqrt(1 + math.sqrt(2)), rel=1e-12)


def test_gaussian_matches_the_papers_examples() -> None:
    """sigma_a 0.05: sigma_p 0.33 gives Var W = 1.02 / M, Xavier's; 0.41 gives 1.96 / M, Kaiming's."""
    phi = activation("gaussian", 0.05)
    assert gain_squared(phi, 0.33) == pytest.approx(1.02, abs=0.005)
    assert gain_squared(phi, 0.41) == pytest.approx(1.96, abs=0.005)


def test_sines_condition_is_t_coth_t() -> None:
    """cond = t coth t with t = (omega sigma_p)^2, for small and large t."""
    for rho in (0.01, 0.5, 1.0, 3.0, 20.0):
        t = rho * rho
        assert condition(activation("sine", 0.02), rho * 0.02) == pytest.approx(t / math.tanh(t), rel=1e-12)


def test_sirens_code_has_the_fixed_point_0_893() -> None:
    """Hidden weights of variance 2 / (M omega^2) keep rho = omega sigma_p = 0.893."""
    assert gain_squared(activation("sine", 1.0), 0.8926) == pytest.approx(2.0, rel=1e-3)


def test_stability_bias_of_a_sine_agrees_with_combette_et_al() -> None:
    """arXiv 2512.06427 at sigma_p 1: the weights' uniform bound c_w = 2.299 / sqrt(M), the biases' std c_b = 0.488."""
    sine = activation("sine", 1.0)
    bias = stability_bias_variance(sine, 1.0)
    assert math.sqrt(bias) == pytest.approx(0.488, abs=5e-4)
    weights = (1.0 - bias) / moments(sine, 1.0).second_moment
    assert weights == pytest.approx(1.0 / moments(sine, 1.0).slope_second_moment, rel=1e-12)
    assert math.sqrt(3.0 * weights) == pytest.approx(2.299, abs=1e-3)


def test_stability_bias_needs_a_gaussian_wide_enough() -> None:
    """It exists from the root, 1.554 sigma_a, upwards; below, the error says by how much cond falls short."""
    phi = activation("gaussian", 0.1)
    assert stability_bias_variance(phi, 0.15538) > 0.0
    assert stability_bias_variance(phi, stable_sigma_p(phi).sigma_p) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match=r"has 0\.3333 at sigma_p 0\.1"):  # cond = rho^4 / (1 + 2 rho^2)
        stability_bias_variance(phi, 0.1)


@pytest.mark.parametrize(
    ("family", "kind"), [("sine", "limit_at_0"), ("tanh", "limit_at_0"), ("relu", "any"), ("gaussian", "root")]
)
def test_kinds_of_the_built_in_families(family: str, kind: str) -> None:
    """Where there is no root no number is made up, at customary scales and others."""
    for factor in (0.01, 1.0, 7.0):
        phi = activation(family, None if family == "relu" else factor * activation(family).sigma_a)
        stable = stable_sigma_p(phi)
        assert stable.kind == kind
        assert (stable.sigma_p is not None) == (kind == "root")


def test_narrowing_layers_give_a_sine_a_root() -> None:
    """With fan-out half of fan-in cond starts below 1, so a root appears; with twice there is none and no limit."""
    root = stable_sigma_p(activation("sine", 1.0), 0.5).sigma_p
    assert condition(activation("sine", 1.0), root, 0.5) == pytest.approx(1.0, abs=1e-12)
    assert root**2 / math.tanh(root**2) == pytest.approx(2.0, rel=1e-12)
    assert stable_sigma_p(activation("sine", 1.0), 2.0).kind == "none"
    with pytest.raises(ValueError, match="width_ratio must be positive"):
        stable_sigma_p(activation("sine"), 0.0)


@dataclass(frozen=True)
class MadeUp(Activation):
    """A family of three lines: what a new one takes."""

    family, label, formula = "made_up", "made up", "phi(x / sigma_a)"
    closed_form = ()

    def unit_moments(self, rho: float) -> UnitMoments:
        return UnitMoments()


class Laplacian(MadeUp):
    unit_kinks = (0.0,)

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.exp(-abs(u))

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return -xp.sign(u) * xp.exp(-abs(u))


class Quadratic(MadeUp):
    def phi(self, u: Any, xp: ModuleType) -> Any:
        return 1 / (1 + u * u)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return -2 * u / (1 + u * u) ** 2


class MultiQuadratic(MadeUp):
    def phi(self, u: Any, xp: ModuleType) -> Any:
        return (1 + u * u) ** -0.5

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return -u * (1 + u * u) ** -1.5


class ExpSin(MadeUp):
    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.exp(-xp.sin(u))

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return -xp.cos(u) * xp.exp(-xp.sin(u))


class CosineGaussian(MadeUp):
    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.cos(u) * xp.exp(-u * u)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return -(xp.sin(u) + 2 * u * xp.cos(u)) * xp.exp(-u * u)


class Softplus(MadeUp):
    def phi(self, u: Any, xp: ModuleType) -> Any:
        return xp.logaddexp(u, 0.0 * u)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return 0.5 * (1 + xp.tanh(u / 2))


class Gelu(MadeUp):
    def phi(self, u: Any, xp: ModuleType) -> Any:
        return u * ndtr(u)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return ndtr(u) + u * np.exp(-u * u / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize(
    ("cls", "gain", "cond", "root", "gain_at_root"),
    [
        (Laplacian, 2.974, 1.000, 1.0, 2.974),
        (Quadratic, 2.000, 0.437, 1.458, 5.641),
        (MultiQuadratic, 1.525, 0.131, 2.639, 19.36),
        (ExpSin, 0.478, 0.411, 1.690, 1.255),
        (CosineGaussian, 2.677, 1.383, 0.8705, 1.804),
    ],
)
def test_families_made_up_of_two_formulas(
    cls: type[Activation], gain: float, cond: float, root: float, gain_at_root: float
) -> None:
    """Without any closed form, value and slope are enough: golden values of five further families."""
    phi = cls(1.0)
    assert gain_squared(phi, 1.0) == pytest.approx(gain, rel=2e-3)
    assert condition(phi, 1.0) == pytest.approx(cond, rel=3e-3)
    stable = stable_sigma_p(phi)
    assert stable.kind == "root"
    assert stable.sigma_p == pytest.approx(root, rel=1e-3)
    assert gain_squared(phi, stable.sigma_p) == pytest.approx(gain_at_root, rel=2e-3)


def test_limits_at_infinity_are_told() -> None:
    """GELU tends to cond 1 at both ends, softplus from below at infinity; neither has a root."""
    assert stable_sigma_p(Gelu(1.0)).kind == "both_ends"
    assert stable_sigma_p(Softplus(1.0)).kind == "limit_at_infinity"
    assert condition(Softplus(1.0), 5.0) < 1.0 < condition(Gelu(1.0), 2.0) < 1.08
