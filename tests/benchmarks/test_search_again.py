"""Answers trained once more: the same configs from the same seeds, each once; regret from both trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from counted_hub import trained_seeds

from benchmarks import search_again
from benchmarks.paper_store import Row, Store
from benchmarks.search_landscape import TRUE_SEEDS, Landscape

CONFIG = {"sigma_a": 0.03, "sigma_p": 0.08}


def test_an_answer_is_trained_once_more_from_the_same_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored is not trained a third time; another answer of the same search is trained anew."""
    _, trained = trained_seeds(monkeypatch, search_again, "sine")
    found: dict[str, Row] = {f"noise sine plane ours {seed}": {"true_db": [1.0], "params": CONFIG} for seed in range(2)}
    store = Store(tmp_path / "again.json")
    search_again.again("noise", "sine", found, store, "cpu")
    assert sorted(trained) == sorted(2 * TRUE_SEEDS)
    one, other = store.rows.values()
    assert one == other
    search_again.again("noise", "sine", found, Store(tmp_path / "again.json"), "cpu")
    assert len(trained) == 2 * len(TRUE_SEEDS)
    found["noise sine plane ours 1"]["params"] = {"sigma_a": 0.02, "sigma_p": 0.08}
    assert search_again.trained_again(found, store) == ["noise sine plane ours 0"]
    search_again.again("noise", "sine", found, store, "cpu")
    assert len(trained) == 3 * len(TRUE_SEEDS)
    assert store.rows["noise sine plane ours 1"] != one


def test_regret_by_either_training_and_by_both(tmp_path: Path) -> None:
    """One answer was lucky first and unlucky then: the mean of both says less of luck than either."""
    best = Landscape("kodim05", "sine").best_true_score()
    found = {"lucky": {"true_db": [best + 1.0]}, "steady": {"true_db": [best - 0.25]}}
    store = Store(tmp_path / "again.json")
    store.keep("lucky", {"true_db": [best - 1.5, best - 0.5]})
    store.keep("steady", {"true_db": [best - 0.25]})
    line = search_again.line("kodim05", "sine", found, store)
    assert (line["first_worst"], line["again_worst"], line["both_worst"]) == (0.25, 1.0, 0.25)
    assert (line["first_mean"], line["again_mean"], line["both_mean"]) == (-0.375, 0.625, 0.125)
    assert line["apart_rms"] == pytest.approx(2.0**0.5, abs=1e-3)


def test_the_yardstick_is_the_luckiest_of_the_grids_cells(tmp_path: Path) -> None:
    """It is chosen by its first trainings, so the second ones say what it is worth."""
    cells = search_again.best_cells("kodim05", "sine")
    first = max(float(np.mean(row["true_db"])) for row in cells.values())
    assert first == pytest.approx(Landscape("kodim05", "sine").best_true_score())
    store = Store(tmp_path / "again.json")
    for place, (key, row) in enumerate(cells.items()):
        lucky = np.mean(row["true_db"]) == pytest.approx(first)
        store.keep(key, {"true_db": [first - 0.5 if lucky else first - 0.1 * (place + 1)], "params": row["params"]})
    told = search_again.yardstick(cells, store)
    assert told["grid_first"] == pytest.approx(first, abs=1e-3)
    assert told["grid_again"] == pytest.approx(first - 0.5, abs=1e-3)
    assert told["grid_again"] < told["grid_again_best"] < told["grid_first"]


def test_other_seeds_chose_neither_the_cell_nor_the_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grid's best cell and every answer from the five others; the regret is by these alone."""
    _, trained = trained_seeds(monkeypatch, search_again, "sine")
    monkeypatch.setattr(search_again, "DATA", tmp_path)
    found: dict[str, Row] = {"noise sine plane ours 0": {"true_db": [99.0], "params": CONFIG}}
    other = {"sigma_a": 0.02, "sigma_p": 0.05}
    cells: dict[str, Row] = {
        "good": {"true_db": [30.0], "params": other}, "lucky": {"true_db": [31.0], "params": CONFIG}
    }  # fmt: skip
    assert search_again.other_seeds("noise", "sine", found, cells, None) == []
    (row,) = search_again.other_seeds("noise", "sine", found, cells, "cpu")
    assert sorted(trained) == sorted(2 * search_again.OTHER_SEEDS)
    assert row["regret_db_mean"] == row["regret_db_worst"] == 0.0  # the same config, whatever chose it
    assert search_again.other_seeds("noise", "sine", found, cells, None) == [row]
    assert len(trained) == 2 * len(search_again.OTHER_SEEDS)
