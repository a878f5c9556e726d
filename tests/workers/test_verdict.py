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
from workers.memorising import memorising_warning
from workers.objective import Objective
from workers.result import StudyResult
from workers.verdict import arm_of, compare, compare_families, family_result, study_result

WIDTHS = (2, 16, 16, 3)
RATE, FIT = 1e-3, Objective()
PHI = activation("gaussian", 0.02)
FOUND = finalist_arm("gaussian", 7, vi3nr_config(PHI, WIDTHS, sigma_p=0.05), RATE)
OTHER = finalist_arm("gaussian", 8, vi3nr_config(PHI, WIDTHS, sigma_p=0.04), RATE)
USUAL_PHI = activation("gaussian", 0.05)
USUAL = ArmSpec("gaussian Xavier, sigma_a 0.05", "baseline", baseline_config("xavier", USUAL_PHI, WIDTHS), RATE)


def arm(spec, *values):
    runs = [
        Run("s", "gaussian", spec.name, spec.kind, r, v, v, 9, v == -100, 1.0, spec.config, ())
        for r, v in enumerate(values)
    ]
    return arm_of(spec, runs, FIT, 9)


def two_families(first, second):
    one = family_result("sine", [arm(FOUND, *first)], replicates=len(first), trials=9, objective=FIT)
    other = family_result("gaussian", [arm(FOUND, *second)], replicates=len(second), trials=9, objective=FIT)
    return one, other


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


def test_a_usual_rule_at_a_scale_that_was_found_is_nobodys_default():
    """It is named for what it is, and the best at a customary scale is told beside it."""
    elsewhere = replace(USUAL, name="gaussian Xavier, sigma_a 0.0312", config=replace(USUAL.config, sigma_a=0.0312))
    arms = [arm(FOUND, 26.0, 26.1, 26.2), arm(elsewhere, 28.0, 28.1, 28.1), arm(USUAL, 25.0, 25.1)]
    comparison = family_result("gaussian", arms, replicates=3, trials=9, objective=FIT).comparison
    assert not comparison.customary
    assert (
        "gaussian Xavier, sigma_a 0.0312 (a usual rule, at a scale or rate that is not customary) is best"
        in comparison.sentence
    )
    assert f"Against the best as it is customary, {USUAL.name}, it is +1.0 dB (mean of 2 seeds)." in comparison.sentence
    assert "default" not in comparison.sentence


@pytest.mark.parametrize(("customary", "told"), [(RATE, False), (4e-3, True), (None, True)])
def test_a_usual_rule_at_a_rate_that_was_found_is_nobodys_default(customary, told):
    """At a customary scale too; where the study itself asks for that rate it is."""
    faster = replace(USUAL, name=f"{USUAL.name}, rate 0.004", learning_rate=4e-3)
    arms = [arm(FOUND, 26.0, 26.1, 26.2), arm(faster, 28.0, 28.1, 28.1), arm(USUAL, 25.0, 25.1)]
    comparison = family_result("gaussian", arms, replicates=3, trials=9, objective=FIT, rate=customary).comparison
    assert comparison.baseline == faster.name
    assert comparison.customary == told
    assert ("Your usual default" in comparison.sentence) == told
    assert (f"Against the best as it is customary, {USUAL.name}" in comparison.sentence) != told


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
    assert family.stability_sigma_p == pytest.approx(1.5538 * 0.05, rel=1e-4)


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
    result = study_result(PLAN, [poor, good], "trials", points=100)
    assert [family.family for family in result.families] == ["gaussian", "sine"]
    assert any("371 parameters for the 100 points" in warning for warning in result.warnings)
    diverged = f"{USUAL.name} diverged in 1 of 2 runs, which its mean includes: its lowest score is -100"
    assert f"{diverged} dB." in result.warnings
    assert study_result(PLAN, [good], "trials", points=371).warnings == (f"{diverged} dB.",)
    counting = replace(PLAN, objective=Objective("steps_to_target", target=30.0))
    assert study_result(counting, [good], "trials", points=371).warnings == (f"{diverged} steps.",)
    adapter = TypeAdapter(StudyResult)
    assert adapter.validate_json(adapter.dump_json(result)) == result


