"""Families: values, derivatives, one definition for NumPy and torch, names and their errors."""

import math

import numpy as np
import pytest
import torch

from vi3nr.activations import activation, families

SCALES = {"gaussian": 0.05, "sine": 1 / 30, "sinc": 0.04, "tanh": 0.7, "sigmoid": 0.7, "relu": 1.0}
EXACT = {
    "gaussian": lambda x, a: math.exp(-x * x / (2 * a * a)),
    "sine": lambda x, a: math.sin(x / a),
    "sinc": lambda x, a: math.sin(x / a) / (x / a) if x else 1.0,
    "tanh": lambda x, a: math.tanh(x / a),
    "sigmoid": lambda x, a: 1 / (1 + math.exp(-x / a)),
    "relu": lambda x, a: max(x, 0.0),
}
every_family = pytest.mark.parametrize("family", sorted(families()))


def points(scale: float) -> np.ndarray:
    return scale * np.concatenate([[0.0], np.geomspace(1e-9, 60.0, 60), -np.geomspace(1e-9, 60.0, 60)])


@every_family
def test_value_is_the_formula(family: str) -> None:
    """f(x) is the family's formula, at 0, near it and far out."""
    a = SCALES[family]
    x = points(a)
    expected = [EXACT[family](float(point), a) for point in x]
    np.testing.assert_allclose(activation(family, a).value(x, np), expected, rtol=1e-12, atol=1e-15)


@every_family
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numpy_and_torch_agree_and_keep_the_dtype(family: str, dtype: torch.dtype) -> None:
    """One definition serves both: the same numbers, in the array's own dtype."""
    phi = activation(family, SCALES[family])
    tensor = torch.from_numpy(points(SCALES[family])).to(dtype)
    for method in (phi.value, phi.derivative):
        ours, theirs = method(tensor.numpy(), np), method(tensor, torch)
        assert theirs.dtype == dtype
        assert ours.dtype == tensor.numpy().dtype
        tolerance = 3e-5 if dtype == torch.float32 else 1e-13
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=tolerance, atol=tolerance * np.abs(ours).max())


@every_family
def test_autograd_finds_the_derivative(family: str) -> None:
    """``derivative`` is what backpropagation through ``value`` gives, at every point, 0 and kinks included."""
    phi = activation(family, SCALES[family])
    x = torch.from_numpy(points(SCALES[family])).requires_grad_()
    (gradient,) = torch.autograd.grad(phi.value(x, torch).sum(), x)
    exact = phi.derivative(x.detach(), torch)
    torch.testing.assert_close(gradient, exact, rtol=1e-7, atol=1e-7 * float(exact.abs().max()))


@every_family
def test_gradcheck(family: str) -> None:
    """The derivative is the slope of the value by finite differences, away from kinks."""
    phi = activation(family, SCALES[family])
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
    assert np.isnan(activation(family, SCALES[family]).value(np.array([np.nan]), np)).all()


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
