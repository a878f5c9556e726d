"""Which family is tried next, and what ends a search."""

from __future__ import annotations

import pytest

from workers.plan import Budget
from workers.race import Contender, Spent, exhausted, next_family


def contender(asked, share=4, best=30.0, gain=0.5, **state):
    return Contender(asked, share, lambda against: max(0.0, gain + min(0.0, best - against)), lambda: best, **state)


def test_every_family_gets_its_share_before_they_are_compared():
    """The one with fewest trials first, however good the other one looks."""
    assert next_family([contender(4, best=40.0), contender(1, best=10.0)]) == 1
    assert next_family([contender(2), contender(2)]) == 0
    assert next_family([contender(9)]) == 0


def test_then_trials_go_where_improvement_on_the_best_of_all_is_expected():
    """A family far behind gets nothing more; the leader goes on, and so does a challenger with more to hope for."""
    assert next_family([contender(4, best=30.0), contender(4, best=22.0, gain=2.0)]) == 0
    assert next_family([contender(9, best=30.0, gain=0.1), contender(4, best=29.5, gain=2.0)]) == 1


def test_families_from_which_nothing_is_expected_take_turns():
    """Where no improvement is expected of anyone, the one with fewer trials is tried."""
    assert next_family([contender(6, gain=0.0), contender(5, gain=0.0)]) == 1


def test_a_busy_family_is_waited_for():
    """What it would be given goes to nobody else, but for the shares that each family has in any case."""
    assert next_family([contender(4, busy=True)]) is None
    assert next_family([contender(6, best=40.0, busy=True), contender(6, best=20.0)]) is None
    assert next_family([contender(6, best=40.0), contender(6, best=20.0, busy=True)]) == 0
    assert next_family([contender(1, busy=True), contender(2)]) == 1
    assert next_family([contender(1, busy=True), contender(4)]) is None


def test_a_family_with_nothing_to_search_gets_nothing_more_and_is_measured_against():
    """Its trial stands as what the others have to beat."""
    fixed = contender(1, share=1, best=30.0, gain=9.0, closed=True)
    assert next_family([fixed, contender(4, best=29.0)]) == 1
    assert next_family([fixed, contender(4, best=28.0, gain=1.0), contender(5, best=28.0, gain=2.5)]) == 2
    assert next_family([fixed]) is None


@pytest.mark.parametrize(
    ("budget", "spent", "reason"),
    [
        (Budget(10), Spent(19, 1e9, 1e9, 1e9), None),
        (Budget(10), Spent(20, 0.0, 0.0, 0.0), "trials"),
        (Budget(10, seconds=100.0), Spent(3, 60.0, 60.0, 39.0), None),
        (Budget(10, seconds=100.0), Spent(3, 60.0, 60.0, 41.0), "seconds"),
        (Budget(10, seconds=100.0), Spent(3, 60.0, 240.0, 150.0), None),  # four devices share what is ahead
        (Budget(10, compute_seconds=100.0), Spent(3, 1.0, 60.0, 41.0), "compute_seconds"),
    ],
)
def test_the_first_limit_that_is_spent_ends_the_search(budget, spent, reason):
    """What the confirmation will take is kept back, by the pace so far, on as many devices as have worked."""
    assert exhausted(budget, 20, spent, begun=True) == reason


def test_no_clock_ends_a_search_before_every_family_has_a_trial():
    """A budget that was too small from the start still gives an answer."""
    assert exhausted(Budget(10, seconds=1.0), 20, Spent(3, 60.0, 60.0, 0.0), begun=False) is None
