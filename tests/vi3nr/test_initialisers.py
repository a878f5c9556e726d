"""Drawing networks from configs: the right layers, the right distributions, and nothing else touched."""

import math

import pytest
import torch
from torch import nn

from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.config import BiasRule, InitConfig
from vi3nr.initialisers import draw_parameters, generator_for, initialize_, vi3nr_normal_, vi3nr_uniform_
from vi3nr.moments import moments
from vi3nr.networks import INR, ActivationModule
from vi3nr.profile import vi3nr_config

SINE = activation("sine", omega=30)
WIDTHS = (2, 16, 16, 3)


def config(**arguments: object) -> InitConfig:
    return vi3nr_config(SINE, WIDTHS, sigma_p=0.03, bias=BiasRule("share", 0.2), **arguments)


def nested(bias: bool = True) -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(nn.Linear(2, 16, bias=bias), ActivationModule(SINE)),
        nn.Sequential(nn.Sequential(nn.Linear(16, 16, bias=bias)), ActivationModule(SINE), nn.Dropout(0.0)),
        nn.Linear(16, 3, bias=bias),
    )


def test_draws_follow_the_documented_order() -> None:
    """Weight then bias of each layer come from the generator in order, and zero biases take no random numbers."""
    drawn = draw_parameters(config(), generator_for(7))
    stream = generator_for(7)
    for layer, (weight, bias) in zip(config().layers, drawn, strict=True):
        bound = math.sqrt(3) * layer.weight_std
        expected = torch.empty(layer.fan_out, layer.fan_in).uniform_(-bound, bound, generator=stream)
        assert torch.equal(weight, expected)
        if layer.bias_std == 0.0:
            assert torch.equal(bias, torch.zeros(layer.fan_out))
        else:
            bound = math.sqrt(3) * layer.bias_std
            assert torch.equal(bias, torch.empty(layer.fan_out).uniform_(-bound, bound, generator=stream))
        assert weight.dtype == bias.dtype == torch.float32


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_draws_have_the_stds_and_bounds_of_the_config(distribution: str) -> None:
    """Of 250,000 weights and 500 biases: the std within five sampling errors, uniform ones within the bound."""
    wide = vi3nr_config(SINE, (2, 500, 500, 1), sigma_p=0.03, bias=BiasRule("share", 0.5), distribution=distribution)
    weight, bias = draw_parameters(wide, generator_for(1))[1]
    for tensor, std in ((weight, wide.layers[1].weight_std), (bias, wide.layers[1].bias_std)):
        assert float(tensor.std()) == pytest.approx(std, rel=5 / math.sqrt(2 * tensor.numel()))
        if distribution == "uniform":
            assert float(tensor.abs().max()) <= math.sqrt(3) * std * (1 + 1e-6)
        else:
            assert float((tensor.abs() < std).float().mean()) == pytest.approx(0.683, abs=0.11)
            assert float(tensor.abs().max()) > 2.2 * std


def test_a_seed_means_the_same_network_everywhere() -> None:
    """INR, a nested Sequential, and float64 all get the parameters that ``draw_parameters`` gives for the seed."""
    drawn = [tensor for pair in draw_parameters(config(), generator_for(3)) for tensor in pair]
    networks = [
        INR.from_config(config(), seed=3),
        INR.from_json(config().to_json(), seed=3),
        initialize_(nested(), config(), generator=generator_for(3)),
        initialize_(nested().double(), config(), generator=generator_for(3)),
    ]
    for network in networks:
        for parameter, expected in zip(network.parameters(), drawn, strict=True):
            assert torch.equal(parameter.detach().float(), expected)
            assert parameter.requires_grad
    assert next(networks[-1].parameters()).dtype == torch.float64


def test_the_snippet_that_people_paste(tmp_path) -> None:
    """The three lines of the package's docstring load a saved config; a path does too."""
    path = tmp_path / "best.json"
    path.write_text(config().to_json())
    from vi3nr import INR, InitConfig

    network = INR.from_config(InitConfig.from_json(path.read_text()), seed=0)
    assert network(torch.zeros(5, 2)).shape == (5, 3)
    assert torch.equal(INR.from_json(path, seed=0)(torch.ones(1, 2)), network(torch.ones(1, 2)))
    assert torch.equal(INR.from_json(str(path), seed=0)(torch.ones(1, 2)), network(torch.ones(1, 2)))


def test_an_inr_computes_what_its_layers_say() -> None:
    """f(W x + b) layer by layer, none after the last; and it counts its parameters."""
    network = INR.from_config(config(), seed=0)
    x = torch.rand(7, 2, generator=generator_for(0))
    out = x
    for index, (weight, bias) in enumerate(draw_parameters(config(), generator_for(0))):
        out = out @ weight.T + bias
        out = torch.sin(30.0 * out) if index < 2 else out
    torch.testing.assert_close(network(x), out, rtol=1e-4, atol=1e-5)
    assert network.number_of_parameters == 2 * 16 + 16 + 16 * 16 + 16 + 16 * 3 + 3


