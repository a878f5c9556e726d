"""Three independent ways to each moment agree, with mpmath and SciPy as referees at the ends of the range."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfcx

from vi3nr.activations import activation, families
from vi3nr.moments import moments
from vi3nr.monte_carlo import sampled_expectation
from vi3nr.quadrature import normal_expectation

NAMES = ("mean", "second_moment", "slope_second_moment")
every_family = pytest.mark.parametrize("family", sorted(families()))
relaxed = settings(deadline=None, max_examples=25, derandomize=True)


def at_rho(family: str, rho: float) -> tuple:
    phi = activation(family)
    return phi, rho * phi.sigma_a


@every_family
@relaxed
@given(log_rho=st.floats(-3.0, 3.0))
def test_quadrature_agrees_with_the_closed_forms(family: str, log_rho: float) -> None:
    """Over six decades of rho the quadrature gives every closed form to a relative 1e-10."""
    phi, sigma_p = at_rho(family, 10.0**log_rho)
    exact, numeric = moments(phi, sigma_p), moments(phi, sigma_p, method="quadrature")
    assert numeric.methods == ("quadrature",) * 3
    for name, way in zip(NAMES, exact.methods, strict=True):
        assert (way == "closed_form") == (name in phi.closed_form)
        assert math.isclose(getattr(numeric, name), getattr(exact, name), rel_tol=1e-10, abs_tol=1e-15)


@every_family
@settings(deadline=None, max_examples=8, derandomize=True)
@given(log_rho=st.floats(-1.0, 1.3), seed=st.integers(0, 1000))
def test_sampling_agrees_within_its_standard_error(family: str, log_rho: float, seed: int) -> None:
    """A Monte Carlo estimate lies within five of its own standard errors of the exact moment."""
    phi, sigma_p = at_rho(family, 10.0**log_rho)
    exact = moments(phi, sigma_p)
    sampled = moments(phi, sigma_p, method="monte_carlo", samples=100_000, generator=np.random.default_rng(seed))
    assert sampled.methods == ("monte_carlo",) * 3
    assert sampled.standard_errors is not None
    for name, error in zip(NAMES, sampled.standard_errors, strict=True):
        value = getattr(exact, name)
        assert abs(getattr(sampled, name) - value) <= 5.0 * error + 1e-12 * abs(value)


def test_standard_error_of_a_gaussian_is_the_known_one() -> None:
    """At 10^6 samples the relative standard error of E f^2 is 0.06 % at rho 1 and 0.44 % at rho 20 (closed form)."""
    for rho, expected in ((1.0, 6e-4), (20.0, 4.4e-3)):
        exact = math.sqrt((1 + 2 * rho**2) / math.sqrt(1 + 4 * rho**2) - 1) / 1000.0
        assert exact == pytest.approx(expected, rel=0.1)
        phi, sigma_p = at_rho("gaussian", rho)
        sampled = moments(phi, sigma_p, method="monte_carlo", samples=1_000_000, generator=np.random.default_rng(1))
        assert sampled.standard_errors is not None
        assert sampled.standard_errors[1] / sampled.second_moment == pytest.approx(exact, rel=0.02)


def _referee(f, rho: float) -> float:
    """E f(u), u ~ N(0, rho^2), f even, by mpmath with 25 digits, split where f or the density changes."""
    with mpmath.workdps(25):
        reach = 14 * mpmath.mpf(rho)
        edges = sorted(
            {mpmath.mpf(0), reach, *(mpmath.mpf(e) for e in (1, 4, 16, 60) if e < reach), reach / 14, reach / 4}
        )
        density = lambda u: mpmath.exp(-((u / rho) ** 2) / 2) / (mpmath.sqrt(2 * mpmath.pi) * rho)  # noqa: E731
        return float(2 * mpmath.quad(lambda u: f(u) * density(u), edges))


@pytest.mark.parametrize("rho", [1e-3, 1.0, 50.0, 1e3])
def test_families_without_closed_form_agree_with_mpmath(rho: float) -> None:
    """tanh and sigmoid at the ends of the range, to a relative 1e-10; sigmoid^2 enters by its even part."""
    tanh = moments(activation("tanh", 1.0), rho)
    assert tanh.methods == ("closed_form", "quadrature", "quadrature")
    assert math.isclose(tanh.second_moment, _referee(lambda u: mpmath.tanh(u) ** 2, rho), rel_tol=1e-10)
    assert math.isclose(tanh.slope_second_moment, _referee(lambda u: mpmath.sech(u) ** 4, rho), rel_tol=1e-10)
    sigmoid = moments(activation("sigmoid", 1.0), rho)
    second = _referee(lambda u: (1 + mpmath.tanh(u / 2) ** 2) / 4, rho)
    assert math.isclose(sigmoid.second_moment, second, rel_tol=1e-10)
    assert math.isclose(
        sigmoid.slope_second_moment, _referee(lambda u: mpmath.sech(u / 2) ** 4 / 16, rho), rel_tol=1e-10
    )


@pytest.mark.parametrize("rho", [1e-6, 1e-3, 0.05, 0.7, 0.71, 3.0, 40.0])
def test_sinc_keeps_its_digits_where_its_closed_forms_cancel(rho: float) -> None:
    """E sinc^2 and E sinc'^2 by mpmath's integrals of the transform, to a relative 1e-13, also where rho is tiny."""
    found = activation("sinc", 1.0).unit_moments(rho)
    with mpmath.workdps(40):
        a = 2 * mpmath.mpf(rho) ** 2
        edges = [0, *[mpmath.mpf(e) / rho for e in (0.5, 2, 6) if e < rho], 1]
        second = mpmath.quad(lambda t: 2 * (1 - t) * mpmath.exp(-a * t * t), edges)
        weight = lambda t: mpmath.mpf(2) / 3 - 2 * t + 4 * t**3 / 3  # noqa: E731
        slope = mpmath.quad(lambda t: weight(t) * mpmath.exp(-a * t * t), edges)
    assert math.isclose(found.second_moment, float(second), rel_tol=1e-13)
    assert math.isclose(found.slope_second_moment, float(slope), rel_tol=1e-13)


@pytest.mark.parametrize("width", [1e-3, 0.01, 0.05, 1.0, 100.0])
def test_quadrature_handles_a_kink(width: float) -> None:
    """E exp(-2|z|/w) is erfcx(sqrt(2)/w): an equidistant rule errs by 5 % at w = 0.05, ours by less than 1e-12."""
    found = normal_expectation(lambda z: np.exp(-2 * np.abs(z) / width)[None], 1.0, kinks=(0.0,), feature=width)
    assert found.converged
    assert math.isclose(found.values[0], erfcx(math.sqrt(2) / width), rel_tol=1e-12)
    assert found.errors[0] <= 1e-11 * found.values[0]


def test_quadrature_refines_where_nobody_told_it_to() -> None:
    """A jump that was not announced is found and resolved."""
    found = normal_expectation(lambda z: (z > 0.3)[None].astype(float), 1.0)
    assert found.converged
    assert math.isclose(found.values[0], 0.5 * math.erfc(0.3 / math.sqrt(2)), rel_tol=1e-10)


def test_quadrature_that_cannot_converge_says_so() -> None:
    """An integrand of endless detail ends with ``converged`` false, not with a wrong number passed off as right."""
    noise = np.random.default_rng(0)
    found = normal_expectation(lambda z: noise.standard_normal((1, len(z))), 1.0)
    assert not found.converged


def test_sampling_merges_its_chunks() -> None:
    """Mean and standard error over several chunks are those of all samples at once, and the seed decides them."""
    generator = np.random.default_rng(5)
    z = 2.0 * np.concatenate([generator.standard_normal(n) for n in (65536, 65536, 1000)])
    found = sampled_expectation(lambda z: np.stack([z, z**2]), 2.0, 132_072, generator=np.random.default_rng(5))
    np.testing.assert_allclose(found.values, [z.mean(), (z**2).mean()], rtol=1e-10)
    expected = [z.std(ddof=1), (z**2).std(ddof=1)] / np.sqrt(len(z))
    np.testing.assert_allclose(found.standard_errors, expected, rtol=1e-10)


def test_monte_carlo_without_a_generator_is_reproducible() -> None:
    """No generator means seed 0, and NumPy's global state is left alone."""
    before = np.random.get_state()[1].copy()
    first, second = (moments(activation("tanh"), 1.0, method="monte_carlo", samples=1000) for _ in range(2))
    assert first == second
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_sigma_p_must_be_positive_and_finite(bad: float) -> None:
    """A std that is none is refused by name."""
    with pytest.raises(ValueError, match="sigma_p must be positive and finite"):
        moments(activation("sine"), bad)


def test_bad_requests_are_named() -> None:
    """Unknown methods list the choices; moments beyond float64 are an error, not an infinity; one sample is too few."""
    with pytest.raises(ValueError, match="'exact' is unknown; choose one of analytic"):
        moments(activation("sine"), 1.0, method="exact")
    with pytest.raises(ArithmeticError, match="leave the range of float64"):
        moments(activation("sine", 1.0), 1e-200)
    with pytest.raises(ValueError, match="samples must be at least 2"):
        moments(activation("sine"), 1.0, method="monte_carlo", samples=1)
