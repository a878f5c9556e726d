"""Encodings in front of networks and networks with complex weights: what they compute, and that they train."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vi3nr.activation_module import ActivationModule, EncodingModule
from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.complex_moments import circular_second_moment, circular_slope_second_moment
from vi3nr.config import BiasRule, Encoding, InitConfig
from vi3nr.encoding import encode, encoding_frequencies
from vi3nr.ensemble.cpu import CpuEnsemble, one_thread
from vi3nr.ensemble.interface import Ensemble, Member, Progress, Recipe
from vi3nr.ensemble.reference import ReferenceEnsemble
from vi3nr.ensemble.slots import state_size
from vi3nr.initialisers import draw_parameters, generator_for, initialize_
from vi3nr.moments import moments
from vi3nr.networks import INR
from vi3nr.profile import vi3nr_config
from vi3nr.signals import Signal
from workers.pool import Group
from workers.trainer import executor_for

FOURIER = Encoding("fourier", 2, 5)
RANDOM = Encoding("random_fourier", 2, 12, identity=False, std=2.0, seed=4)
ENCODINGS = pytest.mark.parametrize("encoding", [FOURIER, RANDOM], ids=["fourier", "random"])
WIDTHS = (2, 12, 10, 3)
RECIPE = Recipe(steps=20, batch_size=64)
WIRE = activation("wire", omega=10, s=5)


def points(count: int = 150, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 2)).astype(np.float32)


def a_signal() -> Signal:
    x = points()
    y = np.stack([np.sin(3 * x[:, 0]), np.cos(2 * x[:, 1]), x[:, 0] * x[:, 1]], axis=1).astype(np.float32)
    return Signal(x, y, "image", (len(x),))


def run(ensemble: Ensemble, *members: Member, steps: int = 20) -> dict[str, Progress]:
    for member in members:
        ensemble.admit(member)
    with one_thread():
        return {report.key: report for report in ensemble.advance(steps)}


def make(executor: type, family: str, capacity: int = 3, **options: object) -> Ensemble:
    return executor(a_signal(), widths=WIDTHS, family=family, recipe=RECIPE, capacity=capacity, **options)


def test_fourier_features_are_those_of_nerf() -> None:
    """x, then sin(2^k pi x) and cos(2^k pi x) of each axis, by Python's own sine in float64."""
    x = points(7)
    got = encode(FOURIER, x)
    angles = [[2**k * math.pi * float(v) for v in row for k in range(5)] for row in x]
    np.testing.assert_allclose(got[:, :2], x)
    np.testing.assert_allclose(got[:, 2:12], [[math.sin(a) for a in row] for row in angles], atol=1e-13)
    np.testing.assert_allclose(got[:, 12:], [[math.cos(a) for a in row] for row in angles], atol=1e-13)
    assert got.shape == (7, FOURIER.out_dim)


def test_random_features_are_those_of_their_seed() -> None:
    """sin(2 pi b.x), cos(2 pi b.x); b has the std asked for, the seed decides, the global state does not."""
    x = points(7)
    b = encoding_frequencies(RANDOM) / 2.0
    angles = 2 * math.pi * x.astype(np.float64) @ b.T
    np.testing.assert_allclose(encode(RANDOM, x), np.concatenate([np.sin(angles), np.cos(angles)], 1), atol=1e-12)
    many = encoding_frequencies(Encoding("random_fourier", 2, 50_000, std=3.0, seed=0)) / 2.0
    assert many.std() == pytest.approx(3.0, rel=0.02)
    assert not np.array_equal(encoding_frequencies(Encoding("random_fourier", 2, 12, False, 2.0, 5)) / 2.0, b)
    with pytest.raises(ValueError, match=r"coordinates must be of shape \(points, 2\), got \(4, 3\)"):
        encode(RANDOM, np.zeros((4, 3)))


def test_high_octaves_lose_nothing_in_float32() -> None:
    """Ten octaves in float32 are right to 3e-7, where sin(2^9 pi x) as it is written is off by 1e-4."""
    encoding, x = Encoding("fourier", 2, 10, identity=False), points()
    expected = encode(encoding, x)
    got = EncodingModule(encoding)(torch.from_numpy(x)).numpy()
    assert np.abs(got - expected).max() < 3e-7
    plain = np.sin(np.float32(2**9 * math.pi) * x[:, 0])
    assert np.abs(plain - expected[:, 9]).max() > 3e-6


