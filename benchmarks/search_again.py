"""How well is known what a search came to? ``python -m benchmarks.search_again [--device cpu|cuda] [--stored]
[--other-seeds]``.

Every answer that ours found on the plane on a GPU (``card.json``), and every one of the grid's best cells, is trained
once more from the same three fixed seeds. On another device, or with another version of a library, sums are
taken in another order, and what is stored of a config has five digits; in a few hundred steps of Adam that grows into
another training. So the difference between the two says what a true score is worth, and their mean is known better than
either. The grid's best is the luckiest of ten: ``grid_first`` is its score, ``grid_again`` what the same cell comes to
the second time, ``grid_again_best`` the best of the ten then. Stored config by config in
``benchmarks/data/search/again.json``.

``--other-seeds``: the grid's best cell and the present search's answers (``benchmarks.search --part plane``) from five
other seeds instead, which chose neither; in ``other_seeds.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.paper_store import Row, Store
from benchmarks.search import GRID, picture, searches
from benchmarks.search_hub import DEVICES
from benchmarks.search_landscape import DATA, OTHER_SEEDS, SIGMA_A, SIGMA_P, STEPS, TRUE_SEEDS, Landscape, hub_for
from benchmarks.search_trainings import Live, as_row, plane_space

SEEDS = 10


def again(
    name: str, family: str, found: dict[str, Row], store: Store, device: str, seeds: Sequence[int] = TRUE_SEEDS
) -> None:
    """Train the configs ``found``, by their keys, that the store lacks; a search's new answer is another config."""
    signal = picture(name)
    hub = hub_for(signal, family, device)
    live = Live(plane_space(family, signal), signal, hub.train)

    def job(key: str) -> None:
        params = found[key]["params"]
        ends = [live.start(params, seed).end(STEPS) for seed in seeds]
        store.keep(key, {**as_row(ends), "params": params})

    hub.run([partial(job, key) for key in found if key not in trained_again(found, store)])


def trained_again(found: dict[str, Row], store: Store) -> list[str]:
    """The keys whose very config is stored."""
    return [key for key in found if store.rows.get(key, {}).get("params") == found[key]["params"]]


def line(name: str, family: str, found: dict[str, Row], store: Store) -> dict[str, Any]:
    """Regret by the first trainings, by the second ones, and by the mean of both; and how far they lie apart."""
    best = Landscape(name, family).best_true_score()
    first = np.array([np.mean(found[key]["true_db"]) for key in found])
    second = np.array([np.mean(store.rows[key]["true_db"]) for key in found])
    row: dict[str, Any] = {"signal": name, "family": family}
    for what, scores in (("first", first), ("again", second), ("both", (first + second) / 2)):
        row |= {f"{what}_mean": round(float(np.mean(best - scores)), 3)}
        row |= {f"{what}_worst": round(float(np.max(best - scores)), 3)}
    return row | {"apart_rms": round(float(np.sqrt(np.mean((first - second) ** 2))), 3)}


def best_cells(name: str, family: str) -> dict[str, Row]:
    """The grid's, as if they had been found."""
    grid = Landscape(name, family)
    return {
        f"{name} {family} plane cell {row},{column}": {
            "true_db": [grid.curve(row, column, seed)[-1] for seed in TRUE_SEEDS],
            "params": {"sigma_a": float(SIGMA_A[row]), "sigma_p": float(SIGMA_P[column])},
        }
        for row, column in grid.best_cells()
    }


def leader(cells: dict[str, Row]) -> str:
    """The grid's best, by the fixed seeds."""
    return max(cells, key=lambda key: float(np.mean(cells[key]["true_db"])))


def from_other_seeds(name: str, family: str, cell: str, found: dict[str, Row], store: Store) -> dict[str, Any]:
    """How far the answers lie below the grid's best by seeds that chose neither, by the PSNR of the last step and by
    the smoothed one; ``noise_db`` is the std between seeds of one config.
    """
    row: dict[str, Any] = {"signal": name, "family": family, "seeds": len(found)}
    for what, prefix in (("true_db", ""), ("smoothed_db", "smoothed_")):
        grid = np.array(store.rows[cell][what])
        ours = np.array([store.rows[key][what] for key in found])  # (answer, seed)
        regrets = grid.mean() - ours.mean(1)
        noise = np.sqrt(np.vstack([grid, ours]).var(1, ddof=1).mean())
        row |= {
            f"{prefix}grid_db": round(float(grid.mean()), 3),
            f"{prefix}regret_db_mean": round(float(regrets.mean()), 3),
            f"{prefix}regret_db_worst": round(float(regrets.max()), 3),
            f"{prefix}noise_db": round(float(noise), 3),
        }
    return row


def yardstick(cells: dict[str, Row], store: Store) -> dict[str, float]:
    """The grid's best by its first trainings, what that cell comes to again, and the best of the cells then."""
    first = {key: float(np.mean(row["true_db"])) for key, row in cells.items()}
    second = {key: float(np.mean(store.rows[key]["true_db"])) for key in cells}
    best = leader(cells)
    scores = {"grid_first": first[best], "grid_again": second[best], "grid_again_best": max(second.values())}
    return {what: round(score, 3) for what, score in scores.items()}


def same_seeds(
    name: str, family: str, found: dict[str, Row], cells: dict[str, Row], device: str | None
) -> list[dict[str, Any]]:
    """The row of a picture and family, if it is there; without a device nothing is trained."""
    store = Store(DATA / "again.json")
    if device:
        again(name, family, cells | found, store, device)
    done = trained_again(found, store)
    if not done:
        return []
    row = line(name, family, {key: found[key] for key in done}, store)
    return [row | yardstick(cells, store) if len(trained_again(cells, store)) == len(cells) else row]


def other_seeds(
    name: str, family: str, found: dict[str, Row], cells: dict[str, Row], device: str | None
) -> list[dict[str, Any]]:
    """The same from five other seeds."""
    store, best = Store(DATA / "other_seeds.json"), leader(cells)
    wanted = {best: cells[best]} | found
    if device:
        again(name, family, wanted, store, device, OTHER_SEEDS)
    whole = found and len(trained_again(wanted, store)) == len(wanted)
    return [from_other_seeds(name, family, best, found, store)] if whole else []


def main() -> None:
    """Train what is missing and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", nargs="+", choices=GRID, default=list(GRID))
    parser.add_argument("--families", nargs="+", default=["gaussian", "sine"])
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--other-seeds", action="store_true", help="five others instead of the three fixed ones")
    parser.add_argument("--stored", action="store_true", help="train nothing")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    searched = Store(DATA / ("searches.json" if chosen.other_seeds else "card.json"))
    rows = []
    for family in chosen.families:
        for name in chosen.signals:
            keys = [cell.key for cell in searches(["plane"], [name], [family], SEEDS) if cell.space == "plane"]
            found = {key: searched.rows[key] for key in keys if key in searched.rows}
            cells = best_cells(name, family)
            told = other_seeds if chosen.other_seeds else same_seeds
            rows += told(name, family, found, cells, None if chosen.stored else chosen.device)
    if chosen.json:
        print(json.dumps({"rows": rows}, indent=2))
    else:
        for row in rows:
            print("  ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
