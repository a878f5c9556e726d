"""A study whose objective holds points out trains without them and is scored on them."""

from __future__ import annotations

import pytest
from small_study import Record, drive, plan, small_signal

from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Member, Recipe
from workers.engine import Engine
from workers.objective import Objective
from workers.pool_local import LocalPool
from workers.seeds import confirmation_seed
from workers.storage import open_storage


def test_held_out_points_are_scored_and_not_trained_on(tmp_path):
    """Its runs have the scores of trainings by hand on the other points, which differ from those of ``fit``."""
    scores = {}
    for name, share in (("fit", None), ("held_out", 0.3)):
        storage = open_storage(f"sqlite:///{tmp_path / name}.db")
        asked = plan(
            name, trials=2, objective=Objective(name, share=share), recipe=Recipe(40), search_steps=20, finalists=1,
            baselines=("pytorch_default",),
        )  # fmt: skip
        engine = Engine(LocalPool(), storage)
        engine.add(asked, small_signal(), [], lease=1)
        record = drive(engine, Record())
        assert not record.errors
        run = next(run for run in record.runs if run.kind == "baseline" and run.replicate == 0)
        recipe = Recipe(40, held_out=share)
        widths = asked.network.widths(2, 3)
        ensemble = CpuEnsemble(small_signal(), widths=widths, family="gaussian", recipe=recipe, capacity=1)
        ensemble.admit(Member("by hand", run.config, confirmation_seed(asked.seed, 0), 1e-3, 40))
        (by_hand,) = ensemble.advance(40)
        assert run.score == pytest.approx(by_hand.smoothed, abs=1e-6)
        scores[name] = run.score
        storage.engine.dispose()
    assert abs(scores["fit"] - scores["held_out"]) > 0.1
