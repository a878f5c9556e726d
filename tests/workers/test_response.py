"""The response surface says of a known landscape what is true of it."""

from __future__ import annotations

import numpy as np
import pytest

from workers.axes import RATIO, SHARE_FIRST, SIGMA_A, SIGMA_P
from workers.response import expected_finals, response_surface
from workers.response_data import AxisRange, Observation

AXES = (
    AxisRange(SIGMA_A, 0.005, 0.3, True),
    AxisRange(RATIO, 0.5, 8.0, True),
    AxisRange(SHARE_FIRST, 0.0, 0.9, False),
)


def own_sigma_p(sigma_a):
    """Of a family whose rho is the same everywhere."""
    return 2.5 * sigma_a, "root"


def score(params):
    """30 dB at sigma_a 0.03 and rho 2.5; rho matters most, the share not at all."""
    a, rho = np.log(params[SIGMA_A] / 0.03), np.log(params[RATIO] / 2.5)
    return 30.0 - 0.3 * a**2 - 2.0 * rho**2


@pytest.fixture(scope="module")
def surface():
    cube = np.random.default_rng(0).random((40, 3))
    tried = [{axis.name: axis.value(place) for axis, place in zip(AXES, row, strict=True)} for row in cube]
    noise = np.random.default_rng(1).normal(size=40) * 0.1
    seen = [Observation(params, score(params) + more, {}) for params, more in zip(tried, noise, strict=True)]
    return response_surface(AXES, seen, theory=own_sigma_p)


def test_the_best_point_is_where_it_is(surface):
    """Within 25 % on the axis that matters; its mean within its uncertainty and the noise."""
    assert surface.best[RATIO] == pytest.approx(2.5, rel=0.25)
    assert abs(surface.best_mean - 30.0) < 0.5
    assert surface.trials == 40


def test_importances_are_in_the_order_of_the_truth(surface):
    """rho above sigma_a above the share, which has none; the total indices of a sum of terms add to one."""
    shares = {axis.name: axis.importance for axis in surface.axes}
    assert shares[RATIO] > 2 * shares[SIGMA_A] > 4 * shares[SHARE_FIRST]
    assert shares[SHARE_FIRST] < 0.05
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.15)


def test_the_basin_is_as_wide_as_the_landscape_is_flat(surface):
    """1 dB below the top lies at a factor exp(sqrt(1/2)) of rho; the share's basin is the whole range, and open."""
    basins = {axis.name: axis.basin for axis in surface.axes}
    wide = np.log(basins[RATIO].high / basins[RATIO].low)
    assert wide == pytest.approx(2 * np.sqrt(0.5), rel=0.3)
    assert not basins[RATIO].open_below
    assert not basins[RATIO].open_above
    assert (basins[SHARE_FIRST].low, basins[SHARE_FIRST].high) == (0.0, 0.9)
    assert basins[SHARE_FIRST].open_below
    assert basins[SHARE_FIRST].open_above


def test_the_theorys_line_crosses_the_surface(surface):
    """sigma_p = 2.5 sigma_a all along, and the line's best point is about as good as the surface's."""
    line = surface.theory
    assert line.sigma_p == pytest.approx([2.5 * scale for scale in line.sigma_a])
    assert max(line.mean) == pytest.approx(surface.best_mean, abs=0.3)


def test_the_plane_is_that_of_the_axes_that_matter(surface):
    """sigma_a and rho, with a mean and a positive uncertainty at every point."""
    assert {surface.plane.x, surface.plane.y} == {SIGMA_A, RATIO}
    assert np.shape(surface.plane.mean) == np.shape(surface.plane.std) == (17, 17)
    assert np.min(surface.plane.std) > 0.0


def test_the_theorys_plane_is_there_whatever_matters():
    """sigma_a across and rho up though the share matters more; where rho was not searched, there is none."""
    cube = np.random.default_rng(2).random((12, 3))
    tried = [{axis.name: axis.value(place) for axis, place in zip(AXES, row, strict=True)} for row in cube]
    seen = [Observation(params, 20.0 + 9.0 * params[SHARE_FIRST], {}) for params in tried]
    surface = response_surface(AXES, seen)
    assert (surface.theory_plane.x, surface.theory_plane.y) == (SIGMA_A, RATIO)
    assert SHARE_FIRST in {surface.plane.x, surface.plane.y}
    without = response_surface([AXES[0], AXES[2]], seen)
    assert without.theory_plane is None
    assert (without.plane.x, without.plane.y) == (SIGMA_A, SHARE_FIRST)


def test_uncertainty_grows_where_nothing_was_tried():
    """With trials in one half of an axis only, the other half is less certain."""
    seen = [
        Observation({SIGMA_A: a, RATIO: 2.0, SHARE_FIRST: 0.5}, 20.0 + 10 * a, {}) for a in (0.005, 0.01, 0.02, 0.03)
    ]
    axis = response_surface(AXES, seen).axes[0]
    assert axis.std[-1] > 2 * axis.std[4]


