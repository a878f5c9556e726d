"""Scores from learning curves: their order is the order that a person would give."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vi3nr.ensemble.interface import WORST_SCORE, Progress
from workers.objective import Objective

STEPS = 400
CURVE = ((100, 20.0), (200, 25.0), (300, 27.0), (400, 28.0))


def test_each_objective_reads_the_curve_in_its_own_way():
    """The end, the mean over the steps by the trapezoid, and the straight line's crossing of the target."""
    assert Objective().score(CURVE, STEPS) == 28.0
    assert Objective("held_out", share=0.2).score(CURVE, STEPS) == 28.0
    assert Objective("area").score(CURVE, STEPS) == pytest.approx((20 * 100 + 2250 + 2600 + 2750) / 400)
    assert Objective("steps_to_target", target=26.0).score(CURVE, STEPS) == pytest.approx(-250.0)
    assert Objective("steps_to_target", target=15.0).score(CURVE, STEPS) == -100.0


def test_only_where_the_end_alone_counts_is_it_smoothed():
    """One step's PSNR shakes; a whole curve is smooth enough, and a target is reached when it is reached."""
    report = Progress("a", 400, 24.0, 26.0, 26.5, 350, False, True, 1.0, None)
    read = [
        objective.reading(report)
        for objective in (
            Objective(),
            Objective("held_out", share=0.2),
            Objective("area"),
            Objective("steps_to_target", target=26.0),
        )
    ]
    assert read == [26.0, 24.0, 24.0, 24.0]
    assert Objective().reading(replace(report, diverged=True)) == WORST_SCORE


def test_a_target_that_is_missed_counts_by_how_much():
    """Later than any that reaches it, by a tenth of the training for each dB; a divergence is the worst of all."""
    objective = Objective("steps_to_target", target=30.0)
    missed = objective.score(CURVE, STEPS)
    assert missed == pytest.approx(-480.0)
    assert objective.score(((400, 29.0),), STEPS) > missed
    assert objective.score((*CURVE[:3], (400, WORST_SCORE)), STEPS) < -2000.0
    assert Objective("area").score((*CURVE[:3], (400, WORST_SCORE)), STEPS) == WORST_SCORE


@given(st.lists(st.floats(5.0, 50.0), min_size=4, max_size=4), st.floats(0.0, 5.0), st.floats(10.0, 45.0))
def test_a_curve_that_lies_above_another_never_scores_less(values, lift, target):
    """Whatever the objective, more PSNR at every report is no worse."""
    low = tuple(zip((100, 200, 300, 400), values, strict=True))
    high = tuple((step, value + lift) for step, value in low)
    for objective in (Objective(), Objective("area"), Objective("steps_to_target", target=target)):
        assert objective.score(high, STEPS) >= objective.score(low, STEPS) - 1e-9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "loss"}, "'loss' is unknown"),
        ({"name": "steps_to_target"}, "target"),
        ({"name": "fit", "target": 3.0}, "target"),
        ({"name": "held_out"}, "share"),
        ({"name": "held_out", "share": 1.5}, "1.5"),
    ],
)
def test_an_objective_that_makes_no_sense_is_refused(arguments, words):
    """The sentence names what is wrong."""
    with pytest.raises(ValueError, match=words):
        Objective(**arguments)
