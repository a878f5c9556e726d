"""The start points by themselves: each is trained once, and what is stored is not trained again."""

from __future__ import annotations

from pathlib import Path

import pytest
from counted_hub import trained_seeds

from benchmarks import search_starts
from benchmarks.paper_store import Store
from vi3nr.guess import start_points


def test_each_start_point_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds after one train the second seed alone, and the points keep their order."""
    signal, trained = trained_seeds(monkeypatch, search_starts, "sine")
    store = Store(tmp_path / "starts.json")
    once = search_starts.measure("noise", "sine", "cpu", 1, store)
    assert len(once) == len(start_points("sine", signal))
    assert len(set(once)) > 1
    assert sorted(trained) == [1001] * len(once)
    assert search_starts.measure("noise", "sine", "cpu", 1, Store(tmp_path / "starts.json")) == once
    search_starts.measure("noise", "sine", "cpu", 2, store)
    assert sorted(trained) == [1001] * len(once) + [1002] * len(once)
