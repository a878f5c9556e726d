"""The init config as plain data: lossless JSON, and strict reading."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vi3nr.activations import activation, families
from vi3nr.baselines import baseline_config
from vi3nr.config import (
    BIAS_RULES,
    DISTRIBUTIONS,
    OUTPUT_RULES,
    RULES,
    SCHEMA_VERSION,
    BiasRule,
    Encoding,
    InitConfig,
    LayerInit,
    Stability,
)
from vi3nr.config_parts import STABILITY_KINDS
from vi3nr.profile import vi3nr_config

positive = st.floats(min_value=5e-324, max_value=1.7e308)
amount = st.floats(min_value=0.0, max_value=9e307)
names = st.text(min_size=1).filter(lambda name: name not in ("sigma_a", "family"))
rules = st.sampled_from([name for name in BIAS_RULES if name != "share"]).map(BiasRule) | st.floats(
    0.0, 1.0, exclude_max=True
).map(lambda share: BiasRule("share", share))


encodings = st.builds(Encoding, st.just("fourier"), st.integers(1, 9), st.integers(1, 32), st.booleans()) | st.builds(
    Encoding,
    st.just("random_fourier"),
    st.integers(1, 9),
    st.integers(1, 999),
    st.booleans(),
    amount,
    st.integers(0, 2**60),
)


@st.composite
def configs(draw: st.DrawFn) -> InitConfig:
    widths = draw(st.lists(st.integers(1, 10**6), min_size=2, max_size=6))
    encoding = draw(st.none() | encodings)
    if encoding is not None:
        widths[0] = encoding.out_dim
    output, complex_weights = draw(st.sampled_from(OUTPUT_RULES)), draw(st.booleans())
    distributions = [draw(st.sampled_from(DISTRIBUTIONS)) for _ in ("weights", "biases")]
    layers = []
    for index, (a, b) in enumerate(pairwise(widths)):
        stds = [draw(amount), draw(amount)]
        ratio = math.sqrt(1.5 if complex_weights and index else 3.0)
        bounds = [
            ratio * std if kind == "uniform" and draw(st.booleans()) else None
            for std, kind in zip(stds, distributions, strict=True)
        ]
        layers.append(LayerInit(a, b, stds[0], bounds[0], stds[1], bounds[1], draw(st.none() | amount)))
    return InitConfig(
        family=draw(st.sampled_from(sorted(families()))),
        sigma_a=draw(st.floats(1e-300, 1e300)),
        layers=tuple(layers),
        rule=draw(st.sampled_from(RULES)),
        parameters=draw(st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False))),
        sigma_p=draw(st.none() | positive),
        sigma_p_first=draw(st.none() | positive),
        method=draw(st.none() | st.sampled_from(["closed_form", "quadrature", "monte_carlo"])),
        bias=draw(rules),
        bias_first=draw(rules),
        distribution=distributions[0],
        bias_distribution=distributions[1],
        input_second_moment=draw(st.none() | positive),
        stability=draw(st.none() | st.builds(Stability, st.none() | positive, st.sampled_from(STABILITY_KINDS))),
        output=output,
        sigma_p_output=draw(positive) if output == "sigma_p_output" else None,
        encoding=encoding,
        complex_weights=complex_weights,
    )


@settings(deadline=None, max_examples=30, derandomize=True)
@given(config=configs())
def test_json_is_lossless(config: InitConfig) -> None:
    """Every config comes back from its JSON as it was, to the last bit of every float; so does its dict."""
    again = InitConfig.from_json(config.to_json())
    assert again == config
    assert repr(again.layers) == repr(config.layers)
    assert InitConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def ours() -> InitConfig:
    return vi3nr_config(activation("sine", omega=30), (2, 8, 8, 3), sigma_p=0.02, bias_first=BiasRule("share", 0.6))


def plain() -> dict:
    return {key: value for key, value in ours().to_dict().items() if key != "omega"}


def test_omega_is_written_and_checked() -> None:
    """A sine's JSON holds omega = 1 / sigma_a; a contradiction is refused, absence is fine; others have none."""
    data = ours().to_dict()
    assert data["omega"] == pytest.approx(30.0, rel=1e-15)
    with pytest.raises(ValueError, match=r"omega must be 1 / sigma_a = 30\.\d*, got 60"):
        InitConfig.from_dict({**data, "omega": 60.0})
    data.pop("omega")
    assert InitConfig.from_dict(data) == ours()
    other = baseline_config("xavier", activation("gaussian"), (2, 4, 1)).to_dict()
    assert "omega" not in other
    with pytest.raises(ValueError, match="unknown keys: 'omega'"):
        InitConfig.from_dict({**other, "omega": 30.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma_q": 1.0}, "unknown keys: 'sigma_q'"),
        ({"schema_version": SCHEMA_VERSION + 1}, f"schema_version {SCHEMA_VERSION + 1}; this library reads up to"),
        ({"schema_version": "1"}, "schema_version must be a positive integer, got '1'"),
        ({"sigma_a": math.nan}, "sigma_a must be a finite number, got nan"),
        ({"sigma_a": "0.1"}, "sigma_a must be a finite number, got '0.1'"),
        ({"sigma_p": math.inf}, "sigma_p must be a finite number, got inf"),
        ({"sigma_p": True}, "sigma_p must be a finite number, got True"),
        ({"layers": []}, "at least one layer"),
        ({"layers": {}}, "layers must be a list"),
        ({"layers": [{"fan_in": 2}]}, "layer 0 lacks fan_out"),
        ({"rule": "lecun"}, "rule must be one of"),
        ({"distribution": "cauchy"}, "distribution must be one of uniform, normal, got 'cauchy'"),
        ({"bias": {"rule": "share"}}, "a share goes with"),
        ({"bias": {"rule": "share", "share": 1.0}}, r"bias share must lie in \[0, 1\), got 1.0"),
        ({"bias": None}, "bias must be an object, got None"),
        ({"stability": {"kind": "root"}}, "stability lacks sigma_p"),
        ({"parameters": {"beta": None}}, "parameter beta must be a finite number"),
        ({"family": 3}, "family must be a name"),
        ({"output": "sigma_p_output"}, "sigma_p_output goes with the output rule of that name"),
        ({"sigma_p_output": 1.0}, "goes with the output rule of that name and only with it, got output 'same_sigma_p'"),
        ({"complex_weights": 1}, "complex_weights must be true or false, got 1"),
        ({"encoding": 6}, "encoding must be an object, got 6"),
        ({"encoding": {"kind": "fourier"}}, "encoding lacks in_dim, frequencies"),
        (
            {"encoding": {"kind": "fourier", "in_dim": 2, "frequencies": 2, "log": 1}},
            "encoding has unknown keys: 'log'",
        ),
        ({"encoding": {"kind": "fourier", "in_dim": 2, "frequencies": 2}}, "fan_in 2 but the encoding has 10 features"),
        ({"encoding": {"kind": "hash", "in_dim": 2, "frequencies": 2}}, "kind of an encoding must be one of fourier"),
        ({"encoding": {"kind": "fourier", "in_dim": 2, "frequencies": 33}}, "must be at most 32, got 33"),
        ({"encoding": {"kind": "fourier", "in_dim": 2, "frequencies": 2, "std": 1.0}}, "std and seed go with"),
        (
            {"encoding": {"kind": "fourier", "in_dim": 2.0, "frequencies": 2}},
            "in_dim of an encoding must be a positive",
        ),
        (
            {"encoding": {"kind": "fourier", "in_dim": 2, "frequencies": 2, "identity": 1}},
            "identity of an encoding must",
        ),
    ],
)
def test_reading_is_strict(change: dict, message: str) -> None:
    """What is not a config is refused with a sentence that names the key and the value."""
    with pytest.raises(ValueError, match=message):
        InitConfig.from_dict({**plain(), **change})