@ENCODINGS
def test_the_second_moment_of_the_features_is_exact(encoding: Encoding) -> None:
    """From the coordinates' E x^2 alone, on points of any distribution: sin^2 + cos^2 = 1."""
    for x in (points(), points() ** 3, np.random.default_rng(0).normal(size=(9, 2))):
        expected = np.mean(encode(encoding, x) ** 2)
        assert encoding.second_moment(float(np.mean(np.square(x, dtype=np.float64)))) == pytest.approx(
            expected, rel=1e-12
        )


@ENCODINGS
def test_a_config_brings_its_encoding(encoding: Encoding) -> None:
    """INR.from_config of the config's JSON applies it, and the first layer's pre-activations have the std asked for."""
    x = points(400)
    config = vi3nr_config(activation("relu"), (2, 600, 3), sigma_p=1.0, inputs=x, encoding=encoding)
    network = INR.from_json(config.to_json(), seed=1)
    z = network.layers[0](network.encoding(torch.from_numpy(x)))
    assert float(z.detach().square().mean()) == pytest.approx(1.0, rel=0.2)
    assert network(torch.from_numpy(x)).shape == (400, 3)
    torch.testing.assert_close(
        network.from_features(torch.from_numpy(encode(encoding, x)).float()),
        network(torch.from_numpy(x)),
        rtol=0,
        atol=1e-5,
    )
    assert set(network.state_dict()) == {f"layers.{k}.{name}" for k in (0, 2) for name in ("weight", "bias")}
    assert (
        baseline_config("kaiming", activation("relu"), (2, 8, 3), encoding=encoding).layers[0].fan_in
        == encoding.out_dim
    )
    with pytest.raises(ValueError, match="the encoding is for 2 coordinates, widths begin with 3"):
        baseline_config("kaiming", activation("relu"), (3, 8, 3), encoding=encoding)


@pytest.mark.parametrize("executor", [CpuEnsemble, ReferenceEnsemble])
def test_executors_train_encoded_members_as_alone(executor: type) -> None:
    """Members with different encodings, and none, side by side: each as alone, and as a plain loop in float64."""
    relu = activation("relu")
    members = [
        Member(str(k), vi3nr_config(relu, WIDTHS, sigma_p=1.0, encoding=encoding), 7 + k, 1e-3, 20)
        for k, encoding in enumerate((FOURIER, None, RANDOM))
    ]
    together = run(make(executor, "relu", dtype=torch.float64), *members)
    for member in members:
        alone = run(make(executor, "relu", dtype=torch.float64), member)[member.key]
        np.testing.assert_array_equal(together[member.key].state.parameters, alone.state.parameters)
        reference = run(make(ReferenceEnsemble, "relu", dtype=torch.float64), member)[member.key]
        np.testing.assert_allclose(alone.state.parameters, reference.state.parameters, rtol=0, atol=1e-9)
        assert alone.state.parameters.shape == (state_size(member.config),)


def test_an_encoding_makes_relu_see_detail() -> None:
    """On a signal with detail, ReLU with Fourier features is far ahead of ReLU without, after the same steps."""
    x = np.linspace(-1, 1, 200, dtype=np.float32)[:, None]
    signal = Signal(x, np.sin(20 * x).astype(np.float32), "sound", (200,))
    scores = []
    for encoding in (None, Encoding("fourier", 1, 5)):
        config = vi3nr_config(activation("relu"), (1, 32, 32, 1), sigma_p=1.0, encoding=encoding)
        ensemble = CpuEnsemble(signal, widths=(1, 32, 32, 1), family="relu", recipe=Recipe(steps=150), capacity=1)
        scores.append(run(ensemble, Member("a", config, 0, 3e-3, 150), steps=150)["a"].score)
    assert scores[1] > scores[0] + 10.0


def wire_config(**arguments: object) -> InitConfig:
    return vi3nr_config(
        WIRE, WIDTHS, sigma_p=0.1, bias=BiasRule("share", 0.3), bias_first=BiasRule("share", 0.2), **arguments
    )


