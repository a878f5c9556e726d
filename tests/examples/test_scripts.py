"""A script that is meant to be copied runs as its docstring says."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]


def output_of(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *words], cwd=HERE, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_own_module_gets_the_variance_that_the_config_says():
    """In every hidden layer, where PyTorch's default is hundreds of times too large."""
    rows = [line.split() for line in output_of("examples/own_module.py").splitlines()[1:]]
    assert len(rows) == 4
    for _, wanted, before, after in rows[:3]:
        assert float(before) > 100 * float(wanted)
        assert float(after) == pytest.approx(float(wanted), rel=0.3)