def test_layers_must_chain() -> None:
    """A layer's fan_in is the fan_out of the one before; sizes are positive integers, stds are not negative."""
    data = ours().to_dict()
    data["layers"][1]["fan_in"] = 9
    with pytest.raises(ValueError, match="layer 0 has fan_out 8 but layer 1 has fan_in 9"):
        InitConfig.from_dict(data)
    with pytest.raises(ValueError, match="fan_in of a layer must be a positive integer, got 0"):
        LayerInit(0, 1, 1.0, None, 0.0, None, None)
    with pytest.raises(ValueError, match=r"bias_std of a layer must not be negative, got -0\.1"):
        LayerInit(1, 1, 1.0, None, -0.1, None, None)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"sigma_a": NaN}', '{"sigma_a": Infinity}'])
def test_text_that_is_no_config(text: str) -> None:
    """Broken JSON, other JSON, NaN and infinities are ValueErrors."""
    with pytest.raises(ValueError, match=r"init config"):
        InitConfig.from_json(text)


def test_widths() -> None:
    """``widths`` runs from the coordinates to the values, ``layer_widths`` from the encoding's features."""
    assert ours().widths == ours().layer_widths == (2, 8, 8, 3)
    encoded = vi3nr_config(activation("relu"), (2, 8, 8, 3), encoding=Encoding("fourier", 2, 4))
    assert encoded.widths == (2, 8, 8, 3)
    assert encoded.layer_widths == (18, 8, 8, 3)


def test_what_older_readers_know_is_all_that_is_written_where_it_suffices() -> None:
    """Without encoding, output std and complex weights the JSON has no such keys; a text without them is read."""
    new = {"encoding", "sigma_p_output", "complex_weights"}
    assert not new & set(ours().to_dict())
    assert (
        InitConfig.from_dict({**plain(), "encoding": None, "sigma_p_output": None, "complex_weights": False}) == ours()
    )
    encoded = vi3nr_config(activation("relu"), (2, 8, 8, 3), encoding=Encoding("fourier", 2, 4), sigma_p_output=0.1)
    assert set(encoded.to_dict()) & new == {"encoding", "sigma_p_output"}
