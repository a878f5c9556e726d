"""The search on other signals: everybody gets what ours cost, and what is stored is not trained again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import search_elsewhere, search_elsewhere_grid, search_regions
from benchmarks.paper_store import Store
from benchmarks.search_loop import OURS, STRATEGIES, sized
from benchmarks.signals_data import signal_of


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume of 216 points, twenty steps, networks of width 4."""
    for module in (search_elsewhere, search_elsewhere_grid, search_regions):
        monkeypatch.setattr(module, "signal_of", lambda name: signal_of(name, quick=True))
    monkeypatch.setattr(search_elsewhere, "STEPS", 20)
    monkeypatch.setattr(search_elsewhere, "WIDTH", 4)


@pytest.mark.usefixtures("small")
def test_all_strategies_get_what_ours_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is stored once, none costs more than ours; the table has a line, and the differences are of ours."""
    store = Store(tmp_path / "elsewhere.json")
    for family in ("sine", "gaussian"):
        search_elsewhere.measure("gyroid", family, 0, 6, store)
    rows = search_elsewhere.rows_of(store, ("gyroid",), ["sine", "gaussian"], 1, 6)
    steps = {key: row["steps"] for key, row in store.rows.items() if "steps" in row}
    assert len(steps) == 2 * len(STRATEGIES)
    for family in ("sine", "gaussian"):
        ours = steps.pop(f"gyroid {family} ours 6 0")
        assert all(cost <= ours for key, cost in steps.items() if family in key)
    assert [row["family"] for row in rows] == ["sine", "gaussian"]
    gains = search_elsewhere.differences(rows)
    expected = sum(row["ours"] - row["gp"] for row in rows) / 2
    assert gains["gp"]["mean"] == pytest.approx(expected)
    assert set(gains) == {"tpe", "gp", "random", "usual"}

    def again(*_: object) -> None:
        raise AssertionError("it is stored")

    monkeypatch.setattr(search_elsewhere, "found_by", again)
    monkeypatch.setattr(search_elsewhere, "usual", again)
    search_elsewhere.measure("gyroid", "sine", 0, 6, Store(tmp_path / "elsewhere.json"))


def test_a_row_that_is_not_whole_is_left_out(tmp_path: Path) -> None:
    """A cell of one strategy is no comparison."""
    store = Store(tmp_path / "elsewhere.json")
    store.keep("gyroid sine usual", {"SIREN": [1.0]})
    store.keep(f"gyroid sine {OURS.name} 0", {"true_db": [2.0], "steps": 10})
    assert search_elsewhere.rows_of(store, ("gyroid",), ["sine"], 1, OURS.trials) == []


@pytest.mark.usefixtures("small")
def test_a_region_is_told_from_what_is_stored(tmp_path: Path) -> None:
    """Start points and random configs are trained once each; the summary names the best ones' place on every axis."""
    store = Store(tmp_path / "regions.json")
    search_regions.measure("gyroid", "sine", 4, 4, 20, store)
    assert len(store.rows) == 4 + 5
    before = dict(store.rows)
    search_regions.measure("gyroid", "sine", 4, 4, 20, store)
    assert store.rows == before
    told = search_regions.summary("gyroid sine 4x20", store.rows)
    assert "4 random" in told
    assert all(axis in told for axis in ("sigma_a", "first-layer bandwidth"))
    assert search_regions.summary("gyroid sine 4x21", store.rows) == ""


@pytest.mark.usefixtures("small")
def test_the_grid_elsewhere_is_the_yardstick_by_the_same_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best mean of the best cells, less the answer's mean; a stored part is not made again."""
    monkeypatch.setattr(search_elsewhere_grid, "CELLS", 3)
    monkeypatch.setattr(search_elsewhere_grid, "BEST_CELLS", 2)
    setting = search_elsewhere_grid.Setting("gyroid", "sine", 4, 20)
    store = Store(tmp_path / "grid.json")
    monkeypatch.setattr(search_elsewhere_grid, "OURS", sized(OURS, 6))
    search_elsewhere_grid.measure(setting, 2, store)
    psnr, best = np.array(store.rows[f"{setting.key} grid"]["psnr"]), store.rows[f"{setting.key} best"]
    assert psnr.shape == (3, 3)
    assert [psnr[tuple(cell)] for cell in best["cells"]] == sorted(psnr.flat, reverse=True)[:2]
    row = search_elsewhere_grid.row_of(setting, 2, store)
    answers = [np.mean(store.rows[f"{setting.key} ours {seed}"]["true_db"]) for seed in range(2)]
    assert row["grid_db"] == pytest.approx(np.mean(best["true_db"], axis=1).max(), abs=1e-3)
    assert row["regret_db_worst"] == pytest.approx(row["grid_db"] - min(answers), abs=2e-3)
    assert row["seeds"] == 2
    once_more = store.rows[f"{setting.key} again"]["configs"]
    score = {tuple(one["params"].values()): np.mean(one["db"]) for one in once_more}
    assert all(len(one["db"]) == len(search_elsewhere_grid.OTHER_SEEDS) for one in once_more)
    answers = [score[tuple(store.rows[f"{setting.key} ours {seed}"]["params"].values())] for seed in range(2)]
    cell = search_elsewhere_grid.cell(*search_elsewhere_grid.leader(best))
    assert row["again_db_mean"] == pytest.approx(score[tuple(cell.values())] - np.mean(answers), abs=1e-3)

    def stored(*_: object) -> None:
        raise AssertionError("it is stored")

    for part in ("grid", "best_of", "searched", "scores"):
        monkeypatch.setattr(search_elsewhere_grid, part, stored)
    search_elsewhere_grid.measure(setting, 2, Store(tmp_path / "grid.json"))
    assert search_elsewhere_grid.row_of(search_elsewhere_grid.Setting("gyroid", "sine", 4, 40), 2, store) == {}


def test_a_dozen_trials_are_not_all_random() -> None:
    """TPE and GPSampler begin with ten random ones of 24, as Optuna has it, and with five of a dozen."""
    for strategy in STRATEGIES:
        assert (strategy.random_first, sized(strategy, 12).random_first) == (10, 5)
        assert sized(strategy, strategy.trials) is strategy
