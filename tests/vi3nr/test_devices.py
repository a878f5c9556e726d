"""The torch half on every device: numbers on the CPU and on CUDA, and on the meta device that nothing else is mixed in.

On the meta device a tensor of another device in an operation is an error, so it shows, without an accelerator, a
constant or a buffer that was left on the CPU.
"""

import shutil

import pytest
import torch
from torch import nn

from vi3nr.activations import activation, families
from vi3nr.config import Encoding, InitConfig
from vi3nr.initialisers import draw_parameters, generator_for, initialize_, vi3nr_normal_, vi3nr_uniform_
from vi3nr.networks import INR, ActivationModule
from vi3nr.profile import vi3nr_config

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")),
]
ENCODINGS = {
    "plain": None,
    "fourier": Encoding("fourier", 2, 3),
    "random": Encoding("random_fourier", 2, 3, std=1.0, seed=0),
}


def config_of(family: str, encoding: Encoding | None = None) -> InitConfig:
    return vi3nr_config(activation(family), (2, 16, 16, 3), encoding=encoding)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", sorted(families()))
def test_a_seed_means_the_same_network_and_gradients_on_every_device(family: str, device: str) -> None:
    """The parameters are those of the CPU's draw, bit by bit; values and gradients agree to rounding."""
    made = config_of(family)
    here = INR.from_config(made, seed=3, dtype=torch.float64)
    there = INR.from_config(made, seed=0, dtype=torch.float64).to(device)
    initialize_(there, made, generator=generator_for(3))
    x = torch.rand(9, 2, generator=generator_for(0), dtype=torch.float64)
    for network, points in ((here, x), (there, x.to(device))):
        network(points).square().sum().backward()
    torch.testing.assert_close(there(x.to(device)).cpu(), here(x), rtol=1e-9, atol=1e-9)
    drawn = [tensor for pair in draw_parameters(made, generator_for(3)) for tensor in pair]
    for ours, theirs, told in zip(here.parameters(), there.parameters(), drawn, strict=True):
        assert theirs.device.type == device
        assert torch.equal(theirs.detach().cpu().to(told.dtype), told)
        torch.testing.assert_close(theirs.grad.cpu(), ours.grad, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_small_types_and_encodings_run_on_every_device(encoding: str, dtype: torch.dtype, device: str) -> None:
    """An INR is moved whole, its encoding too, and gives finite values in the type that was asked for."""
    network = INR.from_config(config_of("sine", ENCODINGS[encoding]), seed=0, dtype=dtype).to(device)
    out = network(torch.rand(5, 2, generator=generator_for(0)).to(device, dtype))
    assert (out.dtype, out.device.type) == (dtype, device)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fill", [vi3nr_uniform_, vi3nr_normal_])
def test_one_weight_is_filled_on_its_own_device(fill, device: str) -> None:
    """The draw is the CPU's, copied."""
    sine = activation("sine")
    filled = fill(torch.empty(20, 10, device=device), sine, 0.03, generator=generator_for(1))
    assert filled.device.type == device
    assert torch.equal(filled.cpu(), fill(torch.empty(20, 10), sine, 0.03, generator=generator_for(1)))


@pytest.mark.parametrize("device", DEVICES)
def test_wrapped_modules_keep_their_device(device: str) -> None:
    """DataParallel around a module of one's own: its Linear layers are found and filled where they are."""
    made = config_of("tanh")
    tanh = ActivationModule(activation("tanh"))
    inner = nn.Sequential(nn.Linear(2, 16), tanh, nn.Linear(16, 16), tanh, nn.Linear(16, 3)).to(device)
    initialize_(nn.DataParallel(inner), made, generator=generator_for(3))
    assert inner[0].weight.device.type == device
    assert torch.equal(inner[0].weight.detach().cpu(), draw_parameters(made, generator_for(3))[0][0])


@pytest.mark.parametrize("family", sorted(families()))
def test_no_activation_leaves_its_device(family: str) -> None:
    """Value and derivative of a meta tensor are meta tensors of its shape, for nothing in them comes from the CPU.

    Nor do they wait for the device: to read a number of a meta tensor is an error.
    """
    phi = activation(family)
    x = torch.empty(4, 7, device="meta", dtype=torch.complex64 if phi.complex else torch.float32)
    for found in (phi.value(x, torch), phi.derivative(x, torch)):
        assert (found.device.type, found.shape) == ("meta", x.shape)


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("family", sorted(families()))
def test_no_network_leaves_its_device(family: str, encoding: str) -> None:
    """Forward and backward on the meta device."""
    network = INR.from_config(config_of(family, ENCODINGS[encoding]), seed=0).to("meta")
    out = network(torch.empty(5, 2, device="meta"))
    out.square().mean().backward()
    assert (out.device.type, out.shape) == ("meta", (5, 3))
    assert all(parameter.grad.device.type == "meta" for parameter in network.parameters())


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler here")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")  # torch's own, while it compiles
def test_inductor_compiles_to_the_same_values() -> None:
    """torch.compile with its own backend, for FINER: before and after the parameters are drawn anew, in place."""
    made = vi3nr_config(activation("finer"), (2, 8, 8, 1))
    torch.compiler.reset()
    network = INR.from_config(made, seed=1)
    x = torch.rand(6, 2, generator=generator_for(0))
    compiled = torch.compile(network, fullgraph=True)
    with torch.no_grad():  # one graph to compile: with the backward one it takes half a minute
        for seed in (1, 2):
            initialize_(compiled, made, generator=generator_for(seed))
            torch.testing.assert_close(compiled(x), network(x), rtol=1e-4, atol=1e-5)
