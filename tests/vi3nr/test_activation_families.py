"""Families: values, derivatives, one definition for NumPy and torch, names and their errors."""

import cmath
import math

import numpy as np
import pytest
import torch

from vi3nr.activations import activation, families

SCALES = {
    **{"gaussian": 0.05, "sine": 1 / 30, "sinc": 0.04, "gabor": 0.07, "wire": 0.07, "finer": 1 / 20, "hosc": 1 / 30},
    **{"laplacian": 0.3, "quadratic": 0.2, "multi_quadratic": 0.2, "super_gaussian": 0.4, "exp_sin": 0.5},
    **{"tanh": 0.7, "sigmoid": 0.7, "relu": 1.0, "leaky_relu": 1.0, "softplus": 0.5, "gelu": 0.6, "silu": 0.4},
}
OTHERS = {
    "gabor": {"omega": 15.0},
    "hosc": {"b": 3.0},
    "super_gaussian": {"b": 2.5},
    "leaky_relu": {"negative_slope": 0.2},
}
EXACT = {
    "gaussian": lambda x, a: math.exp(-x * x / (2 * a * a)),
    "sine": lambda x, a: math.sin(x / a),
    "sinc": lambda x, a: math.sin(x / a) / (x / a) if x else 1.0,
    "wire": lambda x, a: cmath.exp(20j * x - x * x / (2 * a * a)),
    "gabor": lambda x, a: math.cos(15 * x) * math.exp(-x * x / (2 * a * a)),
    "finer": lambda x, a: math.sin((abs(x) + 1) * x / a),
    "hosc": lambda x, a: math.tanh(3 * math.sin(x / a)),
    "laplacian": lambda x, a: math.exp(-abs(x) / a),
    "quadratic": lambda x, a: 1 / (1 + (x / a) ** 2),
    "multi_quadratic": lambda x, a: (1 + (x / a) ** 2) ** -0.5,
    "super_gaussian": lambda x, a: math.exp(-x * x / (2 * a * a)) ** 2.5,
    "exp_sin": lambda x, a: math.exp(-math.sin(x / a)),
    "tanh": lambda x, a: math.tanh(x / a),
    "sigmoid": lambda x, a: 1 / (1 + math.exp(-x / a)),
    "relu": lambda x, a: max(x, 0.0),
    "leaky_relu": lambda x, a: max(x, 0.2 * x),
    "softplus": lambda x, a: math.log1p(math.exp(x / a)),
    "gelu": lambda x, a: x / a * math.erfc(-x / a / math.sqrt(2)) / 2,
    "silu": lambda x, a: x / a / (1 + math.exp(-x / a)),
}
every_family = pytest.mark.parametrize("family", sorted(families()))
every_real_family = pytest.mark.parametrize("family", sorted(n for n, cls in families().items() if not cls.complex))


def build(family: str, sigma_a: float | None = None):
    return activation(family, SCALES[family] if sigma_a is None else sigma_a, **OTHERS.get(family, {}))


def points(scale: float) -> np.ndarray:
    return scale * np.concatenate([[0.0], np.geomspace(1e-9, 60.0, 60), -np.geomspace(1e-9, 60.0, 60)])


@every_family
def test_value_is_the_formula(family: str) -> None:
    """f(x) is the family's formula, at 0, near it and far out."""
    a = SCALES[family]
    x = points(a)
    expected = [EXACT[family](float(point), a) for point in x]
    np.testing.assert_allclose(build(family).value(x, np), expected, rtol=1e-12, atol=1e-14)


@every_family
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numpy_and_torch_agree_and_keep_the_dtype(family: str, dtype: torch.dtype) -> None:
    """One definition serves both: the same numbers, in the array's own dtype."""
    phi = build(family)
    tensor = torch.from_numpy(points(SCALES[family])).to(dtype)
    for method in (phi.value, phi.derivative):
        ours, theirs = method(tensor.numpy(), np), method(tensor, torch)
        assert theirs.dtype == (dtype.to_complex() if phi.complex else dtype)
        assert ours.dtype == theirs.numpy().dtype
        tolerance = 3e-5 if dtype == torch.float32 else 1e-13
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=tolerance, atol=tolerance * np.abs(ours).max())


@every_real_family
def test_autograd_finds_the_derivative(family: str) -> None:
    """``derivative`` is what backpropagation through ``value`` gives, at every point, 0 and kinks included."""
    phi = build(family)
    x = torch.from_numpy(points(SCALES[family])).requires_grad_()
    (gradient,) = torch.autograd.grad(phi.value(x, torch).sum(), x)
    exact = phi.derivative(x.detach(), torch)
    torch.testing.assert_close(gradient, exact, rtol=1e-7, atol=1e-7 * float(exact.abs().max()))


