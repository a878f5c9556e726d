"""What is searched only when asked for: every change makes another network, and is trained once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import search_other_axes
from benchmarks.paper_store import Store
from benchmarks.search_hub import Hub
from vi3nr.signals import image_signal


@pytest.mark.parametrize("family", ["gaussian", "sine"])
def test_every_change_is_another_network_and_is_trained_once(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same seed, another score; what is stored is not trained again."""
    signal = image_signal(np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8))
    trained: list[int] = []

    class Counted(Hub):
        def train(self, member):  # type: ignore[no-untyped-def]
            trained.append(member.seed)
            return super().train(member)

    monkeypatch.setattr(search_other_axes, "STEPS", 4)
    monkeypatch.setattr(search_other_axes, "picture", lambda name: signal)
    monkeypatch.setattr(search_other_axes, "hub_for", lambda *_: Counted(signal, family, (2, 64, 64, 64, 64, 3), 4, 2))
    found = search_other_axes.measure("noise", family, "cpu", Store(tmp_path / "axes.json"))
    changes = search_other_axes.changes(family)
    assert list(found) == list(changes)
    first = [scores[0] for scores in found.values()]
    assert len(set(first)) == len(changes)
    assert len(trained) == len(search_other_axes.SEEDS) * len(changes)
    assert search_other_axes.measure("noise", family, "cpu", Store(tmp_path / "axes.json")) == found
    assert len(trained) == len(search_other_axes.SEEDS) * len(changes)
