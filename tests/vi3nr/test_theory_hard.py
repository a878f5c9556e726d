"""Activations that make the theory's work hard: kinks away from 0, scales below the grid, moments that do not exist."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from vi3nr.activations import activation
from vi3nr.config import InitConfig
from vi3nr.families_custom import custom_activation
from vi3nr.moments import moments
from vi3nr.profile import vi3nr_config
from vi3nr.propagation import fixed_point_variance, per_layer_gradient_factor
from vi3nr.theory import condition, stable_sigma_p

WIDTHS = (2, 32, 32, 3)


def shifted_relu(shift: float, std: float) -> tuple[float, float]:
    """E f^2 and E f'^2 of relu(x - shift), in closed form."""
    t = shift / std
    return (shift**2 + std**2) * norm.sf(t) - shift * std * norm.pdf(t), norm.sf(t)


@pytest.mark.parametrize("shift", [0.1, 1.0])
def test_a_kink_away_from_0_is_hard_for_small_rho_alone(shift: float) -> None:
    """There the activation is 0; cond is above 1 and tends to 1 as sigma_p grows, as its closed form says."""
    phi = activation(f"relu(x-{shift})")
    for std in (0.5 * shift, shift, 10 * shift, 1000.0):
        second, slope = shifted_relu(shift, std)
        assert condition(phi, std) == pytest.approx(std**2 * slope / second, rel=1e-8)
        assert std**2 * slope / second > 1.0
    assert stable_sigma_p(phi).kind == "limit_at_infinity"


def test_no_slope_at_all_is_told_as_the_cause() -> None:
    """sign(x) passes no gradient: the theory says so, and a sigma_p that is given needs only E f^2 = 1."""
    phi = activation("sign(x)")
    for call in (lambda: stable_sigma_p(phi), lambda: vi3nr_config(phi, WIDTHS)):
        with pytest.raises(ArithmeticError, match=r"moments of .*sign.* E f'\^2 is 0, so no gradient passes"):
            call()
    config = vi3nr_config(phi, WIDTHS, sigma_p=0.5)
    assert config.stability is None
    assert config.layers[1].weight_std == pytest.approx(0.5 / math.sqrt(32), rel=1e-9)
    assert InitConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("formula", ["tan(x)", "x+1e-3*exp(x**2)", "sinh(x)*exp(x**2/4)"])
def test_moments_that_do_not_exist_are_no_limit(formula: str) -> None:
    """The last rho that can be computed is not the end of the range, so nothing is said of infinity."""
    assert stable_sigma_p(activation(formula)).kind in ("limit_at_0", "none")


@settings(deadline=None, max_examples=6, derandomize=True)
@given(scale=st.floats(-4.3, -0.7).map(lambda power: 10.0**power))
def test_a_formulas_own_scale_may_lie_below_the_grid(scale: float) -> None:
    """exp(-x^2 / (2 a^2)) has the Gaussian's root, and sin(x / a) its limit at 0, for any a down to 5e-5."""
    bump = stable_sigma_p(activation("exp(-x**2/(2*a**2))", a=scale))
    assert (bump.kind, bump.sigma_p) == ("root", pytest.approx(stable_sigma_p(activation("gaussian", scale)).sigma_p))
    assert stable_sigma_p(activation("sin(w*x)", w=1.0 / scale)).kind == "limit_at_0"


@pytest.mark.parametrize("b", [1.0, 50.0, 500.0, 5000.0])
def test_steep_hosc_has_its_limit_at_0(b: float) -> None:
    """Near 0 it is tanh(b u), whose cond tends to 1, however steep."""
    assert stable_sigma_p(activation("hosc", omega=30, b=b)).kind == "limit_at_0"


@pytest.mark.parametrize("family", ["gabor", "wire"])
@pytest.mark.parametrize("omega", [1.0, 20.0, 1e3, 1e5])
def test_fast_waves_in_a_wide_envelope_have_a_root(family: str, omega: float) -> None:
    """Up to an omega of 7000 per sigma_a; cond is 1 there by the moments of quadrature, too."""
    phi = activation(family, 0.07, omega=omega)
    stable = stable_sigma_p(phi)
    assert stable.kind == "root"
    found = moments(phi, stable.sigma_p, method="quadrature")
    assert stable.sigma_p**2 * found.slope_second_moment / found.second_moment == pytest.approx(1.0, abs=1e-6)


def test_a_function_with_a_narrow_feature_is_seen() -> None:
    """A custom activation whose feature is given is scanned down to it, and no further."""
    bump = lambda feature: custom_activation(lambda u: (-8e6 * u * u).exp(), name="slit", feature=feature)  # noqa: E731
    seen = stable_sigma_p(bump(1e-4))
    assert (seen.kind, seen.sigma_p) == ("root", pytest.approx(1.5538 / 4000, rel=1e-4))
    assert stable_sigma_p(bump(1e-2)).kind == "none"


def test_a_fixed_point_below_what_can_be_computed() -> None:
    """E exp(2z) = exp(2v): v = 0.1 exp(2v) at v = 0.1296, though large stds are beyond the quadrature."""
    v = fixed_point_variance(activation("exp(x)"), 0.1)
    assert v == pytest.approx(0.1 * math.exp(2 * v), rel=1e-9)
    assert v == pytest.approx(0.1296, abs=1e-4)
    assert per_layer_gradient_factor(activation("exp(x)"), 0.1) == pytest.approx(v, rel=1e-9)  # E f'^2 = E f^2
    assert fixed_point_variance(activation("sinh(x)"), 0.5) is None  # 0.5 E sinh^2 is below v up to 0.6, then explodes


def test_a_fixed_point_where_the_activation_is_silent() -> None:
    """relu(x - 0.1): with a large bias the recursion's own, with a small one the bias alone, for E f^2 underflows."""
    phi = activation("relu(x-0.1)")
    v = fixed_point_variance(phi, 0.5, bias_variance=0.1)
    assert v == pytest.approx(0.5 * shifted_relu(0.1, math.sqrt(v))[0] + 0.1, rel=1e-9)
    assert fixed_point_variance(phi, 0.5, bias_variance=1e-6) == pytest.approx(1e-6, rel=1e-9)


def test_a_fixed_point_that_cannot_be_computed_is_an_error() -> None:
    """NaN everywhere: an ArithmeticError, not None, which would say that the variance dies out or explodes."""
    hole = lambda u: torch.where((u != 0.0) & (u.abs() < 0.3), torch.nan, u)  # noqa: E731
    phi = custom_activation(hole, name="hole_around_0")
    with pytest.raises(ArithmeticError, match="cannot be computed for any rho from 1e-4 to 1e4"):
        fixed_point_variance(phi, 1.0)
    with pytest.raises(ArithmeticError, match="cannot be computed for any rho from 1e-3 to 1e3"):
        stable_sigma_p(phi)
