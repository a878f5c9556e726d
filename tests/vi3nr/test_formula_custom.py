"""Activations from a Python function of one's own."""

import math

import numpy as np
import pytest
import torch

from vi3nr.activations import activation, families
from vi3nr.families_custom import custom_activation
from vi3nr.networks import INR
from vi3nr.profile import vi3nr_config
from vi3nr.theory import stable_sigma_p


def bump(u: torch.Tensor) -> torch.Tensor:
    return torch.exp(-u * u / 2)


def test_a_function_has_values_derivatives_and_theory() -> None:
    """A Gaussian written by hand: autograd gives its slope, quadrature its moments, root finding its sigma_p."""
    ours, theirs = custom_activation(bump, sigma_a=0.3), activation("gaussian", 0.3)
    x = np.linspace(-1, 1, 21)
    np.testing.assert_allclose(ours.value(x, np), theirs.value(x, np), rtol=1e-12)
    np.testing.assert_allclose(ours.derivative(x, np), theirs.derivative(x, np), rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(ours.derivative(torch.tensor(x), torch), theirs.derivative(torch.tensor(x), torch))
    assert stable_sigma_p(ours).sigma_p == pytest.approx(0.3 * math.sqrt(1 + math.sqrt(2)), rel=1e-10)


def test_it_is_known_by_its_name() -> None:
    """Configs name it, networks are built from them, and the built-in families stay as they were."""
    phi = custom_activation(
        lambda u: u.tanh() * u.cos(), lambda u: (1 - u.tanh() ** 2) * u.cos() - u.tanh() * u.sin(), name="tanh_cos"
    )
    assert phi == activation("tanh_cos")
    config = vi3nr_config(phi, (2, 8, 8, 1), sigma_p=0.5)
    assert config.family == "tanh_cos"
    network = INR.from_config(config, seed=0)
    points = torch.ones(4, 2, requires_grad=True)
    network(points).sum().backward()
    assert torch.isfinite(points.grad).all()
    assert "tanh_cos" not in families()


def test_a_given_derivative_is_used() -> None:
    """With a straight-through derivative, the one given counts, as a detached factor's would."""
    phi = custom_activation(torch.round, torch.ones_like, name="rounded")
    assert phi.derivative(np.array([0.3]), np) == 1.0


@pytest.mark.parametrize("name", ["gaussian", "x**2", "two words", ""])
def test_names_that_are_taken_or_none_are_refused(name: str) -> None:
    """Built-in names, formulas and what is no identifier."""
    with pytest.raises(ValueError, match="must be an identifier that no family has"):
        custom_activation(bump, name=name)


def test_a_lambda_needs_a_name_and_a_function_must_be_elementwise() -> None:
    """Both are told when the activation is made, not when a network fails."""
    with pytest.raises(ValueError, match="'<lambda>'"):
        custom_activation(lambda u: u)
    with pytest.raises(ValueError, match="same shape and dtype"):
        custom_activation(torch.sum, name="total")
