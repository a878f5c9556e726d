"""The usual rules are what torch and SIREN's code do."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from vi3nr.activations import activation, families
from vi3nr.baselines import BASELINE_RULES, baseline_config, baseline_label, customary_baselines
from vi3nr.initialisers import draw_parameters, generator_for

WIDTHS = (2, 300, 200, 3)


def reference(rule: str, linear: nn.Linear, generator: torch.Generator) -> None:
    """torch's own initialiser, on a Linear layer that has torch's default parameters."""
    if rule == "xavier":
        nn.init.xavier_uniform_(linear.weight, generator=generator)
    elif rule == "kaiming":
        nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu", generator=generator)
    elif rule == "normal":
        nn.init.normal_(linear.weight, generator=generator)


@pytest.mark.parametrize("rule", ["pytorch_default", "xavier", "kaiming", "normal"])
def test_rules_have_torchs_distributions(rule: str) -> None:
    """Weights and biases of 40 draws have the std and the largest value of torch's own, within sampling error."""
    config = baseline_config(rule, activation("gaussian"), WIDTHS)
    assert config.rule == rule
    assert config.widths == WIDTHS
    state = torch.get_rng_state()
    torch.manual_seed(5)
    generator = generator_for(6)
    layers = [[nn.Linear(a, b) for a, b in pairwise(WIDTHS)] for _ in range(40)]
    torch.set_rng_state(state)
    for network in layers:
        for linear in network:
            reference(rule, linear, generator)
    draws = [draw_parameters(config, generator) for _ in range(40)]
    for index in range(3):
        pairs = (
            ([d[index][0] for d in draws], [n[index].weight.detach() for n in layers]),
            ([d[index][1] for d in draws], [n[index].bias.detach() for n in layers]),
        )
        for ours, theirs in pairs:
            a, b = torch.cat([t.ravel() for t in ours]), torch.cat([t.ravel() for t in theirs])
            assert float(a.std()) == pytest.approx(float(b.std()), rel=5 / math.sqrt(a.numel()))
            tail = 0.15 if rule == "normal" or a.numel() < 1000 else 0.01
            assert float(a.abs().max()) == pytest.approx(float(b.abs().max()), rel=tail)
            assert float(a.mean()) == pytest.approx(0.0, abs=5 * float(a.std()) / math.sqrt(a.numel()))


def test_siren_is_the_rule_of_its_code() -> None:
    """First weights U(+-1/fan_in), the others U(+-sqrt(6/fan_in)/omega), biases torch's default."""
    config = baseline_config("siren", activation("sine", omega=30), WIDTHS)
    assert [layer.weight_bound for layer in config.layers] == pytest.approx(
        [1 / 2, math.sqrt(6 / 300) / 30, math.sqrt(6 / 200) / 30]
    )
    assert [layer.bias_bound for layer in config.layers] == pytest.approx([n**-0.5 for n in WIDTHS[:-1]])
    with pytest.raises(ValueError, match="'siren' is a rule for the sine family, got 'gaussian'"):
        baseline_config("siren", activation("gaussian"), WIDTHS)


def test_finer_is_sirens_rule_with_a_bound_for_the_first_biases() -> None:
    """The weights of SIREN's rule at the same omega; first biases U(+-k) and told as a share, without k torch's."""
    finer, sine = activation("finer", omega=30), baseline_config("siren", activation("sine", omega=30), WIDTHS)
    usual = baseline_config("finer", finer, WIDTHS)
    assert usual.layers == sine.layers
    assert usual.bias_first.rule == "torch_default"
    config = baseline_config("finer", finer, WIDTHS, first_bias_bound=5.0)
    assert config.layers[1:] == sine.layers[1:]
    assert config.layers[0].weight_bound == 1 / 2
    assert config.layers[0].bias_bound == 5.0
    variance = 25 / 3  # and 2 inputs of E x^2 = 1/3 with weights U(+-1/2)
    assert config.bias_first.share == pytest.approx(variance / (variance + 2 * (1 / 12) / 3))
    bias = draw_parameters(config, generator_for(0))[0][1]
    assert 4.9 < float(bias.abs().max()) <= 5.0
    assert type(config).from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="'finer' is a rule for the finer family, got 'sine'"):
        baseline_config("finer", activation("sine"), WIDTHS)
    with pytest.raises(ValueError, match="first_bias_bound goes with the baseline 'finer' alone, got the rule 'siren'"):
        baseline_config("siren", activation("sine"), WIDTHS, first_bias_bound=1.0)
    for bound in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"first_bias_bound must be positive and finite, got {bound}"):
            baseline_config("finer", finer, WIDTHS, first_bias_bound=bound)


@pytest.mark.parametrize("family", sorted(families()))
def test_customary_baselines_can_be_built_and_told_apart(family: str) -> None:
    """Every family has customary rules; each makes a config, and their labels differ."""
    pairs = customary_baselines(family)
    assert pairs
    assert all(baseline_config(rule, activation(family, scale), WIDTHS).family == family for rule, scale in pairs)
    assert len({baseline_label(rule, activation(family, scale)) for rule, scale in pairs}) == len(pairs)


def test_labels_are_readable() -> None:
    """Names as people write them, with omega for the sine."""
    assert baseline_label("siren", activation("sine", omega=30)) == "SIREN, omega 30"
    assert baseline_label("pytorch_default", activation("gaussian", 0.05)) == "PyTorch default, sigma_a 0.05"
    assert baseline_label("normal", activation("gaussian", 0.0213456)) == "N(0, 1), sigma_a 0.02135"
    assert baseline_label("kaiming", activation("relu")) == "Kaiming"


def test_unknown_rules_list_the_choices() -> None:
    """Errors name the value and what there is."""
    for call in (
        lambda: baseline_config("lecun", activation("sine"), WIDTHS),
        lambda: baseline_label("lecun", activation("sine")),
    ):
        with pytest.raises(ValueError, match=f"'lecun' is unknown; choose one of {', '.join(BASELINE_RULES)}"):
            call()
    with pytest.raises(ValueError, match="'wavelet' is unknown"):
        customary_baselines("wavelet")
    with pytest.raises(ValueError, match="widths must be"):
        baseline_config("xavier", activation("sine"), (2, 0, 3))
