"""Activations from a Python function of one's own."""

import copy
import io
import math
import pickle

import numpy as np
import pytest
import torch

from vi3nr import activations
from vi3nr.activations import activation, families
from vi3nr.families_custom import custom_activation
from vi3nr.networks import INR
from vi3nr.profile import vi3nr_config
from vi3nr.snippets import pytorch_script
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


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda u: torch.softmax(u, -1), "value must be elementwise"),
        (lambda u: torch.softmax(u, 0), "value must be elementwise"),
        (lambda u: u - u.mean(), "value must be elementwise"),
        (lambda u: u.cumsum(0), "value must be elementwise"),
        (torch.sqrt, "value must be finite near 0, got .*nan"),
        (torch.log, "value must be finite near 0"),
        (lambda u: u.sin() / u, "value must be finite near 0"),
        (lambda u: u.float(), "same shape and dtype"),
    ],
)
def test_functions_that_are_no_activations_are_refused(value, message: str) -> None:
    """What mixes its numbers, or is NaN or infinite near 0; as a derivative too, and no name is left behind."""
    with pytest.raises(ValueError, match=message):
        custom_activation(value, name="no_activation")
    with pytest.raises(ValueError, match=message.replace("value", "derivative")):
        custom_activation(bump, value, name="no_activation")
    with pytest.raises(ValueError, match="'no_activation' is unknown"):
        activation("no_activation")


def test_it_says_its_name() -> None:
    """In errors and when a network is printed."""
    phi = custom_activation(bump, name="a_bump", sigma_a=0.5)
    assert repr(phi) == "activation('a_bump', 0.5)"
    assert "activation('a_bump', 0.5)" in repr(INR((2, 4, 1), phi))


def test_networks_of_it_are_pickled_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lambda does not stand in the way; a process that has not made the activation is told what to do."""
    phi = custom_activation(lambda u: u.tanh() * u.cos(), name="pickled_bump", sigma_a=0.5)
    assert pickle.loads(pickle.dumps(phi)) == phi == copy.deepcopy(phi)
    network = INR.from_config(vi3nr_config(phi, (2, 4, 1), sigma_p=0.5), seed=0)
    stream = io.BytesIO()
    torch.save(network, stream)
    stream.seek(0)
    again = torch.load(stream, weights_only=False)
    x = torch.ones(3, 2)
    assert torch.equal(again(x), network(x))
    assert torch.equal(copy.deepcopy(network)(x), network(x))
    pickled = pickle.dumps(phi)
    monkeypatch.setattr(activations, "_REGISTERED", {})  # as in another process
    with pytest.raises(ValueError, match="'pickled_bump' needs the custom_activation that made it first"):
        pickle.loads(pickled)


def test_its_script_says_what_must_come_first() -> None:
    """A script of a function's config asks for the same custom_activation; that of a formula needs nothing."""
    config = vi3nr_config(custom_activation(bump, name="a_bump"), (2, 4, 1))
    script = pytorch_script(config)
    assert "Before it runs, call the ``custom_activation``" in script
    names: dict[str, object] = {}
    exec(script, names)
    assert torch.equal(names["network"].layers[0].weight, INR.from_config(config, seed=0).layers[0].weight)
    assert "custom_activation" not in pytorch_script(vi3nr_config(activation("exp(-x**2)"), (2, 4, 1)))


def test_kinks_and_features_are_numbers() -> None:
    """A feature of 0 or a kink that is NaN would fail later, in the quadrature, or not at all; NumPy's are fine."""
    for feature in (0, -1.0, math.nan, "1"):
        with pytest.raises(ValueError, match="feature must be positive and finite, got"):
            custom_activation(bump, feature=feature)
    with pytest.raises(ValueError, match="kinks must be finite numbers, got"):
        custom_activation(bump, kinks=(0.0, math.nan))
    phi = custom_activation(bump, name="a_bump", kinks=np.array([0.0, 1.0], dtype=np.float32), feature=np.float32(0.5))
    assert (phi.unit_kinks, phi.unit_feature) == ((0.0, 1.0), 0.5)
