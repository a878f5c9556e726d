"""What ``initialize_`` refuses: layers that would not keep what is written, and parameters that no rule places."""

import warnings

import pytest
import torch
from siren_modules import OMEGA, SINE, Siren, config, drawn
from torch import nn

from vi3nr.activations import activation
from vi3nr.config import BiasRule
from vi3nr.initialisers import draw_parameters, generator_for, initialize_
from vi3nr.profile import vi3nr_config


def lazy() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.LazyLinear(3)


def old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(nn.Linear(16, 3))


def expanded(which: str) -> nn.Module:
    head = nn.Linear(16, 3)
    setattr(head, which, nn.Parameter(getattr(head, which).detach()[:1].expand(getattr(head, which).shape)))
    return head


def with_computed_bias() -> nn.Module:
    head = nn.Linear(16, 3)
    nn.utils.parametrize.register_parametrization(head, "bias", nn.Tanh())
    return head


def with_short_bias() -> nn.Module:
    head = nn.Linear(16, 3)
    head.bias = nn.Parameter(torch.zeros(1))
    return head


def of_integers() -> nn.Module:
    head = nn.Linear(16, 3)
    head.weight = nn.Parameter(torch.zeros(3, 16, dtype=torch.int8), requires_grad=False)
    return head


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (expanded("weight"), r"the weight of Linear layer 'head' is expanded: .* \(strides \(0, 1\)\)"),
        (expanded("bias"), r"the bias of Linear layer 'head' is expanded: .* \(strides \(0,\)\)"),
        (with_computed_bias(), r"the bias of Linear layer 'head' is computed from other"),
        (with_short_bias(), r"Linear layer 'head' has bias \(1,\), the config has \(3,\)"),
        (of_integers(), r"the weight of Linear layer 'head' must hold floating-point numbers, got torch.int8"),
        (
            nn.utils.parametrizations.weight_norm(nn.Linear(16, 3)),
            r"weight of Linear layer 'head' is computed from other",
        ),
        (old_weight_norm(), r"weight of Linear layer 'head' is computed from other"),
        (lazy(), "Linear layer 'head' is lazy"),
        (nn.Linear(16, 3, device="meta"), "Linear layer 'head' is on the meta device"),
        (nn.Linear(16, 3, dtype=torch.complex64), r"'head' has torch.complex64 weights, the config draws real ones"),
        (nn.Linear(16, 3, bias=False), "Linear layer 'head' has no bias"),
        (nn.Conv1d(16, 3, 1), r"module 'head' \(Conv1d\) has parameters but is not a Linear layer"),
        (nn.Identity(), r"the module has 2 Linear layers \('body.0.linear', 'body.1.linear'\), the config has 3"),
    ],
)
def test_weights_that_would_not_keep_what_is_written(head: nn.Module, message: str) -> None:
    """Writing to such a layer would fail half-way or change nothing: it is refused before anything is written."""
    module = Siren(head=head)
    before = module.body[0].linear.weight.clone()
    biased = config(output="torch_default", bias_first=BiasRule("share", 0.1))
    with pytest.raises(ValueError, match=message):
        initialize_(module, biased)
    assert torch.equal(module.body[0].linear.weight, before)


def test_a_parameter_in_two_layers_is_refused() -> None:
    """Two Linear modules with one weight would hold the second draw alone: both are named, nothing is changed."""
    module = nn.Sequential(nn.Linear(2, 16), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3))
    module[2].weight = module[1].weight
    before = [parameter.clone() for parameter in module.parameters()]
    with pytest.raises(ValueError, match="Linear layers '1' and '2' share a parameter"):
        initialize_(module, vi3nr_config(SINE, (2, 16, 16, 16, 3), sigma_p=0.03))
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    initialize_(module, config(), leave=["2"], generator=generator_for(3))
    assert torch.equal(module[1].weight, drawn(config())[2])


def test_two_parameters_of_one_memory_are_refused() -> None:
    """A transposed view as a parameter of its own is told as well: the second draw would overwrite the first."""
    module = nn.Sequential(nn.Linear(2, 16), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3))
    module[2].weight = nn.Parameter(module[1].weight.detach().t())
    with pytest.raises(ValueError, match="Linear layers '1' and '2' share a parameter"):
        initialize_(module, vi3nr_config(SINE, (2, 16, 16, 16, 3), sigma_p=0.03))


class Scaled(Siren):
    """With a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5))


class Adapted(nn.Linear):
    """A Linear layer that holds more than weight and bias."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__(fan_in, fan_out)
        self.adapter = nn.Parameter(torch.full((fan_out,), 1.5))


