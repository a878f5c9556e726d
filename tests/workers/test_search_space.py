"""Axes, bounds, points and configs of a family's search."""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_study import small_signal

from vi3nr.activations import activation
from vi3nr.guess import Point, default_ranges, one_sigma_p_points, start_points
from vi3nr.signals import Signal
from vi3nr.theory import stable_sigma_p
from workers.axes import BANDWIDTH, GROWTH, RATIO, SHARE_FIRST, SHARE_HIDDEN, SIGMA_A, SIGMA_P, SIGMA_P_FIRST
from workers.plan import BiasChoice, FamilyPlan, Range
from workers.search_space import SearchSpace

SIGNAL = small_signal()
WIDTHS = (2, 8, 8, 3)


def space(family="gaussian", **choices):
    return SearchSpace.for_family(FamilyPlan(family, **choices), SIGNAL)


def config(searched, point, method="analytic", seed=0):
    return searched.config(searched.to_params(point), WIDTHS, input_second_moment=0.33, method=method, seed=seed)


def test_by_default_four_numbers_are_searched_in_ratios():
    """sigma_a, sigma_p / sigma_a and the first layer's bandwidth on log axes, its bias share on a linear one."""
    axes = space().distributions()
    assert {name: axis.log for name, axis in axes.items()} == {
        SIGMA_A: True,
        RATIO: True,
        BANDWIDTH: True,
        SHARE_FIRST: False,
    }
    ranges = default_ranges("gaussian", SIGNAL)
    assert (axes[BANDWIDTH].low, axes[BANDWIDTH].high) == ranges.bandwidth


@pytest.mark.parametrize("family", ["gaussian", "sine", "sinc", "tanh", "sigmoid", "relu"])
def test_start_points_lie_in_bounds_and_come_back(family):
    """Every start point is within the axes, and within the ranges it is the same point after a round trip."""
    searched = space(family)
    for point in start_points(family, SIGNAL):
        params = searched.to_params(point)
        axes = searched.distributions()
        assert params.keys() == axes.keys()
        assert all(axes[name].low <= value <= axes[name].high for name, value in params.items())
        back = searched.to_point(params)
        again = searched.to_params(back)
        assert again == pytest.approx(params)


def test_a_point_inside_the_ranges_makes_the_config_it_says():
    """sigma_a, sigma_p, sigma_p_first and the share of the point are those of the config."""
    made = config(space(), Point(0.03, 0.06, 0.12, 0.5))
    assert (made.sigma_a, made.sigma_p, made.sigma_p_first) == pytest.approx((0.03, 0.06, 0.12))
    assert (made.bias.rule, made.bias_first.rule) == ("zero", "share")
    assert made.bias_first.share == pytest.approx(0.5)
    assert config(space(), Point(0.03, 0.06, 0.12, 0.0)).bias_first.rule == "zero"


def test_a_depth_wise_profile_is_one_more_axis():
    """sigma_p grows from one hidden layer to the next by the number searched; not asked for, it does not."""
    searched = space(sigma_p_growth=Range(0.5, 2.0))
    assert GROWTH in searched.distributions()
    assert GROWTH not in space().distributions()
    params = searched.to_params(Point(0.03, 0.06, 0.12, 0.5))
    assert params[GROWTH] == 1.0
    made = searched.config(
        {**params, GROWTH: 1.5}, (2, 8, 8, 8, 8, 3), input_second_moment=0.33, method="analytic", seed=0
    )
    assert [layer.sigma_p for layer in made.layers] == pytest.approx([0.12, 0.06 / 1.5, 0.06, 0.06 * 1.5, 0.06])


def test_absolute_bounds_replace_the_ratios_and_fixed_numbers_are_not_searched():
    """What the user bounds is searched in its own units; what the user fixes is in every config and on no axis."""
    searched = space(
        sigma_a=0.05, sigma_p=Range(0.01, 0.4), sigma_p_first=Range(0.02, 0.9), bias_first=BiasChoice("zero")
    )
    assert set(searched.distributions()) == {SIGMA_P, SIGMA_P_FIRST}
    made = config(searched, Point(0.02, 5.0, 0.3, 0.6))
    assert (made.sigma_a, made.sigma_p, made.bias_first.rule) == (0.05, 0.4, "zero")


def test_a_fixed_sigma_p_leaves_the_first_layer_to_the_search():
    """The first layer matters most: fixing the hidden sigma_p does not fix it."""
    searched = space(sigma_a=0.05, sigma_p=0.33)
    assert set(searched.distributions()) == {BANDWIDTH, SHARE_FIRST}
    point = searched.to_point({BANDWIDTH: 8.0, SHARE_FIRST: 0.36})
    assert point.sigma_p == 0.33
    assert point.sigma_p_first == pytest.approx(8.0 * 0.05 / 0.8)


