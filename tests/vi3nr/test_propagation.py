"""Predicted variances: golden figures, the recursion by hand, the fixed points, and what a vi3nr config promises."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

from vi3nr.activations import activation
from vi3nr.baselines import BASELINE_RULES, ONE_FAMILY_ONLY, baseline_config
from vi3nr.config import BiasRule, Encoding, InitConfig, LayerInit
from vi3nr.families import Activation
from vi3nr.moments import moments
from vi3nr.profile import vi3nr_config
from vi3nr.propagation import fixed_point_variance, forecast, per_layer_gradient_factor

ROOT = Path(__file__).resolve().parents[2]
USUAL = [  # FIELD's figures: sigma_a, gain^2, bias variance, factor, half a unit of its last digit
    (1 / (30 * math.sqrt(2)), 1 / 3, 1 / (3 * 256), 27.5, 0.05),
    (0.05, 1 / 3, 1 / (3 * 256), 10, 0.5),
    (0.05, 1.0, 0.0, 21, 0.5),
    (0.05, 2.0, 0.0, 34, 0.5),
    (0.05, 256 * 0.01 / 3, 0.0, 19, 0.5),
    (0.05, 256.0, 0.0, 868, 0.5),
    (0.05, 2 / 900, 0.0, 0.16, 0.005),
]


@pytest.mark.parametrize(("sigma_a", "gain", "bias", "factor", "rounding"), USUAL)
def test_what_usual_inits_give_a_gaussian_network(
    sigma_a: float, gain: float, bias: float, factor: float, rounding: float
) -> None:
    """The gradient's factor per layer under PyTorch's default, Xavier, Kaiming, U(+-0.1), N(0, 1) and SIREN's rule."""
    found = per_layer_gradient_factor(activation("gaussian", sigma_a), gain, bias_variance=bias)
    assert found == pytest.approx(factor, abs=rounding)


def test_a_deep_forecast_settles_at_the_per_layer_factor() -> None:
    """Twenty layers down, Xavier's forecast has the fixed point's variance and its factor at each layer."""
    phi = activation("gaussian", 0.05)
    deep = forecast(baseline_config("xavier", phi, (2, *[256] * 20, 256)))
    bias = 1 / (3 * 256)  # Xavier's rule leaves nn.Linear's biases
    settled = fixed_point_variance(phi, 1.0, bias_variance=bias)
    factor = per_layer_gradient_factor(phi, 1.0, bias_variance=bias)
    assert deep[15].preactivation_variance == pytest.approx(settled, rel=1e-4)
    assert deep[15].gradient_factor == pytest.approx(factor, rel=1e-4)


@pytest.mark.parametrize("rule", [rule for rule in BASELINE_RULES if rule not in ONE_FAMILY_ONLY])
def test_forecast_is_the_recursion(rule: str) -> None:
    """Forward and backward agree with the two recursions written out, their integrals by SciPy."""
    config = baseline_config(rule, activation("tanh"), (3, 20, 30, 2))
    first, second, third = config.layers

    def expectation(g: object, variance: float) -> float:
        std = math.sqrt(variance)
        return quad(lambda t: g(std * t) * math.exp(-t * t / 2) / math.sqrt(2 * math.pi), -12, 12, epsabs=1e-13)[0]

    v0 = 3 * first.weight_std**2 * 0.4 + first.bias_std**2
    v1 = 20 * second.weight_std**2 * expectation(lambda z: math.tanh(z) ** 2, v0) + second.bias_std**2
    v2 = 30 * third.weight_std**2 * expectation(lambda z: math.tanh(z) ** 2, v1) + third.bias_std**2
    g1 = 2 * third.weight_std**2 * expectation(lambda z: (1 - math.tanh(z) ** 2) ** 2, v1)
    g0 = 30 * second.weight_std**2 * expectation(lambda z: (1 - math.tanh(z) ** 2) ** 2, v0) * g1
    found = forecast(config, input_second_moment=0.4)
    assert [layer.preactivation_variance for layer in found] == pytest.approx([v0, v1, v2], rel=1e-9)
    assert [layer.gradient_variance for layer in found] == pytest.approx([g0, g1, 1.0], rel=1e-9)
    assert [layer.gradient_factor for layer in found[1:]] == pytest.approx([g0 / g1, g1], rel=1e-9)
    assert found[0].gradient_factor is None


