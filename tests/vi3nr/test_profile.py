"""The VI3NR profile: Eq. 4 layer by layer, bias rules that leave the weights the rest, and networks that obey."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vi3nr.activations import activation, families
from vi3nr.baselines import baseline_config
from vi3nr.complex_moments import circular_second_moment
from vi3nr.config import BiasRule, InitConfig
from vi3nr.initialisers import generator_for
from vi3nr.moments import moments
from vi3nr.networks import INR
from vi3nr.profile import vi3nr_config
from vi3nr.propagation import forecast
from vi3nr.theory import stable_sigma_p

WIDTHS = (2, 64, 64, 64, 3)
every_family = pytest.mark.parametrize("family", sorted(families()))


def forward_variances(config: InitConfig, input_second_moment: float) -> list[float]:
    """What the config makes of each layer's pre-activation variance, by moments alone."""
    phi = activation(config.family, config.sigma_a, **config.parameters)
    second, variances = input_second_moment, []
    for index, layer in enumerate(config.layers):
        variances.append(layer.fan_in * layer.weight_std**2 * second + layer.bias_std**2)
        std = math.sqrt(variances[-1])
        second = moments(phi, std).second_moment
        if config.complex_weights and index > 0:
            second = circular_second_moment(phi, std)
    return variances


@every_family
@pytest.mark.parametrize(
    "rule", [BiasRule(), BiasRule("share", 0.6), BiasRule("like_weights"), BiasRule("torch_default")]
)
@settings(deadline=None, max_examples=4, derandomize=True)
@given(rho=st.floats(0.3, 5.0), rho_first=st.floats(0.3, 20.0), second=st.floats(0.01, 1.0))
def test_every_layer_gets_the_std_asked_for(
    family: str, rule: BiasRule, rho: float, rho_first: float, second: float
) -> None:
    """Whatever the rule, weights and biases together give sigma_p_first in layer 0 and sigma_p in all others."""
    phi = activation(family, 1.0, **({"omega": 1.0} if families()[family].complex else {}))
    config = vi3nr_config(
        phi,
        WIDTHS,
        sigma_p=rho + 0.8,  # torch's default biases need room: 1/sqrt(3 * 2) in the first layer
        sigma_p_first=rho_first + 0.8,
        input_second_moment=second,
        bias=rule,
        bias_first=rule,
    )
    expected = [(rho_first + 0.8) ** 2, *[(rho + 0.8) ** 2] * 3]
    np.testing.assert_allclose(forward_variances(config, second), expected, rtol=1e-9)
    assert config.widths == WIDTHS
    assert [layer.sigma_p for layer in config.layers] == [rho_first + 0.8, *[rho + 0.8] * 3]


def test_bias_rules_are_what_they_say() -> None:
    """Each rule's biases, in the first and in a hidden layer; the output's are zero."""
    phi = activation("sine", 0.05)
    make = lambda rule: vi3nr_config(phi, WIDTHS, sigma_p=2.0, sigma_p_first=3.0, bias=rule, bias_first=rule)  # noqa: E731
    share = make(BiasRule("share", 0.25)).layers
    assert [layer.bias_std for layer in share] == pytest.approx([1.5, 1.0, 1.0, 0.0])
    alike = make(BiasRule("like_weights")).layers
    assert all(layer.bias_std == pytest.approx(layer.weight_std) for layer in alike[:-1])
    torch_own = make(BiasRule("torch_default")).layers
    assert all(layer.bias_bound == pytest.approx(layer.fan_in**-0.5) for layer in torch_own[:-1])
    assert [layer.bias_std for layer in make(BiasRule()).layers] == [0.0] * 4
    stable = vi3nr_config(phi, WIDTHS, sigma_p=0.05, bias=BiasRule("stability")).layers
    slope = moments(phi, 0.05).slope_second_moment
    assert stable[1].weight_std ** 2 == pytest.approx(1 / (64 * slope))  # the backward condition too


