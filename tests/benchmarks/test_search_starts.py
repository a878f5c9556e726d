"""The start points by themselves: each is trained once, and what is stored is not trained again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import search_starts
from benchmarks.paper_store import Store
from benchmarks.search_hub import Hub
from vi3nr.guess import start_points
from vi3nr.signals import image_signal


def test_each_start_point_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds after one train the second seed alone, and the points keep their order."""
    signal = image_signal(np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8))
    trained: list[int] = []

    class Counted(Hub):
        def train(self, member):  # type: ignore[no-untyped-def]
            trained.append(member.seed)
            return super().train(member)

    monkeypatch.setattr(search_starts, "STEPS", 4)
    monkeypatch.setattr(search_starts, "picture", lambda name: signal)
    monkeypatch.setattr(search_starts, "hub_for", lambda *_: Counted(signal, "sine", (2, 64, 64, 64, 64, 3), 4, 2))
    store = Store(tmp_path / "starts.json")
    once = search_starts.measure("noise", "sine", "cpu", 1, store)
    assert len(once) == len(start_points("sine", signal))
    assert len(set(once)) > 1
    assert sorted(trained) == [1001] * len(once)
    assert search_starts.measure("noise", "sine", "cpu", 1, Store(tmp_path / "starts.json")) == once
    search_starts.measure("noise", "sine", "cpu", 2, store)
    assert sorted(trained) == [1001] * len(once) + [1002] * len(once)
