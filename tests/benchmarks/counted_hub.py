"""A hub that counts what it trains, on a picture so small that it takes no time."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from benchmarks.search_hub import Hub
from vi3nr.ensemble.interface import Member, Progress
from vi3nr.signals import Signal, image_signal


def trained_seeds(monkeypatch: pytest.MonkeyPatch, benchmark: ModuleType, family: str) -> tuple[Signal, list[int]]:
    """Let a benchmark train four steps on noise; the picture, and the seed of each training as it is asked for."""
    signal = image_signal(np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8))
    trained: list[int] = []

    class Counted(Hub):
        def train(self, member: Member) -> Progress:
            trained.append(member.seed)
            return super().train(member)

    monkeypatch.setattr(benchmark, "STEPS", 4)
    monkeypatch.setattr(benchmark, "picture", lambda name: signal)
    monkeypatch.setattr(benchmark, "hub_for", lambda *_: Counted(signal, family, (2, 64, 64, 64, 64, 3), 4, 2))
    return signal, trained
