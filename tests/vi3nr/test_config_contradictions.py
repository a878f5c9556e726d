"""Init configs that no network could be drawn from, or that say two things: told when they are read, as ValueErrors."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vi3nr import INR, BiasRule, Encoding, InitConfig, activation, baseline_config, vi3nr_config
from vi3nr.activations import families
from vi3nr.baselines import BASELINE_RULES, ONE_FAMILY_ONLY
from vi3nr.config import OUTPUT_RULES

WIDTHS = (2, 8, 8, 3)
GAUSSIAN = vi3nr_config(activation("gaussian", 0.05), WIDTHS, bias=BiasRule("share", 0.2))
WIRE = vi3nr_config(activation("wire", omega=20, s=10), WIDTHS, output="torch_default")


def written() -> list[InitConfig]:
    """What the library makes: families, baselines, output and bias rules, distributions, complex weights."""
    made = [
        vi3nr_config(activation(name), WIDTHS, distribution=d) for name in families() for d in ("uniform", "normal")
    ]
    for rule in BASELINE_RULES:
        for name in (ONE_FAMILY_ONLY.get(rule, "gaussian"), *([] if rule in ONE_FAMILY_ONLY else ["wire"])):
            made.append(baseline_config(rule, activation(name), WIDTHS))
    made.append(baseline_config("finer", activation("finer"), WIDTHS, first_bias_bound=5.0))
    for output in set(OUTPUT_RULES) - {"sigma_p_output", "own_rule"}:
        for distribution in ("uniform", "normal"):
            for bias in ("zero", "like_weights", "torch_default"):
                for name in ("gaussian", "wire"):
                    phi = activation(name, 1.0, **({"omega": 1.0} if name == "wire" else {}))
                    of = {"sigma_p": 2.0, "output": output, "distribution": distribution, "bias": bias}
                    made.append(vi3nr_config(phi, WIDTHS, **of))
    made.append(vi3nr_config(activation("relu"), WIDTHS, sigma_p=1.0, encoding=Encoding("fourier", 2, 3)))
    return made


def test_what_the_library_writes_is_read() -> None:
    """The checks refuse nothing that it makes itself."""
    for config in written():
        assert InitConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("name", ["sigma_a", "sigma_p", "sigma_p_first", "sigma_p_growth", "input_second_moment"])
@pytest.mark.parametrize("value", [0, 0.0, -0.0])
def test_scales_are_positive(name: str, value: float) -> None:
    """A zero is refused with its field; before, a sine with sigma_a 0 could not even be written."""
    data = vi3nr_config(activation("sine", omega=30), WIDTHS, sigma_p=0.02).to_dict()
    with pytest.raises(ValueError, match=f"{name} must be positive, got {value}"):
        InitConfig.from_dict({**data, name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "banana"}, "method must be one of closed_form, quadrature, monte_carlo, got 'banana'"),
        ({"stability": {"sigma_p": 1.0, "kind": "banana"}}, "kind of stability must be one of root, .*, got 'banana'"),
        ({"stability": {"sigma_p": -1, "kind": "root"}}, "sigma_p of stability must not be negative, got -1"),
        ({"stability": {"sigma_p": 0, "kind": "root"}}, "sigma_p of stability must be positive, got 0"),
        ({"parameters": {"sigma_a": 3.0}}, "parameters must hold the family's besides sigma_a, .* called 'sigma_a'"),
        ({"parameters": {"family": 3.0}}, "parameters must hold the family's besides sigma_a, .* called 'family'"),
        ({"sigma_a": 10**400}, "sigma_a must be a finite number"),
        ({"schema_version": 10**400}, "this library reads up to 1"),
    ],
)
def test_other_fields_are_checked(change: dict, message: str) -> None:
    """Choices are choices, and nothing is left for ``INR.from_config`` to stumble over."""
    with pytest.raises(ValueError, match=message):
        InitConfig.from_dict({**GAUSSIAN.to_dict(), **change})


@pytest.mark.parametrize("config", [GAUSSIAN, WIRE], ids=["real", "complex"])
@pytest.mark.parametrize("what", ["weight", "bias"])
@pytest.mark.parametrize("index", [0, 1])
@settings(deadline=None, max_examples=10, derandomize=True)
@given(factor=st.floats(1e-3, 1e3).filter(lambda x: abs(x - 1) > 1e-5))
def test_a_bound_that_is_not_the_stds_is_refused(config: InitConfig, what: str, index: int, factor: float) -> None:
    """Editing a bound would change nothing that is drawn, so it is told; changing both, or dropping it, is fine."""
    data = config.to_dict()
    layer = data["layers"][index]
    std = layer[f"{what}_std"] = 0.5
    bound = layer[f"{what}_bound"] = std * math.sqrt(1.5 if config.complex_weights and index else 3.0)
    assert InitConfig.from_dict(data).layers[index].weight_bound == layer["weight_bound"]
    layer[f"{what}_bound"] = bound * factor
    with pytest.raises(ValueError, match=rf"{what}_bound of layer {index} must be sqrt\(.*\) {what}_std = .*; got"):
        InitConfig.from_dict(data)
    layer[f"{what}_bound"] = None
    assert InitConfig.from_dict(data).layers[index].bias_std == layer["bias_std"]


def test_normal_numbers_have_no_bound() -> None:
    """A bound beside the normal distribution would not be kept."""
    with pytest.raises(ValueError, match="weight_bound of layer 0 goes with uniform numbers only, got"):
        InitConfig.from_dict({**GAUSSIAN.to_dict(), "distribution": "normal"})
    with pytest.raises(ValueError, match="bias_bound of layer 0 goes with uniform numbers only, got"):
        InitConfig.from_dict({**GAUSSIAN.to_dict(), "bias_distribution": "normal"})


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 200_000, '{"sigma_a": ' + "1" * 5000 + "}", '{"sigma_a": ' + "1" * 400 + "}"]
)
def test_hostile_text_is_a_value_error(text: str) -> None:
    """Too deep, or numbers with more digits than any float: never another kind of error."""
    with pytest.raises(ValueError, match=r"."):
        InitConfig.from_json(text)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3))


@settings(deadline=None, max_examples=40, derandomize=True)
@given(data=st.data())
def test_a_changed_config_is_read_or_a_value_error(data: st.DataObject) -> None:
    """One value of a config's JSON replaced by anything: a network comes of it, or a ValueError, and nothing else."""
    config = json.loads(data.draw(st.sampled_from([GAUSSIAN, WIRE])).to_json())
    place = config
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(values)
    try:
        read = InitConfig.from_json(json.dumps(config))
        if sum(a * b for a, b in zip(read.layer_widths, read.layer_widths[1:], strict=False)) < 10_000:
            INR.from_config(read)
    except ValueError:
        return