@every_family
def test_gradcheck(family: str) -> None:
    """The derivative is the slope of the value by finite differences, away from kinks; FINER says that its is not."""
    phi = build(family)
    assert phi.gradient == ("detached" if family == "finer" else "exact")
    if family == "finer":
        return
    x = SCALES[family] * torch.tensor([-3.1, -0.7, -0.3, 0.2, 0.45, 0.55, 1.9, 4.2], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: phi.value(x, torch), x.requires_grad_(), eps=1e-7, atol=1e-5, rtol=1e-5)


def test_derivative_of_sinc_is_smooth_where_its_series_begins() -> None:
    """The series and the closed form of sinc' meet at |u| = 1/2, and near 0 it is -u/3 to the last digits."""
    sinc = activation("sinc", 1.0)
    below, above = sinc.slope(np.nextafter(0.5, 0.0), np), sinc.slope(np.float64(0.5), np)
    assert math.isclose(below, above, rel_tol=1e-14)
    assert math.isclose(sinc.slope(np.float64(1e-6), np), -1e-6 / 3, rel_tol=1e-12)


def test_narrow_gaussian_never_underflows() -> None:
    """Far out a Gaussian is tiny but no denormal: torch.exp would take many times longer there."""
    tail = activation("gaussian", 0.005).value(torch.tensor([1.0, -30.0]), torch)
    assert (tail > 0).all()
    assert (tail < 1e-30).all()


@every_family
def test_not_a_number_stays_visible(family: str) -> None:
    """NaN comes out as NaN, so that a diverged network shows."""
    assert np.isnan(build(family).value(np.array([np.nan]), np)).all()


@every_family
def test_class_data_is_true(family: str) -> None:
    """``even`` and ``closed_form`` say what the functions do, and the customary scales lie in the default range."""
    cls = families()[family]
    phi = activation(family)
    assert cls.family == family
    u = np.linspace(0.1, 5.0, 20)
    assert cls.even == np.allclose(phi.phi(u, np), phi.phi(-u, np))
    found = phi.unit_moments(1.0)
    named = ("mean", "second_moment", "slope_second_moment")
    assert cls.closed_form == tuple(name for name in named if getattr(found, name) is not None)
    low, high = cls.sigma_a_range
    assert all(low <= value <= high for value in cls.customary_sigma_a)
    assert phi.sigma_a == cls.customary_sigma_a[0]
    assert cls.formula
    assert cls.label


