"""examples/fit_image.py against a running service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from live_service import LiveService, a_picture

ROOT = Path(__file__).parents[2]


def test_a_picture_is_searched_and_trained_in_a_loop_of_ones_own(live: LiveService, tmp_path: Path) -> None:
    """All trials are made, and the own loop comes within 3 dB of what the study measured with other seeds."""
    (tmp_path / "photo.png").write_bytes(a_picture())
    words = [
        str(tmp_path / "photo.png"),
        "--url",
        live.url,
        "--trials",
        "3",
        "--steps",
        "100",
        "--width",
        "16",
        "--side",
        "24",
    ]
    environment = os.environ | {"VI3NR_API_KEY": live.key, "PYTHONPATH": str(ROOT)}
    with live.runner():
        done = subprocess.run(
            [sys.executable, "-W", "error", str(ROOT / "examples" / "fit_image.py"), *words],
            capture_output=True, text=True, timeout=200, env=environment, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 trials; the winner is ")
    told = re.search(r"trained here: ([0-9.]+) dB", done.stdout)
    assert told is not None, done.stdout
    with live.client() as client:
        latest = next(client.studies(state="completed"))
        measured = client.best(latest.id).families[0].winner.score.mean
    assert abs(float(told[1]) - measured) < 3.0