def test_first_layer_of_the_paper() -> None:
    """Coordinates uniform on [-1, 1]: the uniform bound is sigma_p sqrt(9 / M_0) (supplement, 6.2)."""
    first = vi3nr_config(activation("gaussian", 0.05), WIDTHS, sigma_p=0.33).layers[0]
    assert first.weight_bound == pytest.approx(0.33 * math.sqrt(9 / 2))


def test_without_sigma_p_the_theory_decides() -> None:
    """The root where there is one; else sigma_a with the stability bias, and the kind is told."""
    gaussian = vi3nr_config(activation("gaussian", 0.05), WIDTHS)
    assert gaussian.sigma_p == gaussian.sigma_p_first == stable_sigma_p(activation("gaussian", 0.05)).sigma_p
    assert (gaussian.bias.rule, gaussian.stability.kind, gaussian.method) == ("zero", "root", "closed_form")
    tanh = vi3nr_config(activation("tanh", 0.7), WIDTHS)
    assert (tanh.sigma_p, tanh.stability.sigma_p, tanh.stability.kind) == (0.7, None, "limit_at_0")
    assert (tanh.bias.rule, tanh.method) == ("stability", "quadrature")
    assert vi3nr_config(activation("sine"), WIDTHS, sigma_p=0.02).bias == BiasRule()
    assert vi3nr_config(activation("sine"), WIDTHS, bias=BiasRule()).bias == BiasRule()


def test_default_bias_gives_way_where_stability_cannot_be_met() -> None:
    """A first layer so wide that no bias of the second helps: not asked for, so zero; asked for, so an error."""
    tanh = activation("tanh", 1.0)
    assert vi3nr_config(tanh, WIDTHS, sigma_p_first=9.0).bias == BiasRule()
    with pytest.raises(ValueError, match=r"'stability' cannot be met in layer 1: it needs cond >= 1, which is 0\.0"):
        vi3nr_config(tanh, WIDTHS, sigma_p_first=9.0, bias=BiasRule("stability"))
    with pytest.raises(ValueError, match=r"layer 1: it needs cond >= 1, which is 0\.3333 at sigma_p 0\.1"):
        vi3nr_config(activation("gaussian", 0.1), WIDTHS, sigma_p=0.1, bias=BiasRule("stability"))
    with pytest.raises(ValueError, match="bias_first cannot be 'stability'"):
        vi3nr_config(tanh, WIDTHS, bias_first=BiasRule("stability"))


def test_torch_default_biases_need_room() -> None:
    """The default bias of nn.Linear swamps sigma_p 0.08: the error names the layer and both stds."""
    with pytest.raises(ValueError, match=r"layer 0: its biases alone have std 0\.4082.*sigma_p 0\.08"):
        vi3nr_config(activation("gaussian", 0.05), WIDTHS, sigma_p=0.08, bias_first=BiasRule("torch_default"))


def test_distributions() -> None:
    """Uniform bounds are sqrt(3) stds, the normal has none, and torch's default biases stay uniform."""
    phi = activation("sine")
    uniform = vi3nr_config(phi, WIDTHS).layers[1]
    assert uniform.weight_bound == pytest.approx(math.sqrt(3) * uniform.weight_std)
    normal = vi3nr_config(phi, WIDTHS, distribution="normal")
    assert normal.layers[1].weight_bound is normal.layers[1].bias_bound is None
    assert normal.layers[1].weight_std == uniform.weight_std
    mixed = vi3nr_config(phi, WIDTHS, sigma_p=1.0, distribution="normal", bias=BiasRule("torch_default"))
    assert (mixed.distribution, mixed.bias_distribution) == ("normal", "uniform")


