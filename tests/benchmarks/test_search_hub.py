"""Many searches at once: each gets what it would have got alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from benchmarks import search_hub
from benchmarks.search_hub import Hub
from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.ensemble.interface import Member
from vi3nr.ensemble.stacked import StackedEnsemble
from vi3nr.signals import Signal

WIDTHS = (2, 6, 6, 1)
GRID = np.stack(np.meshgrid(*[np.linspace(-1, 1, 6)] * 2), axis=-1).reshape(-1, 2).astype(np.float32)
SIGNAL = Signal(GRID, np.sin(3 * GRID[:, :1]), "image", (6, 6))


def a_hub(places: int, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub of a GPU with so many places, its executor on the CPU."""
    monkeypatch.setitem(search_hub.PLACES, "cuda", places)
    on_cpu = lambda signal, device, precision, **options: StackedEnsemble(signal, **options)  # noqa: E731
    monkeypatch.setattr(search_hub, "StackedEnsemble", on_cpu)
    return Hub(SIGNAL, "gaussian", WIDTHS, 20, 2, "cuda")


def search(hub: Hub, seed: int) -> list[float]:
    """Trainings that follow from each other, as many as the seed says, each continued once."""
    scores = []
    for number in range(1 + seed % 3):
        config = baseline_config("xavier", activation("gaussian", 0.1 + 0.1 * number), WIDTHS)
        member = Member("any", config, seed, 1e-2, 4)
        report = hub.train(member)
        scores.append(hub.train(replace(member, until=9, start=report.state)).score)
    return scores


def test_together_is_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven jobs in three places, of different lengths: answers in their order, scores as of one at a time."""
    alone = a_hub(1, monkeypatch)
    expected = alone.run([partial(search, alone, seed) for seed in range(7)])
    together = a_hub(3, monkeypatch)
    found = together.run([partial(search, together, seed) for seed in range(7)])
    assert [len(scores) for scores in found] == [1, 2, 3, 1, 2, 3, 1]
    for got, truth in zip(found, expected, strict=True):
        assert got == pytest.approx(truth, abs=1e-3)


def test_an_error_of_one_job_or_of_the_executor_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever; the error is raised."""
    hub = a_hub(2, monkeypatch)

    def fail() -> list[float]:
        raise LookupError("no such picture")

    with pytest.raises(LookupError, match="no such picture"):
        hub.run([partial(search, hub, 1), fail, partial(search, hub, 2)])

    def broken(_: int) -> list[object]:
        raise RuntimeError("no memory")

    hub = a_hub(2, monkeypatch)
    monkeypatch.setattr(hub._ensemble, "advance", broken)
    with pytest.raises(RuntimeError, match="no memory"):
        hub.run([partial(search, hub, 0), partial(search, hub, 3)])