def test_finer_holds_its_factor_constant() -> None:
    """FINER's derivative is autograd's of a plain implementation with the factor detached, and not the true one."""
    finer = activation("finer", omega=7.0)
    x = torch.linspace(-2.0, 2.0, 41, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        factor = x.abs() + 1.0
    (detached,) = torch.autograd.grad(torch.sin(7.0 * factor * x).sum(), x)
    (true,) = torch.autograd.grad(torch.sin(7.0 * (x.abs() + 1.0) * x).sum(), x)
    ours = finer.derivative(x.detach(), torch)
    torch.testing.assert_close(ours, detached, rtol=1e-12, atol=1e-12)
    assert float((ours - true).abs().max()) > 1.0
    assert finer.derivative(np.array([0.3]), np) == pytest.approx(7 * 1.3 * math.cos(7 * 1.3 * 0.3))


def test_a_complex_wavelet_has_two_derivatives() -> None:
    """For complex x, backpropagation through WIRE is made of df/dx and df/dconj(x); for real x they add up to f'."""
    wire = activation("wire", s=3.0, omega=4.0)
    generator = np.random.default_rng(0)
    x = torch.tensor(generator.normal(size=30) * 0.3 + 0.2j * generator.normal(size=30))
    g = torch.tensor(generator.normal(size=30) + 1j * generator.normal(size=30))
    x.requires_grad_()
    (got,) = torch.autograd.grad(wire.value(x, torch), x, g)
    along, across = wire.derivative(x.detach(), torch), wire.conjugate_derivative(x.detach(), torch)
    torch.testing.assert_close(got, along.conj() * g + across * g.conj(), rtol=1e-12, atol=1e-12)
    real = x.detach().real
    both = wire.derivative(real + 0j, torch) + wire.conjugate_derivative(real + 0j, torch)
    torch.testing.assert_close(both, wire.derivative(real, torch), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(wire.value(real, torch).real, activation("gabor", s=3.0, omega=4.0).value(real, torch))


SPELLINGS = [  # family, its parameters by the field's names, x, what the field's own formula gives there
    ("gaussian", {"s": 30.0}, lambda x: math.exp(-((30 * x) ** 2))),
    ("gaussian", {"a": 0.05}, lambda x: math.exp(-x * x / (2 * 0.05**2))),
    ("gabor", {"s": 10.0, "omega": 12.0}, lambda x: math.cos(12 * x) * math.exp(-((10 * x) ** 2))),
    ("wire", {"s": 10.0, "omega": 20.0}, lambda x: cmath.exp(20j * x - abs(10 * x) ** 2)),
    ("sinc", {"omega": 9.0}, lambda x: math.sin(9 * x) / (9 * x)),
    ("sinc", {"sinc_omega": 9.0}, lambda x: float(torch.sinc(torch.tensor(9 * x, dtype=torch.float64)))),
    ("finer", {"omega": 30.0}, lambda x: math.sin(30 * (abs(x) + 1) * x)),
    ("hosc", {"omega": 30.0, "b": 2.0}, lambda x: math.tanh(2 * math.sin(30 * x))),
    ("laplacian", {"a": 0.3}, lambda x: math.exp(-abs(x) / 0.3)),
    ("quadratic", {"a": 5.0}, lambda x: 1 / (1 + (5 * x) ** 2)),
    ("multi_quadratic", {"a": 5.0}, lambda x: 1 / math.sqrt(1 + (5 * x) ** 2)),
    ("super_gaussian", {"a": 0.3, "b": 2.0}, lambda x: math.exp(-x * x / (2 * 0.3**2)) ** 2),
    ("exp_sin", {"a": 5.0}, lambda x: math.exp(-math.sin(5 * x))),
]


@pytest.mark.parametrize(("family", "given", "formula"), SPELLINGS)
def test_conventions_of_the_field_are_converted(family: str, given: dict, formula) -> None:
    """s, a, omega and the pi of torch.sinc mean what their papers mean; a second, different scale is refused."""
    phi = activation(family, **given)
    assert phi.value(np.array([0.037]), np)[0] == pytest.approx(formula(0.037), rel=1e-12)
    with pytest.raises(ValueError, match="which means sigma_a"):
        activation(family, 2.0 * phi.sigma_a, **given)


@pytest.mark.parametrize(
    ("family", "given"), [("super_gaussian", {"b": 0.0}), ("gabor", {"omega": -1.0}), ("hosc", {"b": math.inf})]
)
def test_parameters_are_checked_by_name(family: str, given: dict) -> None:
    """A parameter that must be positive and is not, or is not finite, is named with its value."""
    with pytest.raises(ValueError, match=f"{next(iter(given))} of {family} must be"):
        activation(family, **given)


def test_omega_is_the_inverse_of_sigma_a() -> None:
    """Sine takes omega for 1 / sigma_a, both when they agree, and refuses a contradiction."""
    assert activation("sine", omega=30) == activation("sine", 1 / 30)
    assert activation("sine", 1 / 30, omega=30).sigma_a == 1 / 30
    with pytest.raises(ValueError, match=r"sigma_a 0\.05 and omega 30"):
        activation("sine", 0.05, omega=30)
    with pytest.raises(ValueError, match="omega of sine must be a positive finite number, got 0"):
        activation("sine", omega=0)


def test_unknown_names_list_the_choices() -> None:
    """An unknown family or parameter is told with what there is."""
    with pytest.raises(ValueError, match="'siren' is unknown; choose one of gaussian, sine"):
        activation("siren")
    with pytest.raises(ValueError, match="gaussian has no parameter 'omega'"):
        activation("gaussian", omega=30)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, True, "0.1"])
def test_scale_must_be_positive_and_finite(bad: object) -> None:
    """A scale that is not a positive finite number is named in the error."""
    with pytest.raises(ValueError, match="sigma_a of gaussian must be"):
        activation("gaussian", bad)  # type: ignore[arg-type]


def test_relu_has_no_scale() -> None:
    """ReLU's sigma_a is 1 and nothing else."""
    assert activation("relu").sigma_a == 1.0
    with pytest.raises(ValueError, match="relu has no scale"):
        activation("relu", 0.5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_sincs_gradient_keeps_its_digits_near_0(dtype: torch.dtype) -> None:
    """Autograd's slope is -u/3 and so on to a few roundings of the type, where cos(u)/u - sin(u)/u^2 would cancel."""
    sign = torch.tensor([1.0, -1.0])[:, None]
    u = (sign * torch.logspace(-7, 0.4, 60)).flatten().to(dtype).requires_grad_()
    activation("sinc", 1.0).value(u, torch).sum().backward()
    at = u.detach().double()
    series = sum((-1) ** k * 2 * k / math.factorial(2 * k + 1) * at ** (2 * k - 1) for k in range(1, 16))
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(u.grad.double(), series, rtol=60 * eps, atol=torch.finfo(dtype).tiny * eps)
    x = torch.tensor([1e-3], dtype=dtype, requires_grad=True)
    activation("sinc", omega=30).value(x, torch).sum().backward()
    assert float(x.grad) == pytest.approx(-0.3, rel=10 * max(eps, 1e-4))