@pytest.mark.parametrize(
    ("build", "where", "name"),
    [
        (Scaled, r"the module itself \(Scaled\)", "scale"),
        (lambda: nn.Sequential(Scaled()), r"module '0' \(Scaled\)", "0.scale"),
        (lambda: Siren(head=Adapted(16, 3)), r"module 'head' \(Adapted\)", "head.adapter"),
    ],
)
def test_a_parameter_beside_linear_layers_is_named_and_can_be_left(build, where: str, name: str) -> None:
    """The advice can be followed: the parameter's name in ``leave`` keeps it, and the layers are drawn."""
    with pytest.raises(ValueError, match=rf"{where} has parameters beside .* \('{name}'\); name them in leave"):
        initialize_(build(), config())
    module = initialize_(build(), config(), leave=[name], generator=generator_for(3))
    parameters = dict(module.named_parameters())
    assert torch.all(parameters.pop(name) == 1.5)
    found = [parameters[key] for key in sorted(parameters, key=lambda key: ("head" in key, key))]
    order = [tensor for pair in draw_parameters(config(), generator_for(3)) for tensor in reversed(pair)]
    assert all(torch.equal(ours.detach(), told) for ours, told in zip(found, order, strict=True))


def test_a_declared_kind_of_linear_layer_is_placed_and_checked() -> None:
    """A sine layer that *is* a Linear layer: its omega is read too."""

    class SineLinear(nn.Linear):
        omega_0 = OMEGA

    read = {SineLinear: lambda layer: activation("sine", omega=layer.omega_0)}
    build = lambda: nn.Sequential(SineLinear(2, 16), SineLinear(16, 16), nn.Linear(16, 3))  # noqa: E731
    module = initialize_(build(), config(), activations=read, generator=generator_for(3))
    assert torch.equal(module[0].weight, drawn(config())[0])
    other = build()
    other[1].omega_0 = 30.0
    with pytest.raises(ValueError, match=r"module '1' \(SineLinear\) applies Sine"):
        initialize_(other, config(), activations=read)


@pytest.mark.parametrize(
    ("family", "parameters", "part", "message"),
    [
        (
            "leaky_relu",
            {},
            nn.LeakyReLU(0.9),
            r"\(LeakyReLU\) applies LeakyRelu\(.*0\.9\), the config is for LeakyRelu",
        ),
        ("softplus", {}, nn.Softplus(beta=100), r"\(Softplus\) is Softplus\(beta=100.*none of the library's families"),
        ("softplus", {}, nn.Softplus(threshold=1.0), r"\(Softplus\) is Softplus\(.*threshold=1\.0\), which is none"),
        ("gelu", {}, nn.GELU(approximate="tanh"), r"\(GELU\) is GELU\(approximate='tanh'\), which is none"),
        ("tanh", {"sigma_a": 0.7}, nn.Tanh(), r"\(Tanh\) applies Tanh\(sigma_a=1\.0\), the config is for Tanh"),
    ],
)
def test_torchs_activations_are_checked_with_their_parameters(
    family: str, parameters: dict, part: nn.Module, message: str
) -> None:
    """The family's name is not enough: another slope, beta or approximation is another activation."""
    phi = activation(family, **parameters)
    made, module = vi3nr_config(phi, (2, 8, 1), sigma_p=1.0), nn.Sequential(nn.Linear(2, 8), part, nn.Linear(8, 1))
    with pytest.raises(ValueError, match=message):
        initialize_(module, made)
    initialize_(module, made, activations={type(part): lambda _: phi}, generator=generator_for(3))
    assert torch.equal(module[0].weight, drawn(made)[0])


@pytest.mark.parametrize(
    ("phi", "part"),
    [
        (activation("leaky_relu", negative_slope=0.9), nn.LeakyReLU(0.9)),
        (activation("leaky_relu"), nn.LeakyReLU()),
        (activation("softplus"), nn.Softplus()),
        (activation("gelu"), nn.GELU()),
        (activation("silu"), nn.SiLU()),
        (activation("sigmoid"), nn.Sigmoid()),
        (activation("relu"), nn.ReLU(inplace=True)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_torchs_activations_are_our_families(phi, part: nn.Module) -> None:
    """Those that are accepted compute what the family does, and are placed."""
    x = torch.linspace(-30, 30, 201, dtype=torch.float64)
    torch.testing.assert_close(part(x.clone()), phi.value(x, torch), rtol=1e-8, atol=1e-8)
    initialize_(nn.Sequential(nn.Linear(2, 8), part, nn.Linear(8, 1)), vi3nr_config(phi, (2, 8, 1), sigma_p=1.0))
