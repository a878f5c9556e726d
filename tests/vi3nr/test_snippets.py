"""``pytorch_script``: run as a user would, it draws the very network of the config."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vi3nr import INR, BiasRule, Encoding, activation, baseline_config, pytorch_script, vi3nr_config
from vi3nr.activations import families
from vi3nr.config import InitConfig
from vi3nr.initialisers import generator_for

WIDTHS = (2, 16, 12, 3)
X = torch.rand(30, 2, generator=generator_for(0)) * 2 - 1


def run(of: InitConfig) -> torch.nn.Module:
    names: dict[str, object] = {"__name__": "script"}
    exec(compile(pytorch_script(of), "script.py", "exec"), names)
    network = names["network"]
    assert isinstance(network, torch.nn.Module)
    return network


@pytest.mark.parametrize("family", families())
def test_every_familys_script_draws_its_network(family: str) -> None:
    """The same parameters under the same names, bit for bit, and the same values and gradients."""
    of = vi3nr_config(activation(family), WIDTHS, bias_first=BiasRule("share", 0.3), sigma_p=0.4)
    theirs, ours = run(of), INR.from_config(of, seed=0)
    assert theirs.state_dict().keys() == ours.state_dict().keys()
    for name, tensor in ours.state_dict().items():
        assert torch.equal(theirs.state_dict()[name], tensor), name
    torch.testing.assert_close(theirs(X), ours(X), rtol=1e-3, atol=1e-4)
    for network in (theirs, ours):
        network(X).square().sum().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(other.grad, mine.grad, rtol=1e-2, atol=1e-2 * float(mine.grad.abs().max()))


@pytest.mark.parametrize(
    "of",
    [
        vi3nr_config(activation("gaussian"), WIDTHS, distribution="normal", bias=BiasRule("share", 0.2)),
        baseline_config("siren", activation("sine"), WIDTHS),
        vi3nr_config(activation("relu"), WIDTHS, sigma_p=1.0, encoding=Encoding("fourier", in_dim=2, frequencies=3)),
        vi3nr_config(activation("cos(x) * exp(-x**2)"), WIDTHS),
        vi3nr_config(activation("gaussian"), (1, 5, 1)),
    ],
    ids=("normal", "siren", "encoded", "formula", "one axis"),
)
def test_other_configs_too(of: InitConfig) -> None:
    """Two distributions in one network, a usual rule, an encoding, a formula, one axis."""
    x = X[:, : of.widths[0]]
    torch.testing.assert_close(run(of)(x), INR.from_config(of, seed=0)(x), rtol=1e-4, atol=1e-5)


def test_it_needs_pytorch_alone(tmp_path: Path) -> None:
    """Run as a file where vi3nr cannot be imported; a network that does need the library says why."""
    of = vi3nr_config(activation("sine"), WIDTHS)
    (tmp_path / "network.py").write_text(pytorch_script(of))
    code = "import sys; sys.modules['vi3nr'] = None; import network as n; print(n.network(n.torch.zeros(1, 2)).shape)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "torch.Size([1, 3])", done.stderr
    assert "the network has complex weights" in pytorch_script(vi3nr_config(activation("wire"), WIDTHS))
