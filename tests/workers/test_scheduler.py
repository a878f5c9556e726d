"""Fair shares, report grids, and what the scheduler does not know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.scheduler import REPORT_STEPS, FairShare, Pace, Position, fewest_steps, segment_length, turn_steps

POSITIONS = st.builds(
    lambda until, part, at: Position(min(int(at * until), until - 1), max(1, int(part * until)), until),
    st.integers(1, 5000),
    st.floats(0.05, 1.0),
    st.floats(0.0, 0.999),
)


@given(st.integers(10, 100_000))
def test_a_training_gives_six_to_ten_reports(horizon):
    """Whatever the horizon, its segments make between 5 and 8 reports (fewer steps than reports aside)."""
    reports = -(-horizon // segment_length(horizon))
    assert 5 <= reports <= 8
    assert reports >= 6 or horizon < 30


@given(st.integers(1, 10**7), st.none() | st.integers(1, 10**7), st.integers(1, 10**6))
def test_reports_cost_at_most_two_percent(points, batch_size, horizon):
    """A score goes forward over all points: a third of a step on all of them. Where steps see fewer points reports are
    rarer, on every second, fourth or eighth line of the same grid; where they see all, the score's pass is part of the
    next step.
    """
    fewest, finest = fewest_steps(points, batch_size), segment_length(horizon)
    segment = segment_length(horizon, fewest)
    assert segment in (finest, 2 * finest, 4 * finest, 8 * finest)
    seen = min(batch_size or points, points)
    if seen == points:
        assert (fewest, segment) == (1, finest)
        return
    cost = points / seen / 3.0  # of a score, in steps
    assert cost <= 0.02 * fewest
    assert cost <= 0.02 * segment or segment >= horizon  # at the very end there has to be one
    assert segment == finest or segment // 2 < fewest


def test_a_leg_of_the_fewest_steps_costs_two_percent():
    """The score that ends a leg is a pass of its own."""
    assert 0.02 * REPORT_STEPS >= 1.0 / 3.0


@given(st.lists(POSITIONS, min_size=1, max_size=8), st.integers(1, 5000), st.integers(1, 500))
def test_a_turn_moves_on_and_no_member_passes_its_report(positions, most, fewest):
    """A turn has at least one step and ends at or before every member's next report; at its horizon, which may come
    before, a member stops by itself. It is no longer than asked, unless what is left would be too short.
    """
    steps = turn_steps(positions, most, fewest)
    assert 1 <= steps < max(most, fewest) + fewest
    nearest = min(position.to_report for position in positions)
    assert steps == nearest or (steps >= fewest and nearest - steps >= fewest)
    for position in positions:
        assert (position.step + steps - 1) // position.segment == position.step // position.segment


def test_a_turn_of_nobody_is_refused():
    """An empty device has no turn."""
    with pytest.raises(ValueError, match="at least one member"):
        turn_steps([], 10)


def test_a_free_slot_goes_to_who_holds_fewest_then_to_who_was_served_least():
    """Slots held count first, device time second, the order of joining last."""
    fair = FairShare()
    for name in ("a", "b", "c"):
        fair.join(name)
    assert fair.order({}) == ["a", "b", "c"]
    fair.charge("a", 5.0)
    fair.charge("b", 1.0)
    assert fair.order({}) == ["c", "b", "a"]
    assert fair.order({"c": 2, "b": 1}) == ["a", "b", "c"]


def test_a_newcomer_starts_level_and_does_not_catch_up():
    """Who joins late is level with the least served one, so it cannot starve the others."""
    fair = FairShare()
    fair.join("old")
    fair.charge("old", 1000.0)
    fair.join("new")
    assert fair.order({}) == ["old", "new"]
    fair.charge("old", 1.0)
    assert fair.order({}) == ["new", "old"]
    fair.leave("old")
    fair.leave("never joined")
    fair.charge("old", 1.0)
    assert fair.order({}) == ["new"]


def test_a_turn_is_short_however_slow_a_step_is():
    """Unknown members get a few steps; then as many as fit into the time, but always one."""
    pace = Pace()
    assert pace.most_steps([("a", "sine")], 5.0) == 10
    pace.learn("a", "sine", 10, 20.0)
    assert pace.most_steps([("a", "sine")], 5.0) == 2
    assert pace.most_steps([("a", "sine")], 10.0) == 5
    assert pace.most_steps([("a", "sine"), ("b", "sine")], 5.0) == 10
    pace.learn("b", "sine", 10, 600.0)
    assert pace.most_steps([("a", "sine"), ("b", "sine")], 5.0) == 1
    pace.forget("b")
    assert pace.most_steps([("b", "sine")], 5.0) == 10


@given(POSITIONS, st.integers(1, 10_000))
def test_a_leg_ends_on_the_grid_of_reports_where_it_reaches_it(position, steps):
    """A leg makes progress, never passes the horizon and is no longer than asked: off the grid only where the next line
    of the grid is further away, and then at least half as long as asked.
    """
    end = position.leg_end(steps)
    assert position.step < end <= min(position.until, position.step + steps)
    assert end == position.until or end % position.segment == 0 or steps / 2 <= end - position.step < position.to_report


def test_the_scheduler_knows_neither_torch_nor_ray_nor_optuna():
    """Importing it loads none of them."""
    code = "import sys, workers.scheduler; print([m for m in ('torch', 'ray', 'optuna') if m in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
