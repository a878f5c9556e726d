"""What the command line prints of an answer."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console
from studies_to_store import note, result, run

from service.render import print_result, progress_text
from workers.arms import customary_arms, theory_arm
from workers.objective import Objective
from workers.result import FamilyComparison, Interval
from workers.verdict import arm_of

WIDTHS = (2, 8, 8, 3)
RUNS = [run("s", replicate) for replicate in range(2)]


def test_every_arm_is_named_with_its_scale_once() -> None:
    """A found one, a usual one and the theory's own, of a family told by sigma_a and of one told by omega."""
    answer = result()
    families = []
    for family in ("gaussian", "sine"):
        specs = [theory_arm(family, {}, WIDTHS, 1 / 3, 1e-3), *customary_arms(family, {}, WIDTHS, None, 1e-3)]
        found = replace(answer.families[0].winner, family=family, name=f"{family} trial 3")
        usual = [arm_of(spec, RUNS, Objective(), RUNS[0].curve[-1][0]) for spec in specs]
        families.append(replace(answer.families[0], family=family, winner=found, arms=(found, *usual)))
    text = io.StringIO()
    suits = FamilyComparison("gaussian", "sine", Interval(1.0, 0.5, 1.5, 2), "better", "It suits better.")
    print_result(
        Console(file=text, width=160),
        replace(answer, families=tuple(families), family_comparison=suits),
        {"gaussian": "a.json", "sine": "b.json"},
    )
    assert text.getvalue().strip().startswith("It suits better.")
    rows = [line for line in text.getvalue().splitlines() if line.startswith(("trial", "VI3NR", "PyTorch", "SIREN"))]
    assert len(rows) >= 8
    for row in rows:
        assert row.count("sigma_a") + row.count("omega") == 1, row


def test_the_best_so_far_has_its_unit() -> None:
    """A study that counts steps is not told in dB."""
    told = note(1)
    assert "so far 21.50 dB at" in progress_text(told, None)
    assert "so far -120 steps at" in progress_text(replace(told, best_score=-120.0, unit="steps"), None)
