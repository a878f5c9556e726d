"""The answer's sentences and warnings, which runs it rests on, and its way through JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import TypeAdapter
from small_study import PLAN

from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.profile import vi3nr_config
from workers.arms import ArmSpec, as_found_arms, customary_arms, finalist_arm, theory_arm
from workers.confirm import full_arms, leading_finalists, missing_runs
from workers.events import Run
from workers.objective import Objective
from workers.result import StudyResult
from workers.verdict import arm_of, compare, family_result, study_result

WIDTHS = (2, 16, 16, 3)
RATE, FIT = 1e-3, Objective()
PHI = activation("gaussian", 0.02)
FOUND = finalist_arm("gaussian", 7, vi3nr_config(PHI, WIDTHS, sigma_p=0.05), RATE)
OTHER = finalist_arm("gaussian", 8, vi3nr_config(PHI, WIDTHS, sigma_p=0.04), RATE)
USUAL = ArmSpec("gaussian Xavier, sigma_a 0.02", "baseline", baseline_config("xavier", PHI, WIDTHS), RATE)


def arm(spec, *values):
    runs = [
        Run("s", "gaussian", spec.name, spec.kind, r, v, v, 9, v < -50, 1.0, spec.config, ())
        for r, v in enumerate(values)
    ]
    return arm_of(spec, runs, FIT, 9)


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        ((30.0, 30.2, 30.3), "better", "gains 2.1 dB (95 % interval 1.9 to 2.3, 3 seeds) over gaussian Xavier"),
        ((28.1, 28.0, 28.2), "as_good", "as good as gaussian Xavier"),
        ((27.9, 28.0, 28.1), "as_good", "If that is your default, keep it"),
        ((26.0, 26.1, 26.2), "worse", "is already best: keep it"),
        ((30.0,), "as_good", "one seed cannot tell"),
    ],
)
def test_the_verdict_follows_the_paired_interval(found, verdict, words):
    """Above zero is better, across zero as good, below zero worse; the sentence says so with the numbers."""
    comparison = compare(arm(FOUND, *found), arm(USUAL, *(28.0, 28.1, 28.1)[: len(found)]), FIT)
    assert comparison.verdict == verdict
    assert words in comparison.sentence


def test_the_spread_that_seeds_have_in_common_cancels():
    """Seeds that differ by 3 dB hide a steady gain of 0.2 dB from two separate intervals, not from the paired one."""
    found, usual = arm(FOUND, 27.2, 30.3, 33.1, 28.2), arm(USUAL, 27.0, 30.1, 32.9, 28.0)
    assert found.score.low < usual.score.high
    assert compare(found, usual, FIT).verdict == "better"


def test_a_usual_initialisation_may_win():
    """The winner is the best mean, be it a baseline's; the comparison still says what the search found against it."""
    arms = [arm(FOUND, 26.0, 26.1, 26.2), arm(USUAL, 28.0, 28.1, 28.1)]
    family = family_result("gaussian", arms, replicates=3, trials=9, objective=FIT)
    assert family.winner.kind == "baseline"
    assert family.comparison.gain.mean < 0
    assert family.comparison.verdict == "worse"
    assert family.stability_kind == "root"
    assert family.stability_sigma_p == pytest.approx(1.5538 * 0.02, rel=1e-4)


def test_an_arm_that_stopped_at_two_seeds_cannot_win():
    """The answer rests on all seeds, even where a lucky pair has the higher mean."""
    arms = [arm(FOUND, 29.0, 29.1, 29.2), arm(OTHER, 31.0, 31.0), arm(USUAL, 28.0, 28.1, 28.1)]
    family = family_result("gaussian", arms, replicates=3, trials=9, objective=FIT)
    assert family.winner.name == FOUND.name
    assert [line.name for line in family.arms] == [OTHER.name, FOUND.name, USUAL.name]


def test_families_rank_and_warnings_are_sentences_and_json_keeps_all():
    """The better family comes first, memorising and diverging are told, and the result survives JSON unchanged."""
    arms = [arm(FOUND, 30.0, 30.1), arm(USUAL, 28.0, -100.0)]
    good = family_result("gaussian", arms, replicates=2, trials=9, objective=FIT)
    poor = replace(good, family="sine", winner=arm(FOUND, 10.0, 10.1))
    result = study_result(PLAN, [poor, good], "trials", points=100, channels=3)
    assert [family.family for family in result.families] == ["gaussian", "sine"]
    assert any("371 parameters for 100 x 3 values" in warning for warning in result.warnings)
    assert any(warning.startswith(f"{USUAL.name} diverged in 1 of 2 runs") for warning in result.warnings)
    assert not study_result(PLAN, [good], "trials", points=124, channels=3).warnings[1:]
    adapter = TypeAdapter(StudyResult)
    assert adapter.validate_json(adapter.dump_json(result)) == result