def wire_value(z: Tensor) -> Tensor:
    return torch.exp(10j * z - (5 * z.abs()) ** 2)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_complex_weights_are_circular_with_the_variance_of_the_modulus(distribution: str) -> None:
    """First layer real; in the others E|W|^2 = std^2, E W^2 = 0, real and imaginary part within their bound."""
    config = vi3nr_config(WIRE, (2, 300, 300, 3), sigma_p=0.1, bias=BiasRule("share", 0.3), distribution=distribution)
    drawn = draw_parameters(config, generator_for(0))
    assert [weight.dtype for weight, _ in drawn] == [torch.float32, torch.complex64, torch.complex64]
    weight, layer = drawn[1][0], config.layers[1]
    assert float(weight.abs().square().mean()) == pytest.approx(layer.weight_std**2, rel=0.02)
    assert abs(complex(weight.square().mean())) < 0.02 * layer.weight_std**2
    if distribution == "uniform":
        largest = float(torch.view_as_real(weight).abs().max())
        assert largest == pytest.approx(layer.weight_bound, rel=1e-3)
        assert config.layers[0].weight_bound == pytest.approx(math.sqrt(3) * config.layers[0].weight_std)
    assert InitConfig.from_json(config.to_json()) == config
    assert config.complex_weights


def test_a_wire_network_computes_what_its_layers_say() -> None:
    """exp(i omega z - |s z|^2) between a real first layer, complex ones, and the real part; numbers count twice."""
    network = INR.from_config(wire_config(), seed=2)
    x = torch.from_numpy(points(9))
    (w0, b0), (w1, b1), (w2, b2) = draw_parameters(wire_config(), generator_for(2))
    hidden = wire_value(wire_value(x @ w0.T + b0) @ w1.T + b1)
    torch.testing.assert_close(network(x), (hidden @ w2.T + b2).real, rtol=1e-4, atol=1e-6)
    assert network.number_of_parameters == state_size(wire_config()) == 36 + 2 * 130 + 2 * 33
    wide = INR.from_config(wire_config(), seed=2, dtype=torch.float64)
    assert wide.layers[2].weight.dtype == torch.complex128
    torch.testing.assert_close(wide(x.double()).float(), network(x), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match=r"no complex numbers of the precision of torch\.bfloat16"):
        INR(WIDTHS, WIRE, dtype=torch.bfloat16)


def test_initialize_places_complex_layers() -> None:
    """A WIRE-like module takes the config's draws; one with a real hidden layer is refused by name."""
    module = nn.Sequential(
        nn.Linear(2, 12),
        ActivationModule(WIRE),
        nn.Linear(12, 10, dtype=torch.complex64),
        ActivationModule(WIRE),
        nn.Linear(10, 3, dtype=torch.complex64),
    )
    initialize_(module, wire_config(), generator=generator_for(2))
    drawn = [tensor for pair in draw_parameters(wire_config(), generator_for(2)) for tensor in pair]
    assert all(torch.equal(a.detach(), b) for a, b in zip(module.parameters(), drawn, strict=True))
    module[2] = nn.Linear(12, 10)
    with pytest.raises(ValueError, match=r"'2' has torch\.float32 weights, the config draws complex ones for layer 1"):
        initialize_(module, wire_config())


@pytest.mark.parametrize("rule", ["pytorch_default", "xavier", "kaiming", "normal"])
def test_baselines_of_complex_layers_are_torchs(rule: str) -> None:
    """E|W|^2 and E|b|^2 are those of torch's own initialiser on a complex Linear layer."""
    config = baseline_config(rule, WIRE, (2, 200, 150, 3))
    state = torch.get_rng_state()
    torch.manual_seed(1)
    linear = nn.Linear(200, 150, dtype=torch.complex64)
    fill = {"xavier": nn.init.xavier_uniform_, "kaiming": nn.init.kaiming_uniform_, "normal": nn.init.normal_}
    if rule in fill:
        fill[rule](linear.weight, **({"nonlinearity": "relu"} if rule == "kaiming" else {}))
    torch.set_rng_state(state)
    layer = config.layers[1]
    assert float(linear.weight.detach().abs().square().mean()) == pytest.approx(layer.weight_std**2, rel=0.03)
    assert float(linear.bias.detach().abs().square().mean()) == pytest.approx(layer.bias_std**2, rel=0.25)