def test_monte_carlo_is_recorded_and_close() -> None:
    """The sampled config says so and agrees with the exact one within a percent."""
    phi = activation("gaussian", 0.05)
    exact = vi3nr_config(phi, WIDTHS, sigma_p=0.1)
    sampled = vi3nr_config(phi, WIDTHS, sigma_p=0.1, method="monte_carlo", generator=np.random.default_rng(3))
    assert sampled.method == "monte_carlo"
    assert sampled.layers[1].weight_std != exact.layers[1].weight_std
    assert sampled.layers[1].weight_std == pytest.approx(exact.layers[1].weight_std, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"sigma_p": 0.0}, "sigma_p"),
        ({"sigma_p": math.nan}, "sigma_p"),
        ({"sigma_p_first": -1.0}, "sigma_p_first"),
        ({"sigma_p_growth": -0.5}, "sigma_p_growth"),
        ({"input_second_moment": 0.0}, "input_second_moment"),
        ({"widths": (2, 3)}, "widths"),
        ({"widths": (2, 0, 3)}, "widths"),
        ({"distribution": "cauchy"}, "distribution"),
        ({"output": "own_rule"}, "output"),
        ({"method": "guess"}, "method"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, field: str) -> None:
    """The sentence names the field and shows the value."""
    value = arguments[field]
    with pytest.raises(ValueError, match=field) as caught:
        vi3nr_config(activation("sine"), arguments.pop("widths", WIDTHS), **arguments)
    assert repr(value) in str(caught.value)


def hidden_variances(config: InitConfig, seed: int, points: int = 64) -> np.ndarray:
    """Mean square of each layer's pre-activations over points and units, of one network drawn from the config."""
    network = INR.from_config(config, seed=seed)
    x = torch.rand(points, config.widths[0], generator=generator_for(seed + 10_000)) * 2 - 1
    found = []
    with torch.no_grad():
        for layer in network.layers:
            x = layer(x)
            if isinstance(layer, torch.nn.Linear):
                found.append(float(x.square().mean()))
    return np.array(found)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize(
    ("family", "sigma_a", "rho", "rho_first", "rule"),
    [
        ("gaussian", 0.05, 2.5, 6.0, BiasRule()),
        ("gaussian", 0.05, 1.554, 1.554, BiasRule("share", 0.3)),
        ("sine", 1 / 30, 0.5, 9.0, BiasRule("like_weights")),
        ("tanh", 1.0, 1.0, 2.0, BiasRule("torch_default")),
        ("relu", 1.0, 1.0, 3.0, BiasRule("share", 0.5)),
    ],
)
def test_wide_networks_have_the_stds_asked_for(
    family: str, sigma_a: float, rho: float, rho_first: float, rule: BiasRule, distribution: str
) -> None:
    """Measured through five wide layers and averaged over networks, each layer's std is sigma_p.

    The error allowed is five standard errors, taken from the spread between networks, and 3 % for the finite width.
    """
    config = vi3nr_config(
        activation(family, sigma_a),
        (256,) * 6,
        sigma_p=rho * sigma_a,
        sigma_p_first=rho_first * sigma_a,
        bias=rule,
        bias_first=BiasRule("share", 0.4),
        distribution=distribution,
    )
    ratio = np.array([hidden_variances(config, seed) for seed in range(10)])
    ratio /= np.array([layer.sigma_p**2 for layer in config.layers])
    error = ratio.std(axis=0, ddof=1) / math.sqrt(len(ratio))
    assert (np.abs(ratio.mean(axis=0) - 1.0) <= 5.0 * error + 0.03).all()
    assert (error < 0.05).all()


def gradient_factor(config: InitConfig, seed: int) -> float:
    """Variance of the gradient after the first activation over that at the output of eight layers, per layer."""
    network = INR.from_config(config, seed=seed)
    generator = generator_for(seed + 20_000)
    x = torch.rand(32, config.widths[0], generator=generator) * 2 - 1
    first = network.layers[0](x)
    out = first
    for layer in network.layers[1:]:
        out = layer(out)
    (gradient,) = torch.autograd.grad(out, first, torch.randn(out.shape, generator=generator))
    return float(gradient.square().mean()) ** (1 / (len(config.layers) - 1))