def test_confirmation_gives_two_seeds_to_all_and_the_rest_to_the_leaders():
    """First every arm's replicates 0 and 1, then 2 and on for the leading finalist and the leading baseline; one that
    leads only by a lucky pair hands the lead on, and the next one gets all its seeds too."""
    arms, scores = [FOUND, OTHER, USUAL], {}
    assert missing_runs(arms[:1], scores, 4, settled=False) == [(FOUND, 0), (FOUND, 1)]
    first = missing_runs(arms, scores, 4, settled=True)
    assert [(spec.name, r) for spec, r in first] == [(spec.name, r) for r in (0, 1) for spec in arms]
    scores = {(spec.name, r): 30.0 - i for i, spec in enumerate((OTHER, FOUND, USUAL)) for r in (0, 1)}
    assert missing_runs(arms, scores, 4, settled=False) == []
    assert missing_runs(arms, scores, 4, settled=True) == [(OTHER, 2), (USUAL, 2), (OTHER, 3), (USUAL, 3)]
    scores |= {(OTHER.name, 2): 1.0, (USUAL.name, 2): 1.0}
    assert missing_runs(arms, scores, 4, settled=True) == [(OTHER, 3), (USUAL, 3)]  # no change of mind half way
    scores |= {(OTHER.name, 3): 1.0, (USUAL.name, 3): 1.0}
    assert missing_runs(arms, scores, 4, settled=True) == [(FOUND, 2), (FOUND, 3)]
    scores |= {(FOUND.name, 2): 1.0, (FOUND.name, 3): 1.0}
    assert missing_runs(arms, scores, 4, settled=True) == []
    assert full_arms(arms, scores, 4) == arms
    assert missing_runs(arms, {}, 1, settled=True) == [(spec, 0) for spec in arms]


def found_at(sigma_a, rate=RATE):
    return finalist_arm("gaussian", 9, vi3nr_config(activation("gaussian", sigma_a), WIDTHS, sigma_p=0.05), rate)


def test_usual_rules_are_tried_at_their_own_scale_and_at_the_winners():
    """Each customary rule comes again at the winner's sigma_a but N(0, 1); SIREN is for sines; no arm comes twice."""
    customary = customary_arms("gaussian", {}, WIDTHS, None, RATE)
    again = as_found_arms(customary, found_at(0.031), WIDTHS)
    assert {spec.config.rule for spec in customary} == {"pytorch_default", "xavier", "kaiming", "normal"}
    assert {spec.config.rule for spec in again} == {"pytorch_default", "xavier", "kaiming"}
    assert {spec.config.sigma_a for spec in again} == {0.031}
    at_customary = as_found_arms(customary, found_at(0.05), WIDTHS)
    assert at_customary == ()
    assert {spec.name for spec in customary_arms("sine", {}, WIDTHS, None, RATE)} >= {
        "sine SIREN, omega 30",
        "sine SIREN, omega 60",
    }
    named = customary_arms("gaussian", {}, WIDTHS, ("siren", "xavier"), RATE)
    assert {spec.config.rule for spec in named} == {"xavier"}
    relu = finalist_arm("relu", 1, vi3nr_config(activation("relu", 1.0), WIDTHS, sigma_p=1.0), RATE)
    assert as_found_arms(customary_arms("relu", {}, WIDTHS, None, RATE), relu, WIDTHS) == ()


def test_usual_rules_get_the_rate_that_was_found_as_well_as_their_own():
    """Where the search chose a learning rate, every usual rule is tried at it too, at both scales, under a name that
    says so: a better rate alone is not taken for a better init."""
    customary = customary_arms("gaussian", {}, WIDTHS, ("xavier", "normal"), RATE)
    again = as_found_arms(customary, found_at(0.031, 4e-3), WIDTHS)
    xavier = [spec for spec in again if spec.config.rule == "xavier"]
    assert {(spec.config.sigma_a, spec.learning_rate) for spec in xavier} == {
        (0.05, 4e-3),
        (0.031, RATE),
        (0.031, 4e-3),
    }
    assert {(spec.config.sigma_a, spec.learning_rate) for spec in again if spec.config.rule == "normal"} == {
        (0.05, 4e-3)
    }
    assert all(spec.name.endswith("rate 0.004") == (spec.learning_rate == 4e-3) for spec in again)


def test_the_theory_has_an_arm_of_its_own():
    """One sigma_p for all layers, the root of the theory, at the customary scale; neither a finalist nor usual."""
    spec = theory_arm("gaussian", {}, WIDTHS, 1 / 3, RATE)
    assert spec.kind == "theory"
    assert spec.config.sigma_p == pytest.approx(1.5538 * 0.05, rel=1e-4)
    assert spec.config.sigma_p_first == spec.config.sigma_p


def test_steps_are_told_as_steps():
    """Where the score is minus the steps to a target, the sentence counts steps, not decibels."""
    objective = Objective("steps_to_target", target=30.0)
    comparison = compare(arm(FOUND, -120.0, -130.0, -125.0), arm(USUAL, -200.0, -212.0, -208.0), objective)
    assert comparison.verdict == "better"
    assert "gains 82 steps (95 % interval" in comparison.sentence


def test_whoever_leads_is_compared_at_its_own_scale():
    """The leading finalist and those that have led are named, for the usual rules to be tried at their sigma_a."""
    arms = [FOUND, OTHER]
    scores = {(FOUND.name, 0): 30.0, (FOUND.name, 1): 30.0, (OTHER.name, 0): 29.0}
    assert leading_finalists(arms, scores, 3) == []
    scores[OTHER.name, 1] = 29.0
    assert leading_finalists(arms, scores, 3) == [FOUND]
    scores[FOUND.name, 2] = 20.0
    assert leading_finalists(arms, scores, 3) == [FOUND, OTHER]