def test_shares_may_be_ranges_of_either_layer():
    """A range of a bias share is an axis of its own, and the config has the share."""
    searched = space(bias=BiasChoice("share", Range(0.1, 0.5)), bias_first=BiasChoice("share", 0.4))
    assert SHARE_HIDDEN in searched.distributions()
    assert SHARE_FIRST not in searched.distributions()
    made = config(searched, Point(0.03, 0.06, 0.12, 0.0))
    assert (made.bias.share, made.bias_first.share) == (pytest.approx(0.3), 0.4)


def test_omega_is_another_name_of_a_fixed_scale():
    """A sine of omega 30 has sigma_a 1/30 on no axis; giving both is refused."""
    searched = space("sine", parameters={"omega": 30.0})
    assert SIGMA_A not in searched.distributions()
    assert config(searched, Point(0.02, 0.01, 0.2, 0.0)).sigma_a == pytest.approx(1 / 30)
    with pytest.raises(ValueError, match=r"got both sigma_a 0\.02 and omega 30"):
        space("sine", parameters={"omega": 30.0}, sigma_a=0.02)


def test_monte_carlo_configs_are_a_function_of_their_seed():
    """The same numbers and seed give the same config."""
    point = Point(0.03, 0.06, 0.12, 0.5)
    assert config(space(), point, "monte_carlo", 5) == config(space(), point, "monte_carlo", 5)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"sigma_a": Range(0.3, 0.1)}, "sigma_a of gaussian must have low < high, got 0.3 to 0.1"),
        ({"sigma_p": -1.0}, "sigma_p of gaussian must be positive, got -1.0"),
        ({"sigma_p_first": Range(0.1, math.inf)}, "sigma_p_first of gaussian must be finite"),
        ({"bias_first": BiasChoice("share", Range(0.2, 1.0))}, "first-layer bias share of gaussian must lie in"),
    ],
)
def test_wrong_bounds_are_refused_by_name_and_value(choices, words):
    """The sentence names the axis and what was received."""
    with pytest.raises(ValueError, match=words):
        space(**choices)


def test_an_activation_that_passes_no_gradient_is_not_searched():
    """sign(x) could be drawn at any sigma_p, but training would move the last layer alone: told, as it was before."""
    with pytest.raises(ArithmeticError, match=r"E f'\^2 is 0, so no gradient passes"):
        config(space("sign(x)"), Point(1.0, 0.5, 0.5, 0.0))


@pytest.mark.parametrize("family", ["gaussian", "sine"])
def test_with_sigma_a_given_one_sigma_p_starts_across_the_ridge(family):
    """Several sigma_p at the sigma_a that was asked for, each once, the theory's own among them (of a sine, which has
    none, sigma_a itself)."""
    searched = space(
        family, sigma_a=0.03, sigma_p=Range(0.01, 1.0), sigma_p_first="same", bias_first=BiasChoice("zero")
    )
    found = [params[SIGMA_P] for params in searched.start(SIGNAL)]
    assert len(set(found)) == len(found) >= 3
    theory = stable_sigma_p(activation(family, 0.03)).sigma_p or 0.03
    assert min(abs(one / theory - 1.0) for one in found) < 1e-6


def test_what_is_fixed_makes_no_point_twice():
    """Start points that differ only in what the request fixes are one."""
    searched = space(sigma_a=0.02, sigma_p=0.05, sigma_p_first=0.2)
    found = [params[SHARE_FIRST] for params in searched.start(SIGNAL)]
    assert len(found) == len(set(found)) > 1
    assert space(sigma_a=0.02, sigma_p=0.05, sigma_p_first=0.2, bias_first=BiasChoice("zero")).start(SIGNAL) == [{}]


def test_the_range_of_one_sigma_p_holds_the_ridge_of_a_sound():
    """There its rho lies far above what hidden layers with a first layer of their own want: no start point is cut."""
    x = np.linspace(-1.0, 1.0, 2048, dtype=np.float32)[:, None]
    sound = Signal(x, np.sin(400.0 * x), "sound", (2048,))
    plan = FamilyPlan("sine", sigma_p_first="same", bias_first=BiasChoice("zero"))
    searched = SearchSpace.for_family(plan, sound)
    wanted = sorted(point.sigma_p / point.sigma_a for point in one_sigma_p_points("sine", sound))
    assert sorted(params[RATIO] for params in searched.start(sound)) == pytest.approx(wanted)
    hidden_alone = SearchSpace.for_family(FamilyPlan("sine"), sound).axes[RATIO]
    assert wanted[-1] > hidden_alone.high