def test_complex_moments_agree_with_the_integral_and_with_samples() -> None:
    """WIRE's closed forms to 1e-12; they are not the moments under real pre-activations; real families are refused."""
    for omega, s, sigma_p in ((20.0, 10.0, 0.0473), (20.0, 10.0, 1.0), (10.0, 30.0, 0.02), (1.0, 0.5, 4.0)):
        phi = activation("wire", omega=omega, s=s)
        wide = 1 + 2 * s**2 * sigma_p**2
        expected = math.exp(omega**2 * sigma_p**2 / wide) / wide
        assert circular_second_moment(phi, sigma_p) == pytest.approx(expected, rel=1e-12)
        t = sigma_p**2 / wide
        slopes = omega**2 * (1 - 2 * s**2 * t + 2 * s**4 * t**2) + 2 * s**4 * t
        assert circular_slope_second_moment(phi, sigma_p) == pytest.approx(expected * slopes, rel=1e-12)
    z = np.random.default_rng(0).normal(0, 0.1 / math.sqrt(2), (200_000, 2)) @ [1, 1j]
    samples = np.abs(WIRE.value(z, np)) ** 2
    error = samples.std() / math.sqrt(len(samples))
    assert samples.mean() == pytest.approx(circular_second_moment(WIRE, 0.1), abs=5 * error)
    assert abs(moments(WIRE, 0.1).second_moment - samples.mean()) > 20 * error
    with pytest.raises(ValueError, match="is a real activation"):
        circular_second_moment(activation("sine"), 0.1)
    with pytest.raises(ValueError, match="is a real activation"):
        circular_slope_second_moment(activation("sine"), 0.1)
    with pytest.raises(ValueError, match="has no derivative by conj"):
        activation("sine").conjugate_derivative(z, np)
    with pytest.raises(ArithmeticError, match="too fine a grid"):
        circular_second_moment(WIRE, 1000.0)
    with pytest.raises(ValueError, match="'stability' is for real activations, layer 1 is complex"):
        vi3nr_config(WIRE, WIDTHS, sigma_p=0.1, bias=BiasRule("stability"))


def test_complex_members_train_as_people_train_them_and_continue_exactly() -> None:
    """Autograd and torch.optim.Adam on complex parameters; stopping half way and going on changes not one bit."""
    member = Member("a", wire_config(), 3, 5e-3, 20)
    recipe = Recipe(steps=20)
    ensemble = ReferenceEnsemble(a_signal(), widths=WIDTHS, family="wire", recipe=recipe, capacity=1)
    got = run(ensemble, member)["a"].state.parameters
    network, signal = INR.from_config(wire_config(), seed=3), a_signal()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3, foreach=False)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.mse_loss(
            network(torch.from_numpy(signal.coordinates)), torch.from_numpy(signal.values)
        ).backward()
        optimizer.step()
    flat = [torch.view_as_real(p.detach()) if p.is_complex() else p.detach() for p in network.parameters()]
    np.testing.assert_array_equal(got, torch.cat([p.reshape(-1) for p in flat]).numpy())
    whole = run(make(ReferenceEnsemble, "wire"), member)["a"]
    half = run(make(ReferenceEnsemble, "wire"), Member("a", member.config, 3, 5e-3, 10), steps=10)["a"]
    rest = run(make(ReferenceEnsemble, "wire"), Member("a", member.config, 3, 5e-3, 20, half.state), steps=10)["a"]
    for name in ("parameters", "first_moment", "second_moment"):
        np.testing.assert_array_equal(getattr(whole.state, name), getattr(rest.state, name))
    assert whole.state.parameters.dtype == np.float32
    assert rest.step == 20


def test_complex_families_go_to_the_executor_that_has_complex_numbers() -> None:
    """The tiled executor refuses WIRE with a sentence; a CPU trainer trains it by the reference executor."""
    with pytest.raises(ValueError, match="the CPU executor has no complex numbers, which the family 'wire' needs"):
        make(CpuEnsemble, "wire")
    on_cpu = executor_for("cpu")
    assert isinstance(on_cpu(a_signal(), Group("s", WIDTHS, "wire", RECIPE), 1), ReferenceEnsemble)
    assert isinstance(on_cpu(a_signal(), Group("s", WIDTHS, "sine", RECIPE), 1), CpuEnsemble)