@pytest.mark.parametrize("bias", ["zero", "like_weights", "share"])
@pytest.mark.parametrize("family", ["gaussian", "sine", "sinc", "tanh", "relu"])
def test_a_vi3nr_config_keeps_the_variances_that_it_names(family: str, bias: str) -> None:
    """Whatever the bias rule and the first layer's own sigma_p, each layer's forecast is its sigma_p squared."""
    rule = BiasRule(bias, 0.3 if bias == "share" else None)
    phi = activation(family)
    config = vi3nr_config(phi, (2, 64, 32, 48, 1), sigma_p=1.7 * phi.sigma_a, sigma_p_first=0.4, bias=rule)
    found = [layer.preactivation_variance for layer in forecast(config)]
    assert found == pytest.approx([layer.sigma_p**2 for layer in config.layers], rel=1e-9)


def test_at_the_stable_sigma_p_gradients_stay() -> None:
    """With the theory's sigma_p and equal widths, and for a sine with the stability bias, every hidden factor is 1.

    The output layer has no bias, so a sine's has cond instead.
    """
    for phi in (activation("gaussian", 0.05), activation("sigmoid"), activation("sine", omega=30.0)):
        for layer in forecast(vi3nr_config(phi, (2, 64, 64, 64, 64)))[1:-1]:
            assert layer.gradient_factor == pytest.approx(1.0, rel=1e-9)


def test_by_point_is_the_mean_over_points_of_their_own_recursion() -> None:
    """With coordinates, layer 1 has the average of what each point's own variance gives, by simulation."""
    rng = np.random.default_rng(0)
    coordinates = rng.uniform(-1.0, 1.0, (2000, 2))
    phi = activation("gaussian", 0.05)
    config = vi3nr_config(phi, (2, 64, 64, 1), sigma_p=1.0)
    first, second = config.layers[:2]
    std = first.weight_std * np.sqrt(np.square(coordinates).sum(axis=1))  # (point,)
    z = rng.standard_normal((400, 2000)) * std  # (draw, point)
    simulated = 64 * second.weight_std**2 * float(np.square(phi.value(z, np)).mean())
    found = forecast(config, coordinates=coordinates)
    assert found[0].preactivation_variance == pytest.approx(2 * first.weight_std**2 * np.square(coordinates).mean())
    assert found[1].preactivation_variance == pytest.approx(simulated, rel=0.02)
    assert found[1].preactivation_variance > 1.2 * forecast(config)[1].preactivation_variance


def test_points_of_one_radius_give_the_plain_forecast() -> None:
    """On a circle every point has the same variance: both predictions are one."""
    angle = np.linspace(0.0, 6.0, 100)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    config = baseline_config("pytorch_default", activation("sine", omega=30.0), (2, 16, 16, 1))
    by_point, plain = forecast(config, coordinates=circle), forecast(config, input_second_moment=0.5)
    for ours, theirs in zip(by_point, plain, strict=True):
        assert ours.preactivation_variance == pytest.approx(theirs.preactivation_variance, rel=1e-9)
        assert ours.gradient_variance == pytest.approx(theirs.gradient_variance, rel=1e-9)


def test_an_encoding_is_part_of_what_enters() -> None:
    """Fourier features have the same second moment at every point, so three ways to say what enters agree."""
    encoding = Encoding("fourier", 2, 4)
    config = vi3nr_config(activation("relu"), (2, 64, 64, 1), sigma_p=1.0, encoding=encoding)
    coordinates = np.random.default_rng(0).uniform(-1.0, 1.0, (500, 2))
    plain, by_point = forecast(config), forecast(config, coordinates=coordinates)
    assert plain[1].preactivation_variance == pytest.approx(1.0, rel=1e-9)
    assert by_point[1].preactivation_variance == pytest.approx(1.0, rel=1e-6 if not encoding.identity else 0.05)


def test_complex_weights_keep_their_sigma_p_too() -> None:
    """WIRE: E|z|^2 is sigma_p^2; gradients go back by both derivatives, and into the real layer 0 by E|f'|^2 / 2."""
    phi = activation("wire", omega=20, s=10)
    config = vi3nr_config(phi, (2, 32, 48, 32, 1), sigma_p=0.1, sigma_p_first=0.2)
    found = forecast(config)
    expected = [layer.sigma_p**2 for layer in config.layers]
    assert [layer.preactivation_variance for layer in found] == pytest.approx(expected, rel=1e-9)
    q, tail = 0.01, 0.01 / 3.0  # E|z|^2, and t = q / (1 + 2 s^2 q)
    second = math.exp(400 * tail) / 3.0
    slope = second * (400 * (1 - 200 * tail + 2e4 * tail**2) + 2e4 * tail)
    first = moments(phi, 0.2)  # z_0 is real
    factors = [q / first.second_moment * 48 / 32 * first.slope_second_moment / 2]
    factors += [q / second * 32 / 48 * slope, q / second / 32 * slope]
    assert [layer.gradient_factor for layer in found[1:]] == pytest.approx(factors, rel=1e-9)
    assert found[0].gradient_variance == pytest.approx(math.prod(factors), rel=1e-9)


