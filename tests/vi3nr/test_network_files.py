"""Weights as files: a network that was written and read is the same function, in its own form and in siren's."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from siren_modules import SineLayer
from torch import nn

from vi3nr import (
    INR,
    BiasRule,
    Encoding,
    activation,
    generator_for,
    load_safetensors,
    save_safetensors,
    siren_state_dict,
    vi3nr_config,
)
from vi3nr.config import InitConfig
from vi3nr.initialisers import initialize_
from vi3nr.reconstruction import network_of
from vi3nr.state_dicts import OMEGA_INSIDE, safetensors_bytes, split_parameters

WIDTHS = (2, 16, 12, 3)
X = torch.rand(40, 2, generator=generator_for(0)) * 2 - 1


def config(family: str = "sine", **arguments: object) -> InitConfig:
    return vi3nr_config(activation(family), WIDTHS, bias_first=BiasRule("share", 0.3), **arguments)


class Siren(nn.Module):
    """As in SIREN's published notebook: ``net``, omega in every layer but the last."""

    def __init__(self, widths: tuple[int, ...], omega_0: float, layer: type[nn.Module] = SineLayer) -> None:
        super().__init__()
        hidden = [layer(a, b, omega_0) for a, b in pairwise(widths[:-1])]
        self.net = nn.Sequential(*hidden, nn.Linear(*widths[-2:]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class FinerLayer(SineLayer):
    """As in FINER's published code."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.linear(x)
        return torch.sin(self.omega_0 * (z.abs() + 1.0).detach() * z)


def flat(network: nn.Module) -> np.ndarray:
    """As a trainer hands parameters over."""
    parts = [torch.view_as_real(p) if p.is_complex() else p for p in network.parameters()]
    return torch.cat([part.detach().reshape(-1) for part in parts]).numpy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    "of",
    [
        config(),
        config("gaussian", distribution="normal"),
        vi3nr_config(activation("relu"), WIDTHS, sigma_p=1.0, encoding=Encoding("fourier", in_dim=2, frequencies=3)),
        vi3nr_config(activation("cos(x) * exp(-x**2)"), WIDTHS),
    ],
    ids=lambda of: of.family,
)
def test_a_file_gives_the_network_back(of: InitConfig, dtype: torch.dtype, tmp_path: Path) -> None:
    """The config, every parameter, the dtype and the outputs; after a step of training too."""
    network = INR.from_config(of, seed=3, dtype=dtype)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    network(X.to(dtype)).square().sum().backward()
    optimizer.step()
    save_safetensors(tmp_path / "a.safetensors", network, of, about={"arm": "mine"})
    again = load_safetensors(tmp_path / "a.safetensors")
    assert {p.dtype for p in again.parameters()} == {dtype}
    assert torch.equal(network(X.to(dtype)), again(X.to(dtype)))
    loaded = INR.from_config(of, seed=0, dtype=dtype)
    import safetensors.torch

    loaded.load_state_dict(safetensors.torch.load_file(tmp_path / "a.safetensors"))
    assert torch.equal(network(X.to(dtype)), loaded(X.to(dtype)))


def test_complex_weights_are_kept(tmp_path: Path) -> None:
    """WIRE: complex64, with torch and without; complex128 is refused in a sentence."""
    of = vi3nr_config(activation("wire"), WIDTHS)
    network = INR.from_config(of, seed=1)
    save_safetensors(tmp_path / "wire.safetensors", network, of)
    assert torch.equal(load_safetensors(tmp_path / "wire.safetensors")(X), network(X))
    with pytest.raises(ValueError, match="complex128"):
        save_safetensors(tmp_path / "b", INR.from_config(of, dtype=torch.float64), of)
    (tmp_path / "c").write_bytes(safetensors_bytes(of, split_parameters(of, flat(network))))
    assert torch.equal(load_safetensors(tmp_path / "c")(X), network(X))


@pytest.mark.parametrize("family", ["gaussian", "wire"])
def test_flat_parameters_are_those_of_the_layers(family: str) -> None:
    """Weight then bias of each layer, complex numbers as pairs: the network is the same."""
    of = vi3nr_config(activation(family), WIDTHS, bias=BiasRule("like_weights"))
    network = INR.from_config(of, seed=2)
    linears = [part for part in network.layers if isinstance(part, nn.Linear)]
    for (weight, bias), linear in zip(split_parameters(of, flat(network)), linears, strict=True):
        np.testing.assert_array_equal(weight, linear.weight.detach().numpy())
        np.testing.assert_array_equal(bias, linear.bias.detach().numpy())
    assert torch.equal(network_of(of, flat(network))(X), network(X))
    with pytest.raises(ValueError, match="the network has"):
        split_parameters(of, flat(network)[:-1])


def test_without_torch_the_file_is_the_same(tmp_path: Path) -> None:
    """What the service writes from flat parameters is what ``load_safetensors`` reads."""
    of = config("gaussian")
    network = INR.from_config(of, seed=5)
    (tmp_path / "a").write_bytes(safetensors_bytes(of, split_parameters(of, flat(network)), about={"seed": "5"}))
    assert torch.equal(load_safetensors(tmp_path / "a")(X), network(X))


@pytest.mark.parametrize("family", OMEGA_INSIDE)
def test_siren_style_modules_become_the_same_function(family: str, tmp_path: Path) -> None:
    """The state dict loads strictly into modules with omega inside; values and gradients are the INR's."""
    of = config(family, sigma_p=0.02)
    network = INR.from_config(of, seed=4)
    layer = {"sine": SineLayer, "finer": FinerLayer}[family]
    siren = Siren(WIDTHS, 1.0 / of.sigma_a, layer)
    siren.load_state_dict(siren_state_dict(network, of))
    torch.testing.assert_close(siren(X), network(X), rtol=1e-4, atol=1e-5)
    for module in (siren, network):
        module(X).square().sum().backward()
    for ours, theirs in zip(network.parameters(), siren.parameters(), strict=True):
        torch.testing.assert_close(theirs.grad, ours.grad, rtol=1e-3, atol=1e-3 * float(ours.grad.abs().max()))
    other = Siren(WIDTHS, 29.0, layer)
    other.load_state_dict(siren_state_dict(network, of))
    assert not torch.allclose(other(X), network(X), rtol=1e-2), "another omega is another function"
    save_safetensors(tmp_path / "s", network, of, form="siren")
    assert torch.equal(load_safetensors(tmp_path / "s")(X), network(X))


def test_a_siren_of_ones_own_can_be_written() -> None:
    """A plain Sequential that ``initialize_`` filled has the same state dict as the INR."""
    from siren_modules import config as plain_config
    from siren_modules import plain

    module = initialize_(plain(), plain_config(), generator=generator_for(3))
    theirs = siren_state_dict(module, plain_config())
    ours = siren_state_dict(INR.from_config(plain_config(), seed=3), plain_config())
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (config("gaussian"), "'gaussian' has no such layer$"),
        (vi3nr_config(activation("wire"), WIDTHS), "'wire' has no such layer"),
        (
            vi3nr_config(activation("sine"), WIDTHS, encoding=Encoding("fourier", in_dim=2, frequencies=2)),
            "has no place for an encoding, and the config has 'fourier'",
        ),
    ],
    ids=("gaussian", "wire", "encoded"),
)
def test_siren_means_nothing_for_other_networks(of: InitConfig, words: str, tmp_path: Path) -> None:
    """The refusal names the family or the encoding; no file is left."""
    network = INR.from_config(of, seed=0)
    for call in (
        lambda: siren_state_dict(network, of),
        lambda: save_safetensors(tmp_path / "a", network, of, form="siren"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    assert not list(tmp_path.iterdir())


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there, no safetensors, one without a config, one that lacks a tensor, another's network."""
    import safetensors.torch

    of = config()
    network = INR.from_config(of)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_safetensors(tmp_path / "nowhere")
    (tmp_path / "text").write_text("not weights")
    with pytest.raises(ValueError, match="is no safetensors file"):
        load_safetensors(tmp_path / "text")
    safetensors.torch.save_file(network.state_dict(), tmp_path / "bare")
    with pytest.raises(ValueError, match="holds no init config"):
        load_safetensors(tmp_path / "bare")
    safetensors.torch.save_file({"x": X}, tmp_path / "less", {"vi3nr_config": of.to_json()})
    with pytest.raises(ValueError, match=r"lacks layers\.0\.bias"):
        load_safetensors(tmp_path / "less")
    with pytest.raises(ValueError, match="form must be one of inr, siren, got 'keras'"):
        save_safetensors(tmp_path / "x", network, of, form="keras")
    with pytest.raises(ValueError, match="applies Sine"):
        save_safetensors(tmp_path / "x", network, config("gaussian"))
