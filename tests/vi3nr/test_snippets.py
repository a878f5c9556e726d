"""``pytorch_script``: run as a user would, it draws the very network of the config."""

from __future__ import annotations

import ast

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
    of = baseline_config("pytorch_default", activation(family), WIDTHS)
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


def test_it_needs_pytorch_alone() -> None:
    """It imports nothing else but the standard library's math; a network that does need the library says why."""
    for family in sorted(set(families()) - {"wire"}):
        tree = ast.parse(pytorch_script(baseline_config("pytorch_default", activation(family), WIDTHS)))
        plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        parts = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert plain | parts == {"math", "torch"}, family
    assert "the network has complex weights" in pytorch_script(vi3nr_config(activation("wire"), WIDTHS))
