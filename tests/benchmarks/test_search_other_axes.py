"""What is searched only when asked for: every change makes another network, and is trained once."""

from __future__ import annotations

from pathlib import Path

import pytest
from counted_hub import trained_seeds

from benchmarks import search_other_axes
from benchmarks.paper_store import Store


@pytest.mark.parametrize("family", ["gaussian", "sine"])
def test_every_change_is_another_network_and_is_trained_once(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same seed, another score; what is stored is not trained again."""
    _, trained = trained_seeds(monkeypatch, search_other_axes, family)
    found = search_other_axes.measure("noise", family, "cpu", Store(tmp_path / "axes.json"))
    changes = search_other_axes.changes(family)
    assert list(found) == list(changes)
    first = [scores[0] for scores in found.values()]
    assert len(set(first)) == len(changes)
    assert len(trained) == len(search_other_axes.SEEDS) * len(changes)
    assert search_other_axes.measure("noise", family, "cpu", Store(tmp_path / "axes.json")) == found
    assert len(trained) == len(search_other_axes.SEEDS) * len(changes)
