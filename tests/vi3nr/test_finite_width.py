"""The drift of finite layers: exact where the chain is solved by hand, and none where nothing amplifies or bends."""

import math

import numpy as np
import pytest

from vi3nr.activations import activation
from vi3nr.config import InitConfig, LayerInit
from vi3nr.finite_width import finite_width_drift
from vi3nr.profile import vi3nr_config


def test_a_square_drifts_as_its_moments_say() -> None:
    """For x^2, E f^2 = 3 g^2 and E f^4 = 105 g^4: the third layer is 32 / (3 M) above, the two before are exact."""
    config = vi3nr_config(activation("x**2"), (4, 64, 64, 64), sigma_p=0.7, sigma_p_first=0.4)
    assert finite_width_drift(config) == pytest.approx((0.0, 0.0, 32 / (3 * 64)), rel=1e-9, abs=1e-12)


def test_a_homogeneous_activation_has_none() -> None:
    """ReLU's E f^2 is linear in the variance, so fluctuations average out, at any width."""
    config = vi3nr_config(activation("relu"), (2, 8, 8, 8, 8), sigma_p=1.0)
    assert finite_width_drift(config, input_second_moment=0.7) == pytest.approx((0.0,) * 4, abs=1e-10)


def test_complex_layers_drift_by_the_complex_moment() -> None:
    """WIRE: the real first layer's fluctuation, times the curvature of exp(omega^2 t) / (1 + 2 s^2 q)."""
    omega, s, width, q0, q1 = 20.0, 10.0, 64, 0.04, 0.01
    phi = activation("wire", omega=omega, s=s)
    config = vi3nr_config(phi, (2, width, width, width), sigma_p=math.sqrt(q1), sigma_p_first=math.sqrt(q0))

    def second(q: float) -> float:
        wide = 1 + 2 * s * s * q
        return math.exp(omega**2 * q / wide) / wide

    ratio = (1 + 4 * s * s * q0) / math.sqrt(1 + 8 * s * s * q0)  # E|f|^4 / (E|f|^2)^2 for real z
    step = 1e-5
    bend = (second(q1 + step) - 2 * second(q1) + second(q1 - step)) / step**2
    expected = bend * q1**2 * (ratio - 1) / width / 2 / second(q1)
    assert finite_width_drift(config) == pytest.approx((0.0, 0.0, expected), rel=1e-4, abs=1e-12)


def test_wrong_input_and_dead_layers_are_told() -> None:
    """A second moment that is none is refused; behind a layer of zeros there is no drift to calculate."""
    layers = (LayerInit(2, 8, 0.0, None, 0.0, None, None), LayerInit(8, 1, 0.5, None, 0.0, None, None))
    config = InitConfig("tanh", 1.0, layers, distribution="normal")
    with pytest.raises(ArithmeticError, match=r"behind layer 0, whose variance it puts at 0\.0"):
        finite_width_drift(config)
    with pytest.raises(ValueError, match="input_second_moment must be positive and finite, got nan"):
        finite_width_drift(config, input_second_moment=float(np.nan))
