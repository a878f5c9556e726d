"""Coordinates that are measured for the first layer: arrays, tensors and lists of the right shape, and nothing else."""

import numpy as np
import pytest
import torch

from vi3nr import INR, BiasRule, activation, vi3nr_config
from vi3nr.profile import input_second_moment_of

WIDTHS = (2, 8, 8, 3)
X = np.random.default_rng(0).uniform(-1, 1, (50, 2))


@pytest.mark.parametrize(
    "inputs",
    [
        X,
        X.tolist(),
        torch.from_numpy(X),
        torch.from_numpy(X).requires_grad_(),
        torch.nn.Parameter(torch.from_numpy(X)),
    ],
    ids=["array", "lists", "tensor", "with gradient", "parameter"],
)
def test_whatever_holds_coordinates_is_measured(inputs: object) -> None:
    """The same E x^2 from each, in float64; the tensor is only read."""
    assert vi3nr_config(activation("gaussian"), WIDTHS, inputs=inputs).input_second_moment == np.mean(X**2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_small_types_are_measured_in_float64(dtype: torch.dtype) -> None:
    """Also types that NumPy does not have."""
    x = torch.from_numpy(X).to(dtype)
    assert input_second_moment_of(x) == float(x.double().square().mean())


def test_one_axis_may_be_left_out() -> None:
    """Times of a sound, as they come; for more axes the shape decides."""
    t = np.linspace(-1, 1, 9)
    assert vi3nr_config(activation("sine"), (1, 8, 1), inputs=t) == vi3nr_config(
        activation("sine"), (1, 8, 1), inputs=t[:, None]
    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.ones((10, 5)), r"inputs must be coordinates of shape \(points, 2\), got shape \(10, 5\)"),
        (np.ones(10), r"inputs must be coordinates of shape \(points, 2\), got shape \(10,\)"),
        (torch.ones(4, 4, 2), r"shape \(points, 2\), got shape \(4, 4, 2\)"),
        ([["a", "b"]], "inputs must be coordinates, real numbers of shape"),
        ([[1.0], [1.0, 2.0]], "inputs must be coordinates, real numbers of shape"),
        (object(), "inputs must be coordinates, real numbers of shape"),
        (np.zeros((0, 2)), "finite coordinates, not all zero"),
        (np.zeros((3, 2)), "finite coordinates, not all zero"),
        (np.full((3, 2), np.nan), "finite coordinates, not all zero"),
    ],
)
def test_other_inputs_are_refused(inputs: object, message: str) -> None:
    """The sentence has the shape that is needed and the one that came."""
    with pytest.raises(ValueError, match=message):
        vi3nr_config(activation("gaussian"), WIDTHS, inputs=inputs)


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_the_first_layers_bandwidth_leaves_the_biases_out(share: float) -> None:
    """As the library's page says: the weighted sum has std sigma_p_first sqrt(1 - share), the biases the rest."""
    phi, rule = activation("sine", omega=50), BiasRule("share", share)
    first = vi3nr_config(phi, (2, 128, 64, 3), sigma_p=0.02, sigma_p_first=0.2, inputs=X, bias_first=rule).layers[0]
    bandwidth = first.weight_std * np.sqrt(2 * np.mean(X**2)) / phi.sigma_a
    assert bandwidth == pytest.approx(10.0 * np.sqrt(1 - share))
    assert first.bias_std == pytest.approx(0.2 * np.sqrt(share))


def test_the_values_of_a_complex_network_have_half_the_variance_asked_for() -> None:
    """``sigma_p_output`` is that of the complex output; the value is its real part."""
    config = vi3nr_config(activation("wire", omega=20, s=10), (2, 128, 128, 64), sigma_p=0.05, sigma_p_output=0.1)
    x = torch.from_numpy(X).float()
    values = torch.stack([INR.from_config(config, seed=seed)(x).detach() for seed in range(8)])
    assert float(values.square().mean().sqrt()) == pytest.approx(0.1 / np.sqrt(2), rel=0.1)