@pytest.mark.parametrize(
    ("family", "sigma_a", "rule", "expected"),
    [
        ("gaussian", 0.05, None, 1.0),  # at the root
        ("sigmoid", 1.0, None, 1.0),
        ("sine", 1 / 30, BiasRule("stability"), 1.0),  # no root: the bias makes both conditions hold
        ("sine", 1 / 30, BiasRule(), 1.3130),  # coth 1: without it gradients grow
    ],
)
def test_gradients_keep_their_variance_where_theory_says_so(
    family: str, sigma_a: float, rule: BiasRule | None, expected: float
) -> None:
    """Through eight layers of 256 units the gradient's variance changes per layer by the factor that theory gives."""
    config = vi3nr_config(activation(family, sigma_a), (256,) * 10, bias=rule)
    factors = [gradient_factor(config, seed) for seed in range(6)]
    output = config.layers[-1].weight_std / config.layers[-2].weight_std  # the output has no bias: larger weights
    assert np.mean(factors) / output ** (2 / 9) == pytest.approx(expected, rel=0.04)


def test_usual_rules_do_not_keep_the_gradient() -> None:
    """PyTorch's default multiplies a Gaussian network's gradient variance about tenfold a layer at sigma_a 0.05."""
    config = baseline_config("pytorch_default", activation("gaussian", 0.05), (256,) * 6)
    assert 6.0 < np.mean([gradient_factor(config, seed) for seed in range(4)]) < 16.0


@pytest.mark.parametrize("family", ["gaussian", "sine", "tanh", "wire"])
@pytest.mark.parametrize("growth", [0.7, 1.0, 1.3])
def test_a_growing_profile_is_reached_layer_by_layer(family: str, growth: float) -> None:
    """The forecast of the config, made another way, comes to sigma_p growth^(i - middle) in every hidden layer, to
    their geometric mean in the output, and the config comes back from its JSON.
    """
    phi = activation(family)
    sigma_p = 0.8 * phi.sigma_a
    made = vi3nr_config(phi, (2, 32, 48, 32, 32, 3), sigma_p=sigma_p, sigma_p_growth=growth, sigma_p_first=sigma_p / 2)
    stds = [math.sqrt(layer.preactivation_variance) for layer in forecast(made)]
    wanted = [sigma_p / 2, sigma_p / growth, sigma_p, sigma_p * growth, sigma_p]
    assert stds == pytest.approx(wanted, rel=1e-9)
    assert [layer.sigma_p for layer in made.layers] == pytest.approx(wanted, rel=1e-12)
    assert InitConfig.from_json(made.to_json()) == made
    assert ("sigma_p_growth" in made.to_dict()) == (growth != 1.0)


def test_a_profile_that_leaves_the_numbers_is_refused() -> None:
    """Growth over many layers may overflow."""
    with pytest.raises(ValueError, match="sigma_p_growth 1e\\+200 takes sigma_p"):
        vi3nr_config(activation("sine"), (2, *[8] * 6, 3), sigma_p=0.1, sigma_p_growth=1e200)


def test_the_stability_rule_knows_fan_in_from_fan_out() -> None:
    """In layers that narrow the weights are the backward rule's, 1 / (M_{i+1} E f'^2), and the biases the rest."""
    sine = activation("sine", omega=30)
    layer = vi3nr_config(sine, (2, 64, 60, 3), sigma_p=1 / 30, bias=BiasRule("stability")).layers[1]
    found = moments(sine, 1 / 30)
    assert layer.weight_std**2 == pytest.approx(1.0 / (60 * found.slope_second_moment), rel=1e-12)
    assert layer.bias_std**2 == pytest.approx(900**-1 - 64 * layer.weight_std**2 * found.second_moment, rel=1e-9)
