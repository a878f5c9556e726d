"""What the command line prints of an answer."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console
from studies_to_store import result, run

from service.render import print_result
from workers.arms import customary_arms, theory_arm
from workers.objective import Objective
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
    print_result(
        Console(file=text, width=160),
        replace(answer, families=tuple(families)),
        {"gaussian": "a.json", "sine": "b.json"},
    )
    rows = [line for line in text.getvalue().splitlines() if line.startswith(("trial", "VI3NR", "PyTorch", "SIREN"))]
    assert len(rows) >= 8
    for row in rows:
        assert row.count("sigma_a") + row.count("omega") == 1, row
