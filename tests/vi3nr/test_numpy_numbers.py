"""NumPy's scalars wherever the library takes a number: taken as the numbers that they are, and kept as Python's own."""

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vi3nr import (
    INR,
    BiasRule,
    Encoding,
    InitConfig,
    activation,
    baseline_config,
    condition,
    gain_squared,
    per_layer_gradient_factor,
    pytorch_script,
    stability_bias_variance,
    stable_sigma_p,
    vi3nr_config,
    vi3nr_uniform_,
)
from vi3nr.initialisers import generator_for
from vi3nr.moments import moments
from vi3nr.scalars import finite_number, whole_number

WIDTHS = (2, 8, 8, 3)
KINDS = (np.float64, np.float32, np.float16, Fraction)
Maker = Callable[[Callable[[float], float]], object]
MADE: dict[str, Maker] = {  # of numbers that float16 holds, so that each kind means the same number
    "scale": lambda n: activation("gaussian", n(0.25)),
    "other name of the scale": lambda n: activation("sine", omega=n(32)),
    "parameter": lambda n: activation("wire", omega=n(16), s=n(8)),
    "formula": lambda n: activation("exp(-x**2 / (2*a**2))", n(2), a=n(0.5)),
    "config": lambda n: vi3nr_config(
        activation("gaussian", n(0.25)),
        WIDTHS,
        sigma_p=n(0.5),
        sigma_p_first=n(0.75),
        sigma_p_growth=n(1.5),
        input_second_moment=n(0.375),
        sigma_p_output=n(0.125),
        bias=BiasRule("share", n(0.25)),
        encoding=Encoding("random_fourier", 2, 4, std=n(1.5), seed=0),
    ),
    "formula's config": lambda n: vi3nr_config(activation("exp(-x**2 / (2*a**2))", a=n(0.5)), WIDTHS),
    "baseline": lambda n: baseline_config("finer", activation("finer", omega=n(32)), WIDTHS, first_bias_bound=n(1.5)),
    "moments": lambda n: moments(activation("gaussian", 0.25), n(0.375)),
    "theory": lambda n: (
        stable_sigma_p(activation("gaussian", 0.25), n(1.25)),
        condition(activation("gaussian", 0.25), n(0.375), n(1.25), sigma_p_in=n(0.5)),
        gain_squared(activation("gaussian", 0.25), n(0.375)),
        stability_bias_variance(activation("sine", 0.25), n(0.375), n(1.25)),
        per_layer_gradient_factor(activation("tanh"), n(1.5), bias_variance=n(0.125), width_ratio=n(1.25)),
    ),
    "weight": lambda n: vi3nr_uniform_(
        torch.empty(4, 4), activation("tanh"), n(0.375), sigma_p_in=n(0.5), generator=generator_for(0)
    ).tolist(),
}


def numbers_in(made: object) -> list[object]:
    if is_dataclass(made):
        return [one for item in fields(made) for one in numbers_in(getattr(made, item.name))]
    if isinstance(made, dict | tuple | list):
        return [one for part in (made.values() if isinstance(made, dict) else made) for one in numbers_in(part)]
    return [made] if isinstance(made, float | np.generic) else []


@pytest.mark.parametrize("what", MADE)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_real_numbers_of_every_kind_give_the_same(what: str, kind: Callable[[float], float]) -> None:
    """To the last bit what Python's floats give, and nothing of the kind is left in it."""
    made = MADE[what](kind)
    assert made == MADE[what](float)
    assert {type(number) for number in numbers_in(made)} <= {float}


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_integers_of_every_kind_give_the_same(kind: type) -> None:
    """Widths, an encoding's counts and a fan-in, as arrays give them."""
    widths, encoding = (
        tuple(np.array(WIDTHS, dtype=kind)),
        Encoding("random_fourier", kind(2), kind(4), std=1.0, seed=kind(5)),
    )
    assert encoding == Encoding("random_fourier", 2, 4, std=1.0, seed=5)
    phi = activation("gaussian")
    made = vi3nr_config(phi, widths, encoding=encoding)
    assert made == vi3nr_config(phi, WIDTHS, encoding=encoding)
    assert InitConfig.from_json(made.to_json()) == made
    assert baseline_config("xavier", phi, widths) == baseline_config("xavier", phi, WIDTHS)
    assert json.loads(baseline_config("xavier", phi, widths).to_json())["layers"][0]["fan_in"] == 2
    assert INR(widths, phi).layers[0].weight.shape == (8, 2)
    vi3nr_uniform_(torch.empty(4, 4), phi, 0.1, fan_in=kind(4))


def test_scripts_from_numpy_numbers_run() -> None:
    """A scale, a parameter and an omega of NumPy's are written as plain numbers: the script needs no NumPy."""
    for made in (
        vi3nr_config(activation("gaussian", np.float64(0.05)), WIDTHS),
        baseline_config("siren", activation("sine", omega=np.float32(30)), WIDTHS),
        vi3nr_config(activation("leaky_relu", negative_slope=np.float64(0.2)), WIDTHS, sigma_p=np.float32(1)),
    ):
        names: dict[str, object] = {}
        exec(pytorch_script(made), names)
        assert torch.equal(names["network"].layers[0].weight, INR.from_config(made, seed=0).layers[0].weight)


@pytest.mark.parametrize(
    "wrong", [True, np.bool_(True), "0.1", None, np.array(0.1), 1j, np.nan, np.float32("inf"), 10**400]
)
def test_what_is_no_number_is_named(wrong: object) -> None:
    """Truth values, text, arrays, NaN, infinities and numbers beyond float64: a ValueError with the argument's name."""
    assert finite_number(wrong) is None
    with pytest.raises(ValueError, match="omega of sine must be"):
        activation("sine", omega=wrong)
    with pytest.raises(ValueError, match="b of hosc must be"):
        activation("hosc", b=wrong)
    with pytest.raises(ValueError, match="a of the formula"):
        activation("exp(-a*x**2)", a=wrong)
    with pytest.raises(ValueError, match="widths must be at least three positive integers"):
        vi3nr_config(activation("gaussian"), (2, wrong, 3))
    if wrong is not None:
        for name in ("sigma_p", "sigma_p_first", "sigma_p_growth", "sigma_p_output", "input_second_moment"):
            with pytest.raises(ValueError, match=f"{name} must be positive and finite"):
                vi3nr_config(activation("gaussian"), WIDTHS, **{name: wrong})


@given(number=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300))
def test_pythons_own_numbers_stay_what_they_are(number: float) -> None:
    """Integers stay integers, floats stay floats, so that a config's text does not change by being read."""
    kept = finite_number(number)
    assert kept == number
    assert type(kept) is type(number)
    assert whole_number(number) == (number if isinstance(number, int) else None)
