"""``initialize_`` on the modules that people have: everything is placed, or the error says what was not."""

import pytest
import torch
from siren_modules import OMEGA, READ, SINE, WIDTHS, Siren, config, drawn, plain
from torch import nn

from vi3nr.activation_module import EncodingModule
from vi3nr.activations import activation, families
from vi3nr.config import Encoding
from vi3nr.initialisers import generator_for, initialize_, vi3nr_normal_, vi3nr_uniform_
from vi3nr.moments import moments
from vi3nr.networks import INR
from vi3nr.profile import vi3nr_config


@pytest.mark.parametrize("declared", [None, READ])
def test_a_siren_with_omega_inside_takes_the_weights_as_they_are(declared: dict | None) -> None:
    """sin(omega linear(x)) with omega = 1 / sigma_a is the config's network: same parameters, same values."""
    siren = initialize_(Siren(), config(), activations=declared, generator=generator_for(3))
    network = INR.from_config(config(), seed=3)
    for ours, theirs in zip(network.parameters(), siren.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    x = torch.rand(50, 2, generator=generator_for(0))
    torch.testing.assert_close(siren(x), network(x), rtol=1e-4, atol=1e-5)


def test_a_declared_omega_that_is_another_is_refused() -> None:
    """The error names the layer and both activations; an omega that differs by rounding alone is the same."""
    with pytest.raises(
        ValueError, match=r"module 'body\.0' \(SineLayer\) applies Sine\(.*\), the config is for Sine\("
    ):
        initialize_(Siren(30.0), config(), activations=READ)
    initialize_(Siren(float(torch.tensor(OMEGA) * (1 + 1e-7))), config(), activations=READ)


def test_a_declared_class_may_hold_parameters_of_its_own() -> None:
    """A learnable omega, declared, stays what it is; undeclared it stands in the way."""

    class Learnable(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.omega = nn.Parameter(torch.tensor(OMEGA))

    module = plain(Learnable())
    with pytest.raises(ValueError, match=r"module '4' \(Learnable\) has parameters"):
        initialize_(module, config())
    initialize_(module, config(), activations={Learnable: lambda m: activation("sine", omega=float(m.omega.detach()))})
    assert float(module[4].omega.detach()) == OMEGA


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (nn.LayerNorm(16), r"module '4' \(LayerNorm\) has parameters but is not a Linear layer"),
        (nn.LayerNorm(16, elementwise_affine=False), r"module '4' \(LayerNorm\) is neither a Linear layer nor"),
        (nn.Dropout(0.1), r"module '4' \(Dropout\) drops with p 0.1"),
        (nn.Softmax(-1), r"module '4' \(Softmax\) is neither"),
        (nn.GELU(), r"module '4' \(GELU\) applies Gelu\(.*\), the config is for Sine"),
        (nn.PReLU(), r"module '4' \(PReLU\) has parameters"),
    ],
)
def test_what_the_config_cannot_place_is_named_and_can_be_left(extra: nn.Module, message: str) -> None:
    """No silent skip: the sentence names the module; its type or its name in ``leave`` says that it is meant."""
    with pytest.raises(ValueError, match=message):
        initialize_(plain(extra), config())
    for leave in ([type(extra)], ["4"]):
        module = initialize_(plain(extra), config(), leave=leave, generator=generator_for(3))
        linears = [part for part in module if isinstance(part, nn.Linear)]
        assert torch.equal(linears[2].weight, drawn(config())[4])