def test_global_random_state_is_left_alone() -> None:
    """Building, initialising and filling neither read nor change torch's global generator, with a generator or not."""
    before = torch.get_rng_state()
    network = INR(WIDTHS, SINE)
    initialize_(network, config())
    INR.from_config(config(), seed=0)
    vi3nr_uniform_(torch.empty(4, 4), SINE, 0.03)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(0)
    first = INR(WIDTHS, SINE)
    torch.manual_seed(0)
    assert not torch.equal(first.layers[0].weight, INR(WIDTHS, SINE).layers[0].weight)
    torch.set_rng_state(before)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            nn.Sequential(nn.Linear(2, 16), nn.Linear(16, 3)),
            r"layer '1' has weight \(3, 16\), the config has \(16, 16\)",
        ),
        (nn.Sequential(nn.Linear(2, 16), nn.Linear(16, 8), nn.Linear(8, 3)), r"layer '1' has weight \(8, 16\)"),
        (nested(bias=False), "Linear layer '1.0.0' has no bias"),
        (nn.Sequential(nested(), nn.LayerNorm(3)), r"module '1' \(LayerNorm\) has parameters but is not"),
        (nn.Sequential(nested(), nn.PReLU()), r"\(PReLU\) has parameters"),
        (nn.Sequential(nested(), nn.ReLU()), r"module '1' \(ReLU\) applies Relu\(.*\), the config is for Sine"),
        (
            nn.Sequential(nested(), ActivationModule(activation("gaussian"))),
            r"applies Gaussian\(sigma_a=0\.05\), the config is for Sine",
        ),
        (nn.Sequential(nested(), ActivationModule(activation("sine", omega=31))), "the config is for Sine"),
        (nn.Sequential(nested(), nn.Linear(3, 3)), r"has 4 Linear layers \('0.0.0', .*'1'\), the config has 3"),
    ],
)
def test_a_module_that_does_not_fit_is_refused_and_unchanged(module: nn.Module, message: str) -> None:
    """Nothing is skipped silently: the error names the part, and no parameter has changed."""
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        initialize_(module, config())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_layers_without_bias_are_fine_where_the_config_has_none() -> None:
    """A config with zero biases fits a network that has none; torch's own Tanh is our tanh."""
    tanh = vi3nr_config(activation("tanh", 1.0), (2, 8, 1), sigma_p=0.5)
    module = nn.Sequential(nn.Linear(2, 8, bias=False), nn.Tanh(), nn.Linear(8, 1, bias=False))
    initialize_(module, tanh, generator=generator_for(0))
    assert torch.equal(module[0].weight, draw_parameters(tanh, generator_for(0))[0][0])


@pytest.mark.parametrize("fill", [vi3nr_uniform_, vi3nr_normal_])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_filling_one_weight(fill, dtype: torch.dtype) -> None:
    """The std is sigma_p / sqrt(M E f(z)^2), M the fan-in, with the moments at sigma_p_in; in place, gradients kept."""
    weight = nn.Parameter(torch.empty(300, 200, dtype=dtype))
    assert fill(weight, SINE, 0.05, sigma_p_in=0.2, generator=generator_for(0)) is weight
    expected = 0.05 / math.sqrt(200 * moments(SINE, 0.2).second_moment)
    assert float(weight.detach().std()) == pytest.approx(expected, rel=0.015)
    assert weight.requires_grad
    again = fill(torch.empty(300, 200, dtype=dtype), SINE, 0.05, sigma_p_in=0.2, generator=generator_for(0))
    assert torch.equal(again, weight.detach())


def test_filling_refuses_what_is_no_weight() -> None:
    """A vector, an empty matrix, a std that is none."""
    with pytest.raises(ValueError, match=r"tensor must be a weight \(fan_out, fan_in, ...\), got shape \(3,\)"):
        vi3nr_uniform_(torch.empty(3), SINE, 1.0)
    with pytest.raises(ValueError, match="got shape"):
        vi3nr_normal_(torch.empty(3, 0), SINE, 1.0)
    with pytest.raises(ValueError, match="sigma_p must be positive and finite, got nan"):
        vi3nr_normal_(torch.empty(3, 3), SINE, math.nan)


def test_baselines_can_be_drawn_too() -> None:
    """``initialize_`` follows any config: here normal weights with uniform biases."""
    normal = baseline_config("normal", SINE, (2, 400, 400, 3))
    weight, bias = draw_parameters(normal, generator_for(0))[1]
    assert float(weight.std()) == pytest.approx(1.0, rel=0.01)
    assert float(weight.abs().max()) > 3.0
    assert float(bias.abs().max()) <= 1 / math.sqrt(400)


@pytest.mark.parametrize("fill", [vi3nr_uniform_, vi3nr_normal_])
def test_complex_weights_behind_complex_layers_keep_the_modulus(fill) -> None:
    """WIRE weights filled one by one keep E|z|^2 over three layers; by the moment of real z it would double at once."""
    wire, sigma_p, stream = activation("wire", omega=20, s=10), 0.05, generator_for(0)
    z = torch.view_as_complex(torch.randn(400, 400, 2, generator=stream)) * sigma_p / math.sqrt(2)
    for _ in range(3):
        weight = fill(torch.empty(400, 400, dtype=torch.complex64), wire, sigma_p, generator=stream)
        z = wire.value(z, torch) @ weight.T
        assert float(z.abs().square().mean()) / sigma_p**2 == pytest.approx(1.0, abs=0.15)


def test_whether_the_layer_before_is_complex_can_be_said() -> None:
    """``circular=False`` is the second layer of a WIRE network, as its config has it; a real activation has no True."""
    wire = activation("wire", omega=20, s=10)
    layers = vi3nr_config(wire, (2, 64, 64, 64, 3), sigma_p=0.05).layers
    for index, circular in ((1, False), (2, True), (2, None)):
        weight = torch.empty(64, 64, dtype=torch.complex128)
        vi3nr_uniform_(weight, wire, 0.05, circular=circular, generator=generator_for(index))
        found = float(weight.abs().square().mean().sqrt())
        assert found == pytest.approx(layers[index].weight_std, rel=0.03), (index, circular)
    with pytest.raises(ValueError, match="is a real activation"):
        vi3nr_uniform_(torch.empty(4, 4), SINE, 0.05, circular=True)