def test_a_layer_of_zeros_leaves_what_f_is_at_zero() -> None:
    """Without weights and biases in the first layer, the second sees f(0) = 1 and no slope."""
    silent = LayerInit(2, 8, 0.0, None, 0.0, None, None)
    second = LayerInit(8, 1, 0.5, None, 0.0, None, None)
    found = forecast(InitConfig("gaussian", 0.1, (silent, second), distribution="normal"))
    assert found[1].preactivation_variance == pytest.approx(8 * 0.25)
    assert found[0].gradient_variance == 0.0
    layers = (silent, LayerInit(8, 8, 0.0, None, 0.0, None, None), second)
    wire = InitConfig("wire", 0.1, layers, parameters={"omega": 20.0}, distribution="normal", complex_weights=True)
    assert forecast(wire)[1].gradient_variance == pytest.approx(0.25 * 400)  # |f'(0)|^2 = omega^2


def test_fixed_points() -> None:
    """The recursion iterated ends at the fixed point; where it dies out or every value is kept there is none."""
    phi = activation("tanh")
    assert fixed_point_variance(phi, 0.5) is None
    assert per_layer_gradient_factor(phi, 0.5) is None
    assert fixed_point_variance(activation("relu"), 2.0) is None
    settled = fixed_point_variance(activation("relu"), 1.0, bias_variance=0.3)
    assert settled == pytest.approx(0.6, rel=1e-9)  # v = v/2 + 0.3
    siren = fixed_point_variance(activation("sine", omega=30.0), 2 / 900)
    assert 30 * math.sqrt(siren) == pytest.approx(0.893, abs=5e-4)


def test_wrong_input_is_named() -> None:
    """Errors say which argument and what was received."""
    config = baseline_config("xavier", activation("tanh"), (2, 8, 1))
    with pytest.raises(ValueError, match="input_second_moment must be positive and finite, got -1"):
        forecast(config, input_second_moment=-1.0)
    with pytest.raises(ValueError, match=r"shape \(points, 2\), got \(5, 3\)"):
        forecast(config, coordinates=np.zeros((5, 3)))
    with pytest.raises(ValueError, match="not both"):
        forecast(config, input_second_moment=0.3, coordinates=np.zeros((5, 2)))
    with pytest.raises(ValueError, match="gain_squared must be positive and finite, got 0"):
        fixed_point_variance(activation("tanh"), 0.0)
    with pytest.raises(ValueError, match="bias_variance must be finite and not negative, got -1"):
        fixed_point_variance(activation("tanh"), 1.0, bias_variance=-1.0)
    with pytest.raises(ValueError, match="width_ratio must be positive and finite, got nan"):
        per_layer_gradient_factor(activation("tanh"), 3.0, width_ratio=math.nan)


def test_predictions_and_plots_need_no_torch() -> None:
    """Importing and using both leaves torch unloaded."""
    code = (
        "import sys; from vi3nr import plots, propagation, activation, baseline_config;"
        "propagation.forecast(baseline_config('xavier', activation('tanh'), (2, 8, 1)));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_of_several_fixed_points_the_largest_is_given() -> None:
    """Two plateaus draw the recursion to a small and to a large variance: the one reached from above is told."""
    stairs = activation("tanh(20*x) + 20*tanh((x/8)**9)")
    low, high = (reached(stairs, start) for start in (0.5, 1e4))
    assert low < 2.0 < 100.0 < high
    assert fixed_point_variance(stairs, 1.0) == pytest.approx(high, rel=1e-6)


def reached(phi: Activation, variance: float) -> float:
    for _ in range(200):
        variance = moments(phi, math.sqrt(variance)).second_moment
    return variance


def test_a_complex_activation_has_no_factor_of_real_layers() -> None:
    """WIRE's layers have moments of their own: the error says what to use."""
    with pytest.raises(ValueError, match="is complex: make a config and use forecast"):
        per_layer_gradient_factor(activation("wire"), 1.0)