def test_leaving_a_branch_leaves_all_that_it_contains() -> None:
    """A hypernetwork's or another head's Linear layers do not count; a name that is not there is refused."""
    module = nn.ModuleDict({"inr": plain(), "other": nn.Sequential(nn.Linear(7, 7), nn.LayerNorm(7))})
    before = module["other"][0].weight.clone()
    initialize_(module, config(), leave=["other"], generator=generator_for(3))
    assert torch.equal(module["other"][0].weight, before)
    assert torch.equal(module["inr"][0].weight, drawn(config())[0])
    with pytest.raises(ValueError, match="leave names the module or parameter 'othr', which is not there"):
        initialize_(module, config(), leave=["othr"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_type_gets_the_same_network_rounded(dtype: torch.dtype) -> None:
    """The float32 draw, cast; the module keeps its type and runs in it."""
    module = initialize_(Siren().to(dtype), config(), activations=READ, generator=generator_for(3))
    for parameter, expected in zip(module.parameters(), drawn(config()), strict=True):
        assert torch.equal(parameter, expected.to(dtype))
    out = module(torch.rand(5, 2, generator=generator_for(0)).to(dtype))
    assert out.dtype == dtype
    assert torch.isfinite(out).all()


REAL = sorted(family for family, cls in families().items() if not cls.complex)


@pytest.mark.parametrize("family", REAL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_an_inr_of_any_family_runs_in_any_floating_type(family: str, dtype: torch.dtype) -> None:
    """Values are finite and near those of float32, as far as the type's precision goes."""
    made = vi3nr_config(activation(family), WIDTHS, encoding=Encoding("fourier", 2, 2))
    x = torch.rand(20, 2, generator=generator_for(0)).to(torch.bfloat16).float()
    expected = INR.from_config(made, seed=1).double()(x.double()).detach()
    got = INR.from_config(made, seed=1, dtype=dtype)(x.to(dtype)).detach()
    assert got.dtype == dtype
    unit = torch.finfo(dtype).eps * float(expected.abs().max() + expected.std())
    assert float((got.double() - expected).abs().max()) <= 300 * unit + 1e-6 * unit


@pytest.mark.parametrize("family", REAL)
def test_compiled_modules_are_initialised_and_trace_whole(family: str) -> None:
    """``torch.compile`` before or after ``initialize_`` is the same; the graph has no break."""
    made = vi3nr_config(activation(family), WIDTHS, encoding=Encoding("random_fourier", 2, 3, std=1.0, seed=0))
    torch.compiler.reset()  # what it compiled for other families counts toward its limit
    network = INR.from_config(made, seed=1)
    x = torch.rand(20, 2, generator=generator_for(0))
    before = network(x)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), before, rtol=1e-4, atol=1e-5)
    initialize_(compiled, made, generator=generator_for(2))
    torch.testing.assert_close(compiled(x), INR.from_config(made, seed=2)(x), rtol=1e-4, atol=1e-5)


def test_an_encoding_in_the_module_must_be_the_configs() -> None:
    """The config's encoding, in a Sequential of one's own; another is refused."""
    encoding = Encoding("fourier", 2, 3)
    made = config(encoding=encoding)
    build = lambda e: nn.Sequential(EncodingModule(e), nn.Linear(14, 16), nn.Linear(16, 16), nn.Linear(16, 3))  # noqa: E731
    module = initialize_(build(encoding), made, generator=generator_for(3))
    assert torch.equal(module[1].weight, drawn(made)[0])
    with pytest.raises(ValueError, match=r"module '0' \(EncodingModule\) is Encoding\(kind='random_fourier'"):
        initialize_(build(Encoding("random_fourier", 2, 6, std=1.0, seed=1)), made)


def test_a_module_that_is_shared_counts_once_and_registration_decides() -> None:
    """The order is that of registration, not of use."""

    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Linear(2, 16), nn.Linear(16, 16), nn.Linear(16, 3)
            self.again = self.second

    module = initialize_(Backwards(), config(), generator=generator_for(3))
    for parameter, expected in zip(module.parameters(), drawn(config()), strict=True):
        assert torch.equal(parameter.detach(), expected)


@pytest.mark.parametrize("fill", [vi3nr_uniform_, vi3nr_normal_])
@pytest.mark.parametrize(
    ("shape", "fan_in", "given"), [((400, 90), 90, None), ((40, 10, 3, 3), 90, None), ((9, 40, 90), 90, 90)]
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.complex64, torch.complex128])
def test_filling_any_weight(fill, shape: tuple, fan_in: int, given: int | None, dtype: torch.dtype) -> None:
    """Linear, convolution, stacked weights of any type: E|W|^2 = sigma_p^2 / (M E f^2), mean 0, circular if complex."""
    weight = torch.empty(shape, dtype=dtype)
    assert fill(weight, SINE, 0.05, sigma_p_in=0.2, fan_in=given, generator=generator_for(0)) is weight
    expected = 0.05**2 / (fan_in * moments(SINE, 0.2).second_moment)
    wide = weight.to(torch.complex128)
    assert float(wide.abs().square().mean()) == pytest.approx(expected, rel=0.05)
    assert abs(complex(wide.mean())) < 5 * (expected / wide.numel()) ** 0.5
    if dtype.is_complex:
        assert abs(complex(wide.square().mean())) < 0.05 * expected


def test_filling_refuses_what_holds_no_numbers() -> None:
    """Integers, meta tensors, a fan-in of zero."""
    with pytest.raises(ValueError, match=r"floating-point or complex numbers, got torch\.int64"):
        vi3nr_uniform_(torch.zeros(3, 3, dtype=torch.int64), SINE, 1.0)
    with pytest.raises(ValueError, match="meta device"):
        vi3nr_uniform_(torch.empty(3, 3, device="meta"), SINE, 1.0)
    with pytest.raises(ValueError, match="fan_in must be a positive integer, got 0"):
        vi3nr_normal_(torch.empty(3, 3), SINE, 1.0, fan_in=0)