def test_pruned_trials_count_with_what_they_would_have_reached():
    """The last report plus the mean gain of the complete ones from that step on; without reports they do not count."""
    seen = [
        Observation({}, 30.0, {10: 20.0}),
        Observation({}, 26.0, {10: 18.0}),
        Observation({}, None, {5: 9.0, 10: 11.0}),
    ]
    assert expected_finals([*seen, Observation({}, None, {})]) == [30.0, 26.0, 20.0, None]


@pytest.mark.parametrize("count", [0, 2])
def test_two_trials_make_no_surface(count):
    """Nothing is fitted to fewer than three."""
    seen = [Observation({SIGMA_A: 0.01, RATIO: 2.0, SHARE_FIRST: 0.5}, 20.0, {})] * count
    assert response_surface(AXES, seen) is None


def test_an_ask_for_one_axis_has_no_plane_and_no_line_of_theory():
    """A study that searches sigma_a alone, sigma_p fixed."""
    seen = [Observation({SIGMA_A: a}, 20.0 - a, {}) for a in (0.01, 0.02, 0.04)]
    surface = response_surface(AXES[:1], seen, theory=own_sigma_p)
    assert surface.plane is None
    assert surface.theory_plane is None
    assert surface.theory is None


def test_the_line_bends_where_the_theorys_ratio_depends_on_the_scale():
    """Of rho = 2.5 (sigma_a / 0.03)^0.5 up to 0.1 and of nothing beyond; rho is that at the best sigma_a."""

    def bent(sigma_a):
        return (2.5 * sigma_a * (sigma_a / 0.03) ** 0.5, "root") if sigma_a < 0.1 else None

    seen = [
        Observation({SIGMA_A: a, RATIO: ratio, SHARE_FIRST: 0.5}, score({SIGMA_A: a, RATIO: ratio}), {})
        for a in (0.01, 0.03, 0.09) for ratio in (1.0, 2.5, 6.0)
    ]  # fmt: skip
    surface = response_surface(AXES, seen, theory=bent)
    assert surface.theory.rho == pytest.approx(bent(surface.best[SIGMA_A])[0] / surface.best[SIGMA_A])
    assert max(surface.theory.sigma_a) < 0.1
    assert surface.theory.sigma_p == pytest.approx([bent(a)[0] for a in surface.theory.sigma_a])
    ratios = surface.theory.along(RATIO)
    assert ratios == pytest.approx([2.5 * (a / 0.03) ** 0.5 for a in surface.theory.sigma_a])
    expected = [score({SIGMA_A: a, RATIO: r}) for a, r in zip(surface.theory.sigma_a, ratios, strict=True)]
    assert surface.theory.mean[8] == pytest.approx(expected[8], abs=0.5)


@pytest.mark.parametrize(("axis", "own"), [(AXES[1], 2.5), (AxisRange(SIGMA_P, 0.01, 1.0, True), 0.1)])
def test_a_fixed_sigma_a_has_the_theorys_own_point(axis, own):
    """sigma_p = 2.5 * 0.04, or the ratio 2.5, and the surface's mean there; unknown where sigma_a is unknown."""
    seen = [Observation({axis.name: own * factor}, 20.0 + factor, {}) for factor in (0.5, 1.0, 2.0)]
    surface = response_surface((axis,), seen, theory=own_sigma_p, sigma_a=0.04)
    assert surface.theory.sigma_a == (0.04,)
    assert surface.theory.sigma_p == pytest.approx((0.1,))
    assert surface.theory.mean == pytest.approx((21.0,), abs=0.5)
    assert response_surface((axis,), seen, theory=own_sigma_p).theory is None


def test_absolute_axes_show_the_ridge_as_the_sampler_sees_it():
    """Sixteen trials with sigma_p in absolute numbers: along the theory's line the mean is right to 0.3 dB."""
    absolute = (AXES[0], AxisRange(SIGMA_P, 0.0025, 2.4, True))
    cube = np.random.default_rng(3).random((16, 2))
    tried = [{SIGMA_A: AXES[0].value(a), SIGMA_P: AXES[0].value(a) * AXES[1].value(rho)} for a, rho in cube]
    truth = [score({SIGMA_A: one[SIGMA_A], RATIO: one[SIGMA_P] / one[SIGMA_A]}) for one in tried]
    seen = [Observation(params, value, {}) for params, value in zip(tried, truth, strict=True)]
    line = response_surface(absolute, seen, theory=own_sigma_p).theory
    wrong = [mean - score({SIGMA_A: a, RATIO: 2.5}) for a, mean in zip(line.sigma_a, line.mean, strict=True) if mean]
    assert len(wrong) > 10
    assert np.sqrt(np.mean(np.square(wrong))) < 0.3
