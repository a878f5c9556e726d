"""The example runs as its docstring says."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from vi3nr.activations import activation
from vi3nr.profile import vi3nr_config

HERE = Path(__file__).parents[2]


def test_compare_draws_original_default_and_found(tmp_path):
    """From a config's JSON to a picture of three columns, both scores printed."""
    config = vi3nr_config(activation("gaussian", 0.02), (2, 16, 16, 3), sigma_p=0.05, sigma_p_first=0.2)
    (tmp_path / "best.json").write_text(config.to_json())
    words = ["examples/compare.py", str(tmp_path / "best.json"), "--steps", "3", "--output", str(tmp_path / "out.png")]
    done = subprocess.run([sys.executable, *words], cwd=HERE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("dB") == 2
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.width == 3 * 288 + 2 * 8
