"""Intervals against SciPy's own tests, and the seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_rel

from workers.seeds import confirmation_seed, moment_seed, sampler_seed, trial_seed
from workers.statistics import mean_interval, paired_interval


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_intervals_are_scipys(n):
    """Mean and paired intervals equal the confidence intervals of SciPy's t-tests."""
    generator = np.random.default_rng(n)
    first, second = generator.normal(30, 1, n), generator.normal(29, 1, n)
    own, referee = mean_interval(list(first)), ttest_1samp(first, 0.0).confidence_interval(0.95)
    assert (own.low, own.high) == pytest.approx((referee.low, referee.high), rel=1e-12)
    paired = paired_interval(dict(enumerate(first)), dict(enumerate(second)))
    referee = ttest_rel(first, second).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((referee.low, referee.high), rel=1e-12)
    assert (own.n, paired.n) == (n, n)


def test_pairs_are_made_of_common_replicates_only():
    """A replicate that one arm lacks does not enter, whatever its value."""
    paired = paired_interval({0: 3.0, 1: 4.0, 7: 99.0}, {0: 1.0, 1: 1.0, 2: -99.0})
    assert (paired.mean, paired.n) == (2.5, 2)


def test_one_value_has_no_interval_and_none_no_mean():
    """One seed gives a mean alone; nothing to compare is an error with a sentence."""
    alone = mean_interval([2.0])
    assert (alone.mean, alone.low, alone.high, alone.n) == (2.0, None, None, 1)
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval([])
    with pytest.raises(ValueError, match="share no replicate"):
        paired_interval({0: 1.0}, {1: 1.0})


@given(st.integers(0, 2**63), st.integers(0, 10**6), st.integers(0, 10**6))
def test_search_and_confirmation_seeds_never_meet(study, order, replicate):
    """They differ for any study, order and replicate, and all are seeds that JSON, NumPy and torch hold."""
    seeds = (trial_seed(study, order), confirmation_seed(study, replicate))
    assert seeds[0] != seeds[1]
    more = (sampler_seed(study, "sine", order), moment_seed(study, "sine"))
    assert all(0 <= seed < 2**31 for seed in (*seeds, *more))


def test_a_search_that_goes_on_from_another_does_not_train_from_its_seeds():
    """The best known point of order 0 is tried again from a seed that it has not had."""
    assert trial_seed(0, 0, ["older gaussian"]) not in {trial_seed(0, order) for order in range(100)}


def test_seeds_do_not_change_between_versions():
    """A study that is resumed by a later release trains the same networks: these numbers are pinned."""
    assert (trial_seed(3, 0), trial_seed(3, 1)) == (1782761142, 2086910484)
    assert confirmation_seed(3, 0) != confirmation_seed(3, 1)
    assert len({trial_seed(0, order) for order in range(2000)}) == 2000
