"""The package's surface, and that the theory half needs no torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import vi3nr

ROOT = Path(__file__).resolve().parents[2]

WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, NoTorch())
import numpy as np
import vi3nr
from vi3nr import baselines, guess, moments, signals, spectrum, theory
from vi3nr.activations import families

for family, cls in families().items():
    phi = vi3nr.activation(family)
    for method in moments.METHODS:
        moments.moments(phi, 0.1, method=method, samples=1000)
    config = vi3nr.vi3nr_config(phi, (2, 8, 8, 3))
    assert vi3nr.InitConfig.from_json(config.to_json()) == config
    theory.stable_sigma_p(phi)
    for rule, sigma_a in vi3nr.customary_baselines(family):
        vi3nr.baseline_config(rule, vi3nr.activation(family, sigma_a), (2, 8, 3))
signal = vi3nr.image_signal(np.eye(8))
assert guess.start_points("gaussian", signal)
assert vi3nr.psnr(signal.values, signal.values + 0.2) > 19
try:
    vi3nr.INR
except ModuleNotFoundError as error:
    assert error.name == "torch"
else:
    raise SystemExit("INR came without torch")
assert "torch" not in sys.modules
"""


def test_theory_half_works_without_torch() -> None:
    """With torch unimportable every family's theory, configs, baselines, signals and guesses work."""
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT_TORCH], cwd=ROOT, check=True, timeout=120)


def test_importing_the_package_imports_nothing_heavy() -> None:
    """``import vi3nr`` and its config module bring neither torch nor NumPy."""
    code = "import sys, vi3nr, vi3nr.config; assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_every_public_name_is_there() -> None:
    """``__all__`` is sorted out, every name in it can be had, is shown by dir(), and says what it is."""
    assert len(set(vi3nr.__all__)) == len(vi3nr.__all__)
    for name in vi3nr.__all__:
        assert getattr(vi3nr, name).__doc__
        assert name in dir(vi3nr)


def test_public_names_do_not_depend_on_what_was_imported_before() -> None:
    """No public name is also a submodule's: importing one would replace the other."""
    modules = {path.stem for path in (ROOT / "vi3nr").iterdir()}
    assert not modules & set(vi3nr.__all__)


def test_unknown_names_are_attribute_errors() -> None:
    """A misspelt name is refused in the usual way."""
    with pytest.raises(AttributeError, match="no attribute 'INRR'"):
        vi3nr.INRR  # noqa: B018
