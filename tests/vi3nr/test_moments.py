"""Three independent ways to each moment agree, with mpmath and SciPy as referees at the ends of the range."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfcx

from vi3nr.activations import activation, families
from vi3nr.moments import MomentTable, moments
from vi3nr.monte_carlo import sampled_expectation
from vi3nr.quadrature import normal_expectation

NAMES = ("mean", "second_moment", "slope_second_moment")
every_family = pytest.mark.parametrize("family", sorted(families()))
LARGEST = {"finer": 1.0}  # log10 of rho: beyond, its frequency grows with abs(x) out of any quadrature's reach
relaxed = settings(deadline=None, max_examples=25, derandomize=True)


def at_rho(family: str, rho: float) -> tuple:
    phi = activation(family)
    return phi, rho * phi.sigma_a


@every_family
@relaxed
@given(log_rho=st.floats(-3.0, 3.0))
def test_quadrature_agrees_with_the_closed_forms(family: str, log_rho: float) -> None:
    """Over six decades of rho the quadrature gives every closed form to a relative 1e-10."""
    phi, sigma_p = at_rho(family, 10.0 ** min(log_rho, LARGEST.get(family, 3.0)))
    exact, numeric = moments(phi, sigma_p), moments(phi, sigma_p, method="quadrature")
    assert numeric.methods == ("quadrature",) * 3
    for name, way in zip(NAMES, exact.methods, strict=True):
        assert (way == "closed_form") == (name in phi.closed_form)
        assert math.isclose(getattr(numeric, name), getattr(exact, name), rel_tol=1e-10, abs_tol=1e-15)


@every_family
@settings(deadline=None, max_examples=8, derandomize=True)
@given(log_rho=st.floats(-3.0, 3.0), seed=st.integers(0, 1000))
def test_sampling_agrees_within_its_standard_error(family: str, log_rho: float, seed: int) -> None:
    """Over six decades of rho a Monte Carlo estimate lies within five of its own standard errors of the moment."""
    phi, sigma_p = at_rho(family, 10.0**log_rho)
    exact = moments(phi, sigma_p)  # FINER's closed form reaches further than any quadrature
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


def _expected(family: str, rho: float) -> tuple[float, float]:
    """E abs(phi)^2 and E abs(phi')^2 by mpmath's own differentiation and integration, at 20 digits, sigma_a 1."""
    phi = {
        "gabor": lambda u: mpmath.cos(3 * u) * mpmath.exp(-u * u / 2),
        "wire": lambda u: mpmath.exp(3j * u - u * u / 2),
        "laplacian": lambda u: mpmath.exp(-abs(u)),
        "quadratic": lambda u: 1 / (1 + u * u),
        "multi_quadratic": lambda u: 1 / mpmath.sqrt(1 + u * u),
        "super_gaussian": lambda u: mpmath.exp(-2 * u * u),
        "exp_sin": lambda u: mpmath.exp(-mpmath.sin(u)),
        "gelu": lambda u: u * mpmath.ncdf(u),
        "silu": lambda u: u / (1 + mpmath.exp(-u)),
        "softplus": lambda u: mpmath.log1p(mpmath.exp(u)),
        "leaky_relu": lambda u: u if u > 0 else u / 10,
        "hosc": lambda u: mpmath.tanh(4 * mpmath.sin(u)),
        "finer": lambda u: mpmath.sin(u + u * abs(u)),
    }[family]
    slope = (
        (lambda u: (1 + abs(u)) * mpmath.cos(u + u * abs(u))) if family == "finer" else lambda u: mpmath.diff(phi, u)
    )
    with mpmath.workdps(20):
        steps = sorted({mpmath.mpf(e) for e in (0.1, 0.4, 1, 2, 3, 4.5, 6, 8, 11)})
        ends = [e for e in (*steps, rho, 3 * rho, 6 * rho) if e < 12 * rho] + [12 * mpmath.mpf(rho)]
        edges = [-e for e in sorted(ends, reverse=True)] + [mpmath.mpf(0)] + sorted(ends)
        density = lambda u: mpmath.npdf(u, 0, rho)  # noqa: E731
        return tuple(float(mpmath.quad(lambda u, f=f: abs(f(u)) ** 2 * density(u), edges)) for f in (phi, slope))


REFEREED = [
    *[(family, 0.05, {}) for family in ("quadratic", "multi_quadratic", "gelu", "exp_sin", "laplacian", "finer")],
    *[(family, 1.3, {}) for family in ("quadratic", "multi_quadratic", "gelu", "silu", "softplus", "leaky_relu")],
    *[("gabor", 0.7, {"omega": 3.0}), ("wire", 0.7, {"omega": 3.0}), ("super_gaussian", 0.9, {"b": 4.0})],
    *[("finer", 0.8, {}), ("exp_sin", 1.3, {}), ("hosc", 1.3, {"b": 4.0}), ("laplacian", 1.3, {})],
]


@pytest.mark.parametrize(("family", "rho", "parameters"), REFEREED)
def test_every_family_agrees_with_mpmath(family: str, rho: float, parameters: dict) -> None:
    """Second moments of value and slope, from the formula alone, to a relative 1e-10: scales 1 and kinks included."""
    parameters = {"negative_slope": 0.1} if family == "leaky_relu" else parameters
    found = moments(activation(family, 1.0, **parameters), rho)
    second, slope = _expected(family, rho)
    assert math.isclose(found.second_moment, second, rel_tol=1e-10)
    assert math.isclose(found.slope_second_moment, slope, rel_tol=1e-10)


@pytest.mark.parametrize("rho", [1e-3, 0.03, 0.2499, 0.2501, 1.1, 1e3])
def test_rational_bumps_keep_their_digits_everywhere(rho: float) -> None:
    """E u^2m (1 + u^2)^-n against Tricomi's function in 40 digits, to 1e-11, also where the recurrence would cancel."""

    def exact(m: int, n: int) -> float:
        b = 1 / (2 * mpmath.mpf(rho) ** 2)
        half = mpmath.mpf(1) / 2
        return float(mpmath.gamma(m + half) * mpmath.hyperu(m + half, m + 3 * half - n, b) * mpmath.sqrt(b / mpmath.pi))

    with mpmath.workdps(40):
        quadratic, multi = (activation(name, 1.0).unit_moments(rho) for name in ("quadratic", "multi_quadratic"))
        expected = [exact(0, 1), exact(0, 2), 4 * exact(1, 4), exact(0, 1), exact(1, 3)]
    found = [quadratic.mean, quadratic.second_moment, quadratic.slope_second_moment]
    found += [multi.second_moment, multi.slope_second_moment]
    np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize("rho", [1e-6, 0.01, 0.02999, 0.03, 0.5, 1e3, 1e6])
def test_finer_keeps_its_digits_where_the_phase_is_small_and_far_out(rho: float) -> None:
    """E sin^2 is E u^2 for tiny rho and 1/2 for huge rho, without a jump where its power series ends."""
    finer = activation("finer", omega=30.0)
    found = finer.unit_moments(rho)
    if rho < 1.0:
        assert math.isclose(
            found.second_moment, moments(finer, rho / 30, method="quadrature").second_moment, rel_tol=1e-11
        )
    else:
        assert found.second_moment == pytest.approx(0.5, abs=1e-2)
        assert found.slope_second_moment == pytest.approx((rho / 30) ** 2 / 2, rel=0.1)


@pytest.mark.parametrize("b", [0.3, 1.0, 8.0, 40.0])
def test_one_period_is_as_good_as_the_line(b: float) -> None:
    """HOSC integrated by its Fourier series agrees with panels over the whole line, for square waves too."""
    hosc = activation("hosc", 1.0, b=b)
    for rho in (1.3, 30.0):
        line = normal_expectation(lambda u: hosc.phi(u, np)[None] ** 2, rho, feature=1 / b)
        assert math.isclose(moments(hosc, rho).second_moment, line.values[0], rel_tol=1e-11)


@pytest.mark.parametrize("family", ["tanh", "sigmoid", "softplus", "silu", "hosc"])
def test_the_quick_table_is_as_good_as_the_quadrature(family: str) -> None:
    """What root finding uses, nodes shared by all rho, agrees with each rho's own quadrature to 1e-11."""
    phi = activation(family)
    table = MomentTable(phi, 1e-3, 1e3).at(np.geomspace(1e-3, 1e3, 9))
    for column, rho in zip(table.T, np.geomspace(1e-3, 1e3, 9), strict=True):
        own = moments(phi, float(rho) * phi.sigma_a)
        expected = (own.second_moment, own.slope_second_moment * phi.sigma_a**2)
        np.testing.assert_allclose(column, expected, rtol=1e-11)


@pytest.mark.parametrize(
    "diverges", [lambda z: 1 / (z - 0.7), np.tan, lambda z: np.exp(z**2), lambda z: np.exp(900 * z)]
)
def test_an_expectation_that_does_not_exist_is_not_given(diverges) -> None:
    """A pole, growth that beats the density, and overflow end with ``converged`` false."""
    with np.errstate(all="ignore"):
        assert not normal_expectation(lambda z: diverges(z)[None] ** 2, 1.0).converged


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
