"""The measurement of what a study costs beside the training: a smoke of both parts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def test_both_parts_run_in_small() -> None:
    """The whole study and the engine alone train the same steps, and both databases give a rate."""
    command = [sys.executable, "-m", "benchmarks.overhead", "--quick", "--json"]
    text = subprocess.run(command, cwd=ROOT, check=True, timeout=200, capture_output=True, text=True).stdout
    outcome: dict[str, Any] = json.loads(text)
    (row,) = outcome["study"]["rounds"]
    assert row["trainings"] == outcome["study"]["trainings"] > 3
    assert row["steps"] <= 40 * row["trainings"]
    assert row["overhead_fraction"] == outcome["overhead_fraction"] > -1.0
    assert [rate["database"] for rate in outcome["rates"]] == ["sqlite", "postgresql"]
    assert all(rate["trials_per_second"] > 0.0 for rate in outcome["rates"])
