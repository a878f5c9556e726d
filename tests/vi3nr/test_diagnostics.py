"""Measured variances against the predictions, the effects that the theory leaves out, and what is shown of them."""

import math
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import nn

from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.config import BiasRule, Encoding
from vi3nr.diagnostics import Diagnosis, diagnose, layer_variances
from vi3nr.ensemble.cpu import one_thread
from vi3nr.initialisers import generator_for
from vi3nr.networks import INR
from vi3nr.plots import Series, line_chart
from vi3nr.profile import vi3nr_config
from vi3nr.signals import Signal

TEN_LAYERS = [("gaussian", 1.5538), ("gaussian", 5.0), ("sine", 0.9), ("sine", 5.0), ("sinc", 2.2), ("tanh", 1.0)]


@pytest.fixture(autouse=True)
def _quiet_threads() -> object:
    with one_thread():
        yield


def noise(axes: int = 2, points: int = 256, *, circle: bool = False) -> Signal:
    """Random values over the cube, or over the sphere where every point has the same radius."""
    rng = np.random.default_rng(7)
    x = rng.uniform(-1.0, 1.0, (points, axes))
    if circle:
        x = x / np.sqrt(np.square(x).sum(axis=1, keepdims=True))
    return Signal(x.astype(np.float32), rng.uniform(-1, 1, (points, 2)).astype(np.float32), "points", (points,))


@pytest.mark.parametrize(("family", "rho"), TEN_LAYERS)
def test_ten_wide_layers_are_as_predicted(family: str, rho: float) -> None:
    """Width 256, rho up to 5: the mean over networks lies within its sampling error of the prediction.

    The first layer is normal and the points lie on a sphere, so that the theory's assumptions hold; 3 % is left for
    the finite width.
    """
    phi = activation(family)
    signal = noise(3, circle=True)
    config = vi3nr_config(
        phi, (3, *[256] * 10, 2), sigma_p=rho * phi.sigma_a, input_second_moment=1 / 3, distribution="normal"
    )
    for layer in diagnose(config, signal, networks=12).layers[:-1]:
        for found, told in (
            (layer.preactivation, layer.theory.preactivation_variance),
            (layer.gradient, layer.theory.gradient_variance),
        ):
            assert abs(found.mean - told) < 5.0 * found.standard_error + 0.03 * told, layer.theory.index


@pytest.mark.parametrize("rho", [0.67, 2.0])
def test_gradients_of_complex_layers_are_as_predicted(rho: float) -> None:
    """WIRE at width 256, down to its real first layer: the mean over networks within its sampling error.

    At rho 2 a rule without the derivative by conj(z) is 36 % short in each complex layer; the error is under 8 %.
    """
    phi = activation("wire", omega=20, s=10)
    config = vi3nr_config(
        phi, (3, *[256] * 4, 2), sigma_p=rho * phi.sigma_a, input_second_moment=1 / 3, distribution="normal"
    )
    for layer in diagnose(config, noise(3, points=64, circle=True), networks=16).layers:
        found, told = layer.gradient, layer.theory.gradient_variance
        assert abs(found.mean - told) <= 4.0 * found.standard_error + 0.02 * told, layer.theory.index
        assert found.standard_error < 0.08 * told


def test_usual_inits_are_predicted_as_well() -> None:
    """PyTorch's default on a Gaussian network: gradients grow by orders of magnitude, as forecast."""
    config = baseline_config("pytorch_default", activation("gaussian", 0.05), (2, *[256] * 4, 2))
    layers = diagnose(config, noise(), networks=12).layers
    growth = layers[1].gradient.mean / layers[3].gradient.mean
    assert growth > 50.0
    assert growth == pytest.approx(layers[1].theory.gradient_variance / layers[3].theory.gradient_variance, rel=0.15)


def test_the_small_fan_in_shows_in_layer_1_and_is_explained_point_by_point() -> None:
    """With two inputs and a wide rho, layer 1's variance is a third above the theory; the forecast by point knows."""
    phi = activation("gaussian", 0.05)
    config = vi3nr_config(phi, (2, 512, 512, 512, 2), sigma_p=1.0, distribution="normal")
    layer = diagnose(config, noise(points=512), networks=12).layers[1]
    ratio = layer.preactivation.mean / layer.theory.preactivation_variance
    assert ratio > 1.2
    explained = layer.preactivation.mean / layer.by_point.preactivation_variance
    assert abs(explained - 1.0) < 0.3 * (ratio - 1.0)


def test_narrow_networks_deviate_where_rho_is_large() -> None:
    """At rho 20 a width of 32 ends far above the prediction; a width of 512 does not."""
    phi = activation("gaussian", 0.05)

    def deviation(width: int) -> float:
        config = vi3nr_config(phi, (2, *[width] * 6, 2), sigma_p=1.0, distribution="normal")
        layer = diagnose(config, noise(points=128), networks=8).layers[5]
        return layer.preactivation.mean / layer.theory.preactivation_variance

    assert deviation(32) > 1.5
    assert deviation(512) < 1.1


def test_both_gradients_and_an_encoding() -> None:
    """The MSE's gradient, which depends on the network, grows by the same factors; an encoding is no obstacle."""
    config = vi3nr_config(activation("relu"), (2, 128, 128, 128, 2), sigma_p=1.0, encoding=Encoding("fourier", 2, 4))
    for gradient in ("normal", "mse"):
        for layer in diagnose(config, noise(), networks=16, gradient=gradient).layers:
            assert layer.gradient.mean == pytest.approx(layer.theory.gradient_variance, rel=0.35)
            assert layer.preactivation.networks == 16


