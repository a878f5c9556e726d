"""Every combination of rules keeps the variance that was asked for, by a computation that shares no code with ours."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vi3nr.activations import activation
from vi3nr.config import BiasRule, Encoding, InitConfig
from vi3nr.encoding import encode
from vi3nr.profile import INPUT_DISTRIBUTIONS, input_second_moment_of, vi3nr_config

Z = np.linspace(-10.0, 10.0, 20_001)
NORMAL = np.exp(-0.5 * Z * Z)
NORMAL /= NORMAL.sum()
FORMULAS = {  # value and derivative at sigma_a 1, written down again
    "gaussian": (lambda u: np.exp(-u * u / 2), lambda u: -u * np.exp(-u * u / 2)),
    "sine": (np.sin, np.cos),
    "tanh": (np.tanh, lambda u: np.cosh(u) ** -2.0),
    "sigmoid": (lambda u: 1 / (1 + np.exp(-u)), lambda u: np.exp(-u) / (1 + np.exp(-u)) ** 2),
    "relu": (lambda u: np.maximum(u, 0), lambda u: np.heaviside(u, math.sqrt(0.5))),  # its square at the kink: 1/2
}
RULES = ("zero", "share", "like_weights", "torch_default", "stability")
CLOSE = 1e-5


def second_moments(family: str, sigma_a: float, sigma_p: float) -> tuple[float, float]:
    """E f^2 and E f'^2 by a plain sum over a fine grid."""
    value, slope = FORMULAS[family]
    u = Z * (sigma_p / sigma_a)
    return float(NORMAL @ value(u) ** 2), float(NORMAL @ slope(u) ** 2) / sigma_a**2


def rule(name: str, share: float) -> BiasRule:
    return BiasRule("share", share) if name == "share" else BiasRule(name)


@st.composite
def cases(draw: st.DrawFn) -> dict:
    family = draw(st.sampled_from(sorted(FORMULAS)))
    sigma_a = 1.0 if family == "relu" else draw(st.sampled_from([0.03, 0.5, 2.0]))
    widths = tuple(draw(st.lists(st.integers(1, 300), min_size=3, max_size=9)))
    encodings = [
        None,
        Encoding("fourier", widths[0], draw(st.integers(1, 10)), draw(st.booleans())),
        Encoding(
            "random_fourier", widths[0], draw(st.integers(1, 50)), draw(st.booleans()), draw(st.floats(0.1, 9)), 1
        ),
    ]
    output = draw(st.sampled_from(["same_sigma_p", "sigma_p_output", "torch_default", "zero"]))
    return {
        "activation": activation(family, sigma_a),
        "widths": widths,
        "sigma_p": draw(st.floats(0.2, 5.0)) * sigma_a,
        "sigma_p_first": draw(st.floats(0.2, 20.0)) * sigma_a,
        "input_second_moment": draw(st.floats(0.01, 2.0)),
        "encoding": draw(st.sampled_from(encodings)),
        "output": output,
        "sigma_p_output": draw(st.floats(0.01, 5.0)) if output == "sigma_p_output" else None,
        "distribution": draw(st.sampled_from(["uniform", "normal"])),
    }


def possible(case: dict, name: str, index: int) -> bool | None:
    """Whether a layer has room for the rule; None where that hangs on the last digits."""
    fan_in = case["widths"][index] if index or case["encoding"] is None else case["encoding"].out_dim
    target = case["sigma_p"] if index else case["sigma_p_first"]
    if name == "torch_default":
        slack = 3 * fan_in * target**2 - 1.0
    elif name == "stability":
        before = case["sigma_p_first"] if index == 1 else case["sigma_p"]
        value, slope = second_moments(case["activation"].family, case["activation"].sigma_a, before)
        slack = target**2 * case["widths"][index + 1] / fan_in * slope / value - 1.0
    else:
        return True
    return None if abs(slack) < 1e-4 else slack > 0.0


@pytest.mark.parametrize("first", RULES[:-1])
@pytest.mark.parametrize("hidden", RULES)
@settings(deadline=None, max_examples=8, derandomize=True)
@given(case=cases(), share=st.floats(0.0, 0.95))
def test_every_combination_of_rules_keeps_the_variance(hidden: str, first: str, case: dict, share: float) -> None:
    """Var z of each layer is sigma_p^2 by the grid's own moments, whatever the rules, widths, inputs and encoding are.

    Each bias has the variance that its rule names; a rule is refused exactly where a layer has no room for it.
    """
    rooms = [possible(case, hidden if index else first, index) for index in range(len(case["widths"]) - 2)]
    if None in rooms:
        return
    make = lambda: vi3nr_config(**case, bias=rule(hidden, share), bias_first=rule(first, share))  # noqa: E731
    if False in rooms:
        with pytest.raises(ValueError, match="cannot be met in layer"):
            make()
        return
    config = make()
    family, sigma_a = config.family, config.sigma_a
    entering = case["input_second_moment"]
    if case["encoding"] is not None:
        coordinates = np.random.default_rng(0).normal(0, math.sqrt(entering), (3, case["widths"][0]))
        coordinates *= math.sqrt(entering / np.mean(coordinates**2))
        entering = float(np.mean(encode(case["encoding"], coordinates) ** 2))
        assert config.input_second_moment == pytest.approx(entering, rel=1e-9)
    for index, layer in enumerate(config.layers):
        target = case["sigma_p"] if index else case["sigma_p_first"]
        variance = layer.fan_in * layer.weight_std**2 * entering + layer.bias_std**2
        following = second_moments(family, sigma_a, target)[0]
        if index < len(config.layers) - 1:
            assert variance == pytest.approx(target**2, rel=CLOSE)
            assert layer.sigma_p == target
            _check_bias(config, index, hidden if index else first, share, entering)
        entering = following
    _check_output(config, case, variance)


