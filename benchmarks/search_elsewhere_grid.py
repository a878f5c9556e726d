"""The dense grid on other signals: ``python -m benchmarks.search_elsewhere_grid``, as ``benchmarks.search`` does on
photographs.

    python -m benchmarks.search_elsewhere_grid [--signals ...] [--families gaussian sine] [--seeds 10] [--width 32]
                                               [--steps 250] [--stored] [--json]

For each signal and family the 12x12 grid over sigma_a and sigma_p, one sigma_p for all layers and zero bias, one
training a cell; three fixed seeds for its ten best cells, the best mean of which is the yardstick; and our search on
the same plane from ten seeds. ``regret_db``: how far below the yardstick the answer lies, by the same fixed seeds. The
yardstick is the luckiest of ten means of three, so its cell and the answers are trained from five other seeds too:
``again_db`` is how far the answers lie below it then. 3 hidden layers, full-batch Adam at the family's rate.

Every part is stored in ``benchmarks/data/search/elsewhere_grid.json`` when it is done. Signals whose file
(../shared/data) is not at hand are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.paper_store import Row, Store
from benchmarks.search_hub import Hub
from benchmarks.search_landscape import (
    BEST_CELLS,
    CELLS,
    DATA,
    GRID_SEED,
    HIDDEN_LAYERS,
    OTHER_SEEDS,
    SIGMA_A,
    SIGMA_P,
    TRUE_SEEDS,
    best_places,
)
from benchmarks.search_loop import OURS, own_seed, search
from benchmarks.search_trainings import Live, found_row, plane_space
from benchmarks.signals_data import MESHES, at_hand, signal_of
from workers.plan import Network

PICTURES = ("rocket", "retina")
SIGNALS = (*PICTURES, "bach", "bach, later", "speakers", "speakers, later", *MESHES, "volume", "gyroid")
TURNS = 50  # of the trainings: moments at which one may begin or end


@dataclass(frozen=True)
class Setting:
    """A row: what is trained on what."""

    signal: str
    family: str
    width: int
    steps: int

    @property
    def key(self) -> str:
        """What the names of its parts begin with."""
        return f"{self.signal} {self.family} {self.width}x{self.steps}"

    def trainer(self) -> tuple[Hub, Live]:
        """What trains, and the plane's configs for it."""
        signal = signal_of(self.signal)
        widths = Network(self.width, HIDDEN_LAYERS).widths(signal.coordinates.shape[1], signal.values.shape[1])
        hub = Hub(signal, self.family, widths, self.steps, max(1, self.steps // TURNS))
        return hub, Live(plane_space(self.family, signal), signal, hub.train, self.width)


def scores(setting: Setting, configs: list[dict[str, float]], seed: int) -> list[float]:
    """PSNR of configs on the plane from a seed."""
    hub, live = setting.trainer()
    jobs = [
        partial(lambda params: round(live.start(params, seed).end(setting.steps).psnr, 2), params) for params in configs
    ]
    return hub.run(jobs)


def cell(row: int, column: int) -> dict[str, float]:
    """A cell's own numbers."""
    return {"sigma_a": float(SIGMA_A[row]), "sigma_p": float(SIGMA_P[column])}


def grid(setting: Setting) -> Row:
    """All cells from the grid's seed, a list for each sigma_a."""
    cells = [cell(row, column) for row in range(CELLS) for column in range(CELLS)]
    return {"psnr": np.reshape(scores(setting, cells, GRID_SEED), (CELLS, CELLS)).tolist()}


def best_of(setting: Setting, psnr: list[list[float]]) -> Row:
    """The best cells, best first, from the fixed seeds."""
    cells = best_places(np.array(psnr), BEST_CELLS)
    configs = [cell(*one) for one in cells]
    drawn = np.transpose([scores(setting, configs, seed) for seed in TRUE_SEEDS])
    return {"cells": cells, "true_db": drawn.tolist()}


def searched(setting: Setting, seed: int) -> Row:
    """Our search on the plane."""
    hub, live = setting.trainer()
    signal = signal_of(setting.signal)
    space = plane_space(setting.family, signal)

    def job() -> Row:
        found = search(
            OURS, setting.family, space.distributions(), space.start(signal), live.start,
            steps=setting.steps, seed=own_seed(setting.signal, setting.family, seed),
        )  # fmt: skip
        return found_row(found, live, setting.steps)

    (row,) = hub.run([job])
    return row


def again(setting: Setting, configs: list[dict[str, float]], known: list[Row]) -> list[Row]:
    """The configs from the other seeds, each once; what is known is not trained again."""
    trained = [one["params"] for one in known]
    new = [params for place, params in enumerate(configs) if params not in trained + configs[:place]]
    drawn = np.transpose([scores(setting, new, seed) for seed in OTHER_SEEDS]).tolist() if new else []
    return known + [{"params": params, "db": score} for params, score in zip(new, drawn, strict=True)]


def leader(best: Row) -> tuple[int, int]:
    """The yardstick's cell."""
    row, column = best["cells"][int(np.argmax(np.mean(best["true_db"], axis=1)))]
    return row, column


def measure(setting: Setting, seeds: int, store: Store) -> None:
    """What is missing of a row."""
    psnr = store.cell(f"{setting.key} grid", grid, setting)["psnr"]
    best = store.cell(f"{setting.key} best", best_of, setting, psnr)
    found = [store.cell(f"{setting.key} ours {seed}", searched, setting, seed) for seed in range(seeds)]
    known = store.rows.get(f"{setting.key} again", {"configs": []})["configs"]
    configs = again(setting, [cell(*leader(best)), *(one["params"] for one in found)], known)
    if configs != known:
        store.keep(f"{setting.key} again", {"configs": configs})
    print(f"# {line_of(row_of(setting, seeds, store))}", file=sys.stderr, flush=True)


def row_of(setting: Setting, seeds: int, store: Store) -> dict[str, Any]:
    """What came of a row; empty where it is not whole."""
    parts = [f"{setting.key} {part}" for part in ("best", "again", *(f"ours {seed}" for seed in range(seeds)))]
    if any(part not in store.rows for part in parts):
        return {}
    best, once_more, *found = (store.rows[part] for part in parts)
    row, column = leader(best)
    means = np.mean(best["true_db"], axis=1)
    regrets = means.max() - np.mean([one["true_db"] for one in found], axis=1)
    later = {json.dumps(one["params"]): float(np.mean(one["db"])) for one in once_more["configs"]}
    apart = later[json.dumps(cell(row, column))] - np.array([later[json.dumps(one["params"])] for one in found])
    return {
        "signal": setting.signal, "family": setting.family, "width": setting.width, "steps": setting.steps,
        "grid_db": round(float(means.max()), 3), "grid_sigma_a": float(f"{SIGMA_A[row]:.4g}"),
        "noise_db": round(float(np.sqrt(np.var(best["true_db"], axis=1, ddof=1).mean())), 2),
        "grid_sigma_p": float(f"{SIGMA_P[column]:.4g}"),
        "regret_db_mean": round(float(regrets.mean()), 3), "regret_db_worst": round(float(regrets.max()), 3),
        "again_db_mean": round(float(apart.mean()), 3), "again_db_worst": round(float(apart.max()), 3),
        "cost_fraction": round(float(np.mean([one["steps"] for one in found])) / (CELLS**2 * setting.steps), 4),
        "seeds": seeds,
    }  # fmt: skip


def line_of(row: dict[str, Any]) -> str:
    """For people."""
    at = f"sigma_a {row['grid_sigma_a']:.3f}, sigma_p {row['grid_sigma_p']:.3f}"
    regret = f"regret {row['regret_db_mean']:+5.2f} dB, worst {row['regret_db_worst']:+5.2f}, {row['seeds']} seeds"
    regret += f", again {row['again_db_mean']:+5.2f}, worst {row['again_db_worst']:+5.2f}"
    name = f"{row['signal']:20s} {row['family']:9s}"
    return f"{name} grid {row['grid_db']:6.2f} dB ({at})  {regret}, cost {row['cost_fraction']:.4f}"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=[name for name in SIGNALS if at_hand(name)])
    parser.add_argument("--families", nargs="+", default=["gaussian", "sine"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--stored", action="store_true", help="train nothing")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    store = Store(DATA / "elsewhere_grid.json")
    rows = []
    for family in chosen.families:
        for name in chosen.signals:
            setting = Setting(name, family, chosen.width, chosen.steps)
            if not chosen.stored:
                measure(setting, chosen.seeds, store)
            if row := row_of(setting, chosen.seeds, store):
                rows.append(row)
    print(json.dumps({"rows": rows}, indent=2) if chosen.json else "\n".join(map(line_of, rows)))


if __name__ == "__main__":
    main()