@pytest.mark.parametrize(
    ("second", "verdict", "sentence"),
    [
        (
            (26.0, 29.1, 24.2),
            "better",
            "sine is 4.2 dB (95 % interval 3.9 to 4.5, 3 seeds) better than gaussian.",
        ),
        (
            (30.2, 32.2, 29.2),
            "as_good",
            "sine and gaussian are equally good here, as far as 3 seeds can tell: +0.1 dB (95 % interval -2.0 to 2.2).",
        ),
    ],
)
def test_the_best_family_is_compared_with_the_next_over_their_common_seeds(second, verdict, sentence):
    """Seeds that differ by 5 dB hide no steady difference of 4 dB; one that is not steady is called equal."""
    pair = two_families((30.3, 33.2, 28.5), second)
    result = study_result(PLAN, pair[::-1], "trials", points=371)
    told = result.family_comparison
    assert (told.best, told.second, told.verdict, told.sentence) == ("sine", "gaussian", verdict, sentence)
    assert told.gain.mean == pytest.approx(pair[0].winner.score.mean - pair[1].winner.score.mean)
    stored = TypeAdapter(StudyResult).dump_python(result, mode="json")
    assert stored["family_comparison"]["gain"]["n"] == 3
    del stored["family_comparison"]  # as older versions wrote it
    assert TypeAdapter(StudyResult).validate_python(stored) == replace(result, family_comparison=None)


def test_families_are_compared_in_the_unit_of_the_objective_and_only_where_there_are_two():
    """Steps are counted as steps; one seed has no verdict, one family no comparison."""
    objective = Objective("steps_to_target", target=30.0)
    pair = two_families((-120.0, -130.0, -125.0), (-200.0, -212.0, -208.0))
    assert "sine is 82 steps (95 % interval 78 to 85, 3 seeds) better" in compare_families(pair, objective).sentence
    once = compare_families(two_families((30.0,), (28.0,)), FIT)
    assert (once.verdict, once.gain.low) == ("as_good", None)
    assert "sine scores +2.0 dB against gaussian on one seed; one seed cannot tell" in once.sentence
    assert study_result(PLAN, pair[:1], "trials", points=371).family_comparison is None


def test_a_network_that_can_memorise_what_it_is_trained_on_is_warned_about():
    """More real numbers than points to train on: a complex weight is two of them, and held-out points are not trained
    on. Who does not use the objective held_out is told of it."""
    real = 3 * 16 + 17 * 16 + 17 * 3
    assert memorising_warning(WIDTHS, ["gaussian"], real, FIT) is None
    assert f"{real} parameters for the {real - 1} points" in memorising_warning(WIDTHS, ["sine"], real - 1, FIT)
    assert "The objective held_out" in memorising_warning(WIDTHS, ["sine"], real - 1, FIT)
    both = 3 * 16 + 2 * (17 * 16 + 17 * 3)
    assert memorising_warning(WIDTHS, ["gaussian", "wire"], both, FIT) is None
    assert f"{both} parameters (a complex one counts as two)" in memorising_warning(WIDTHS, ["wire"], both - 1, FIT)
    quarter = Objective("held_out", share=0.25)
    assert memorising_warning(WIDTHS, ["gaussian"], 4 * real, quarter) is None
    told = memorising_warning(WIDTHS, ["gaussian"], 480, quarter)
    assert "371 parameters for the 360 points" in told
    assert "held_out" not in told


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


def test_the_theorys_own_arm_is_confirmed_where_it_leads():
    """Better than the best finalist and the best usual one over the first seeds it gets all of them and may win; else
    it stays with two.
    """
    theory = replace(FOUND, name="theory", kind="theory")
    arms = [FOUND, USUAL, theory]
    leading = {(spec.name, r): score for spec, score in zip(arms, (30.0, 28.0, 35.0), strict=True) for r in (0, 1)}

    def wanted(scores):
        return {spec.name for spec, replicate in missing_runs(arms, scores, 3, settled=True) if replicate == 2}

    assert wanted(leading) == {FOUND.name, USUAL.name, "theory"}
    assert wanted(leading | {("theory", 0): 24.0}) == {FOUND.name, USUAL.name}


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
    even = compare(arm(FOUND, -120.2, -130.0, -125.0), arm(USUAL, -120.0, -130.0, -125.0), objective)
    assert "+0 steps (95 % interval" in even.sentence


def test_whoever_leads_is_compared_at_its_own_scale():
    """The leading finalist and those that have led are named, for the usual rules to be tried at their sigma_a."""
    arms = [FOUND, OTHER]
    scores = {(FOUND.name, 0): 30.0, (FOUND.name, 1): 30.0, (OTHER.name, 0): 29.0}
    assert leading_finalists(arms, scores, 3) == []
    scores[OTHER.name, 1] = 29.0
    assert leading_finalists(arms, scores, 3) == [FOUND]
    assert leading_finalists(arms, scores, 2) == [FOUND]  # all have all replicates, and one leads
    scores[FOUND.name, 2] = 20.0
    assert leading_finalists(arms, scores, 3) == [FOUND, OTHER]