def test_layer_variances_of_a_network_by_hand() -> None:
    """Two layers: z, and the gradient W_1^T (2 e / n) * f'(z_0), computed without autograd."""
    config = baseline_config("kaiming", activation("tanh"), (2, 5, 3))
    network = INR.from_config(config, seed=3)
    x, y = torch.randn(7, 2, generator=generator_for(1)), torch.randn(7, 3, generator=generator_for(2))
    (w0, b0), (w1, b1) = [(p.weight.detach(), p.bias.detach()) for p in network.modules() if isinstance(p, nn.Linear)]
    z0 = x @ w0.t() + b0
    z1 = torch.tanh(z0) @ w1.t() + b1
    g1 = 2 * (z1 - y) / 21
    g0 = (g1 @ w1) * (1 - torch.tanh(z0) ** 2)
    values, gradients = layer_variances(network, x, y)
    assert values == pytest.approx([float(z0.square().mean()), float(z1.square().mean())], rel=1e-5)
    assert gradients == pytest.approx([float(g0.square().mean() / g1.square().mean()), 1.0], rel=1e-5)


def test_any_module_is_measured_and_left_as_it_was() -> None:
    """Nested Sequentials work; afterwards there are no hooks and no parameter gradients."""
    inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), inner, nn.Linear(4, 1))
    values, gradients = layer_variances(network, torch.ones(3, 2), torch.zeros(3, 1), generator=generator_for(0))
    assert len(values) == len(gradients) == 3
    assert gradients[-1] == 1.0
    assert not any(part._forward_hooks for part in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


def diagnosis() -> Diagnosis:
    config = vi3nr_config(activation("gaussian", 0.05), (2, 16, 16, 2), bias_first=BiasRule("share", 0.5))
    return diagnose(config, noise(), networks=3)


def test_the_table_names_each_layer_and_its_numbers() -> None:
    """One row a layer below two heading rows, each with both predictions and the measurement."""
    found = diagnosis()
    lines = found.table().splitlines()
    assert len(lines) == 5
    for layer, line in zip(found.layers, lines[2:], strict=True):
        assert f"{layer.theory.fan_in} x {layer.theory.fan_out}" in line
        assert f"{layer.preactivation.mean:.3g}" in line
        assert f"{layer.gradient.mean:.3g}" in line


@pytest.mark.parametrize("quantity", ["preactivation", "gradient"])
def test_the_plot_is_an_svg_with_three_lines(quantity: str) -> None:
    """Measured, theory, theory by point; valid XML."""
    root = ElementTree.fromstring(diagnosis().plot(quantity))
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 3
    assert all(len(line.get("points", "").split()) == 3 for line in lines)
    with pytest.raises(ValueError, match="quantity must be 'preactivation' or 'gradient', got 'loss'"):
        diagnosis().plot("loss")


def test_the_chart_leaves_out_what_has_no_place() -> None:
    """NaN, infinities and, on a logarithmic axis, zeros are left out; labels are escaped; an empty chart is refused."""
    series = Series("a < b", [1, 2, 3, 4], [1.0, math.nan, 0.0, 10.0])
    root = ElementTree.fromstring(line_chart([series], title="t", x_label="x", y_label="y", log_y=True))
    (line,) = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(line.get("points", "").split()) == 2
    assert "a < b" in "".join(root.itertext())
    with pytest.raises(ValueError, match="no point to show"):
        line_chart([Series("none", [1], [math.nan])], title="t", x_label="x", y_label="y")


@pytest.mark.parametrize("log_y", [True, False])
@pytest.mark.parametrize(
    ("low", "high"), [(0.21, 0.34), (2.1, 4.9), (0.9999, 1.0001), (7.0, 7.0), (0.3, 40.0), (1e-9, 1e5)]
)
def test_every_axis_has_numbers(low: float, high: float, log_y: bool) -> None:
    """At least three different marks beside the vertical axis, however near each other the values are."""
    chart = line_chart([Series("a", [0, 1], [low, high])], title="t", x_label="x", y_label="y", log_y=log_y, x_ticks=[])
    root = ElementTree.fromstring(chart)
    marks = [one for one in root.findall("{http://www.w3.org/2000/svg}text") if one.get("text-anchor") == "end"]
    assert len(marks) >= 3
    assert len({one.text for one in marks}) == len(marks)


def test_wrong_input_is_named() -> None:
    """Errors say which argument and what was received."""
    config = baseline_config("xavier", activation("tanh"), (2, 8, 2))
    with pytest.raises(ValueError, match="gradient must be one of normal, mse, got 'l1'"):
        diagnose(config, noise(), gradient="l1")
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 4096"):
        diagnose(config, noise(), networks=0)
    with pytest.raises(ValueError, match="the signal has 3 inputs, 2 outputs"):
        diagnose(config, noise(3))
    with pytest.raises(ValueError, match="no Linear layer ran in Identity"):
        layer_variances(nn.Identity(), torch.ones(3, 2), torch.ones(3, 2))
    with pytest.raises(ValueError, match=r"targets must have the output's shape \(3, 1\), got \(3, 2\)"):
        layer_variances(nn.Linear(2, 1), torch.ones(3, 2), torch.ones(3, 2))
