"""Arguments of another kind: the name of a thing where that is clear, a sentence that names the argument where not."""

import pytest
from torch import nn

from vi3nr import BiasRule, activation, baseline_config, initialize_, per_layer_gradient_factor, stable_sigma_p
from vi3nr import vi3nr_config as make
from vi3nr.activation_module import ActivationModule
from vi3nr.moments import moments
from vi3nr.networks import INR

WIDTHS = (2, 8, 8, 3)
SINE = activation("sine", omega=30)


@pytest.mark.parametrize("rule", ["zero", "like_weights", "stability"])
def test_a_bias_rule_may_be_its_name(rule: str) -> None:
    """As the FAQ writes it; unknown names and a share without its number are refused."""
    first = "zero" if rule == "stability" else rule
    expected = make(SINE, WIDTHS, sigma_p=0.02, bias=BiasRule(rule), bias_first=BiasRule(first))
    assert make(SINE, WIDTHS, sigma_p=0.02, bias=rule, bias_first=first) == expected
    with pytest.raises(ValueError, match="bias rule 'stabilty' is unknown"):
        make(SINE, WIDTHS, bias="stabilty")
    with pytest.raises(ValueError, match="a share goes with the rule 'share'"):
        make(SINE, WIDTHS, bias_first="share")
    with pytest.raises(ValueError, match=r"bias_first must be a BiasRule or the name of a rule, got 0\.5"):
        make(SINE, WIDTHS, bias_first=0.5)


@pytest.mark.parametrize(
    "call",
    [
        lambda phi: make(phi, WIDTHS),
        lambda phi: baseline_config("xavier", phi, WIDTHS),
        lambda phi: INR(WIDTHS, phi),
        lambda phi: moments(phi, 0.1),
        lambda phi: per_layer_gradient_factor(phi, 1.0),
        stable_sigma_p,
        ActivationModule,
    ],
)
def test_a_familys_name_is_not_an_activation(call) -> None:
    """The sentence says what to write."""
    with pytest.raises(ValueError, match=r"activation must be .*, got 'gaussian'; write activation\('gaussian'\)"):
        call("gaussian")
    with pytest.raises(ValueError, match="activation must be what"):
        call(None)


@pytest.mark.parametrize("leave", ["1", nn.LayerNorm])
def test_leave_is_a_collection(leave) -> None:
    """A single name or class would be read as its letters, or not at all."""
    module = nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 3))
    with pytest.raises(ValueError, match="leave must be a collection of names and classes, got"):
        initialize_(module, make(SINE, WIDTHS, sigma_p=0.02), leave=leave)
    initialize_(module, make(SINE, WIDTHS, sigma_p=0.02), leave=[leave])