def _check_bias(config: InitConfig, index: int, name: str, share: float, entering: float) -> None:
    layer = config.layers[index]
    if name == "stability":
        before = config.layers[index - 1].sigma_p
        slope = second_moments(config.family, config.sigma_a, before)[1]
        assert layer.fan_out * layer.weight_std**2 * slope == pytest.approx(1.0, rel=CLOSE)  # the backward condition
        return
    expected = {
        "zero": 0.0,
        "share": share * layer.sigma_p**2,
        "like_weights": layer.weight_std**2,
        "torch_default": 1 / (3 * layer.fan_in),
    }
    assert layer.bias_std**2 == pytest.approx(expected[name], rel=1e-9)


def _check_output(config: InitConfig, case: dict, variance: float) -> None:
    last = config.layers[-1]
    assert config.output == case["output"]
    if case["output"] == "zero":
        assert (last.weight_std, last.bias_std, variance) == (0.0, 0.0, 0.0)
    elif case["output"] == "torch_default":
        assert last.weight_std == last.bias_std == pytest.approx(1 / math.sqrt(3 * last.fan_in))
        assert last.sigma_p is None
    else:
        target = case["sigma_p_output"] or case["sigma_p"]
        assert variance == pytest.approx(target**2, rel=CLOSE)
        assert (last.bias_std, last.sigma_p) == (0.0, target)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(case=cases())
def test_uniform_and_normal_differ_in_the_bounds_alone(case: dict) -> None:
    """The stds do not hang on the distribution; a uniform's bound is sqrt(3) stds and a normal has none."""
    case.pop("distribution")
    uniform, normal = (vi3nr_config(**case, distribution=name) for name in ("uniform", "normal"))
    for a, b in pairwise((uniform, normal)):
        for x, y in zip(a.layers, b.layers, strict=True):
            assert (x.weight_std, x.bias_std) == (y.weight_std, y.bias_std)
            assert x.weight_bound == pytest.approx(math.sqrt(3) * x.weight_std)
            assert y.weight_bound is None
    assert normal.bias_distribution == ("uniform" if case["output"] == "torch_default" else "normal")


def test_inputs_by_name_by_measure_and_by_number() -> None:
    """uniform on [-1, 1] is 1/3 and the default, normal is 1, an array is measured; both ways at once are refused."""
    sine = activation("sine")
    make = lambda **inputs: vi3nr_config(sine, (2, 8, 8, 1), sigma_p=0.1, **inputs)  # noqa: E731
    assert make() == make(inputs="uniform") == make(input_second_moment=1 / 3)
    assert make(inputs="normal") == make(input_second_moment=1.0)
    measured = np.array([[0.5, -0.5], [1.0, 0.0]])
    assert make(inputs=measured) == make(input_second_moment=0.375)
    rng = np.random.default_rng(0)
    for name, sample in (("uniform", rng.uniform(-1, 1, 100_000)), ("normal", rng.normal(size=100_000))):
        assert input_second_moment_of(sample) == pytest.approx(INPUT_DISTRIBUTIONS[name], rel=0.02)
    with pytest.raises(ValueError, match=r"not both; got input_second_moment 0\.5"):
        make(inputs="normal", input_second_moment=0.5)
    with pytest.raises(ValueError, match="inputs must be coordinates or one of uniform, normal, got 'cauchy'"):
        make(inputs="cauchy")
    for wrong in (np.zeros((3, 2)), np.empty((0, 2)), np.array([[math.nan, 0.0]])):
        with pytest.raises(ValueError, match="inputs must be finite coordinates, not all zero"):
            make(inputs=wrong)


def test_an_output_std_implies_its_rule_and_goes_with_no_other() -> None:
    """``sigma_p_output`` alone is enough; with another rule, or the rule without it, the sentence says so."""
    sine = activation("sine")
    assert vi3nr_config(sine, (2, 8, 1), sigma_p_output=0.5).output == "sigma_p_output"
    for arguments in ({"output": "zero", "sigma_p_output": 0.5}, {"output": "sigma_p_output"}):
        with pytest.raises(ValueError, match="sigma_p_output goes with the output rule of that name"):
            vi3nr_config(sine, (2, 8, 1), **arguments)
    with pytest.raises(ValueError, match="sigma_p_output must be positive and finite, got 0"):
        vi3nr_config(sine, (2, 8, 1), sigma_p_output=0.0)
    with pytest.raises(ValueError, match="the encoding is for 3 coordinates, widths begin with 2"):
        vi3nr_config(sine, (2, 8, 1), encoding=Encoding("fourier", 3, 4))
