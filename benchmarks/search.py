"""Does the search beat the usual initialisations, the dense grid, and other strategies?

    python -m benchmarks.search [--part defaults plane strategies ablation] [--signals ...] [--families gaussian sine]
                                [--seeds 10] [--trials 24] [--stored] [--quick] [--json] [--device cpu|cuda]
                                [--store searches]

Setting: photographs at 128x128 RGB (the middle square, Lanczos), width 64, 3 hidden layers, 400 full-batch Adam steps,
Gaussian at learning rate 1e-3, sine at 5e-4.

``defaults``: real studies (24 trials to 40 % of the steps, 3 finalists, 5 seeds) against the usual initialisations;
``confirm_fraction`` is what the confirmation costs, as a share of the grid's steps.
``plane``: our search on the grid's own plane and rules, and on the full space, for ten search seeds; the regret is the
true score of the grid's best (``benchmarks.search_landscape``, with ``--true-scores``) minus that of the config found,
each the mean of three fixed seeds. The answer is what the service's confirmation says: two fresh seeds for each
finalist, five for whoever leads; ``confirm_fraction`` is what they cost. ``strategies``: Optuna's samplers, each as
many member steps as ours on that seed. ``--trials`` gives ours, and so the others, another number of trials in both.
``ablation``: ours in the full space without one of its parts (``benchmarks.search_ablation``), from at most three
seeds: how much less its config comes to than that of the whole search from the same seed. It is stored apart, with the
whole searches that it is measured against.

Every cell is stored under ``benchmarks/data/search/`` when it is done: a run that was stopped goes on where it was.
``--store`` keeps plane and strategies in another file there. In ``searches.json`` ours on the plane is the present
search, on a CPU, and so are GPSampler on kodim23 with the Gaussian and random search in the full space (but its first
seed); the rest was made on one GPU while a score was the last step's, and what these came to there is in ``card.json``.
``--stored`` trains nothing and shows what is there.
``--quick`` is a small study that stores nothing.
Photographs come from ../shared/data/images where that folder is, else from scikit-image.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks.paper_store import Row, Store
from benchmarks.photographs import photograph, photographs
from benchmarks.search_ablation import VARIANTS, searched
from benchmarks.search_defaults import defaults_row, quick_row
from benchmarks.search_hub import DEVICES, Hub
from benchmarks.search_landscape import CELLS, DATA, SIDE, STEPS, Landscape, hub_for
from benchmarks.search_loop import OURS, STRATEGIES, Strategy, own_seed, search, sized
from benchmarks.search_trainings import Live, found_row, plane_space
from vi3nr.signals import Signal

GRID = ("kodim05", "kodim20", "kodim23")  # pictures with a stored grid
GRID_STEPS = CELLS * CELLS * STEPS
DEFAULTS = ("signal", "family", "gain_db", "ci_low", "ci_high", "trials", "cost_trials", "confirm_fraction")
PARTS = ("defaults", "plane", "strategies", "ablation")
ABLATION_SEEDS = 3


@dataclass(frozen=True)
class Search:
    """One cell: a strategy on a picture, in a space, from a seed."""

    signal: str
    family: str
    strategy: Strategy
    space: str  # plane or full; absolute or constant in the ablation
    seed: int
    part: str = ""  # what the ablation leaves out

    @property
    def key(self) -> str:
        """The cell's name in the store."""
        return f"{self.signal} {self.family} {self.space} {self.part or self.strategy.name} {self.seed}"


@cache
def picture(name: str) -> Signal:
    """A photograph in the setting of this benchmark."""
    return photograph(name, SIDE)


def measure(cell: Search, most_steps: float, hub: Hub) -> Row:
    """Search live, then train what was found from the three fixed seeds; within a job of the hub."""
    signal = picture(cell.signal)
    if cell.space == "plane":
        space = plane_space(cell.family, signal)
        start = space.start(signal)
    else:
        space, start = searched(cell.space, cell.family, signal)
    live = Live(space, signal, hub.train)
    found = search(
        cell.strategy, cell.family, space.distributions(), start, live.start,
        steps=STEPS, seed=own_seed(cell.signal, cell.family, cell.seed), most_steps=most_steps,
    )  # fmt: skip
    return found_row(found, live, STEPS)


def searches(
    parts: Sequence[str], signals: Sequence[str], families: Sequence[str], seeds: int, trials: int = OURS.trials
) -> Iterator[Search]:
    """The cells that are asked for: ours before the others, which get what it cost."""
    strategies = [sized(one, trials) for one in STRATEGIES if ("plane" if one == OURS else "strategies") in parts]
    for family in families:
        for name in signals:
            for seed in range(seeds):
                for space in ("plane", "full"):
                    for strategy in strategies:
                        yield Search(name, family, strategy, space, seed)


def ablations(signals: Sequence[str], families: Sequence[str], seeds: int) -> list[Search]:
    """The cells of the ablation, the whole search's own among them."""
    cells = []
    for seed in range(min(seeds, ABLATION_SEEDS)):
        for variant in VARIANTS:
            part = "" if variant.strategy == OURS and variant.space == "full" else variant.name
            cells += [
                Search(name, family, variant.strategy, variant.space, seed, part)
                for family in families for name in signals
            ]  # fmt: skip
    return cells


def train(cells: Sequence[Search], store: Store, device: str) -> None:
    """Search where results are missing: ours first, for the other strategies get what it cost."""
    missing: dict[tuple[str, str], list[Search]] = {}
    for cell in cells:
        for needed in [cell] if cell.part else [ours_beside(cell), cell]:
            group = missing.setdefault((needed.signal, needed.family), [])
            if needed.key not in store.rows and needed not in group:
                group.append(needed)

    def job(cell: Search, hub: Hub, *, free: bool) -> None:
        budget = float("inf") if free else store.rows[ours_beside(cell).key]["steps"]
        row = measure(cell, budget, hub)
        store.keep(cell.key, row)
        told = f"# {cell.key}: {np.mean(row['true_db']):.2f} dB, {row['steps'] / GRID_STEPS:.4f}"
        print(told, file=sys.stderr, flush=True)

    for (name, family), group in missing.items():
        hub = hub_for(picture(name), family, device)
        for free in (True, False):
            stage = [cell for cell in group if free == (cell == ours_beside(cell) or bool(cell.part))]
            hub.run([partial(job, cell, hub, free=free) for cell in stage])


def ours_beside(cell: Search) -> Search:
    """Our whole search on the same picture, in the same space, from the same seed, with as many trials."""
    return replace(cell, strategy=sized(OURS, cell.strategy.trials), part="")


def regret_rows(cells: Sequence[Search], rows: dict[str, Row]) -> list[dict[str, Any]]:
    """A line for each strategy and space, over the seeds that are there; pictures without true scores are left out."""
    lines: dict[tuple[str, str, str, str], list[Row]] = {}
    for cell in cells:
        if cell.key in rows:
            group = (cell.signal, cell.family, cell.strategy.name, cell.space)
            lines.setdefault(group, []).append(rows[cell.key])
    made = []
    for (name, family, strategy, space), found in lines.items():
        try:
            best = Landscape(name, family).best_true_score()
        except KeyError:
            continue
        regrets = [best - float(np.mean(row["true_db"])) for row in found]
        made.append({
            "signal": name, "family": family, "strategy": strategy, "space": space,
            "regret_db_mean": round(float(np.mean(regrets)), 3), "regret_db_worst": round(max(regrets), 3),
            "cost_fraction": round(float(np.mean([row["steps"] for row in found])) / GRID_STEPS, 4),
            "confirm_fraction": round(float(np.mean([row["confirm_steps"] for row in found])) / GRID_STEPS, 4),
            "seeds": len(found),
        })  # fmt: skip
    return made


def ablation_rows(cells: Sequence[Search], rows: dict[str, Row]) -> list[dict[str, Any]]:
    """A line for each part: what is lost without it, over the seeds that both are there for."""
    lines: dict[tuple[str, str, str], list[tuple[float, int]]] = {}
    for cell in cells:
        ours = Search(cell.signal, cell.family, OURS, "full", cell.seed)
        if cell.part and cell.key in rows and ours.key in rows:
            loss = float(np.mean(rows[ours.key]["true_db"]) - np.mean(rows[cell.key]["true_db"]))
            lines.setdefault((cell.signal, cell.family, cell.part), []).append((loss, rows[cell.key]["steps"]))
    return [
        {
            "signal": name, "family": family, "without": part, "seeds": len(found),
            "loss_db_mean": round(float(np.mean([loss for loss, _ in found])), 3),
            "loss_db_worst": round(max(loss for loss, _ in found), 3),
            "cost_fraction": round(float(np.mean([steps for _, steps in found])) / GRID_STEPS, 4),
        }
        for (name, family, part), found in lines.items()
    ]  # fmt: skip


def default_rows(signals: Sequence[str], families: Sequence[str], *, stored: bool, device: str) -> list[Row]:
    """A real study for each picture and family."""
    store = Store(DATA / "defaults.json")
    rows = []
    for family in families:
        for name in signals:
            key = f"{name} {family}"
            if key in store.rows or not stored:
                rows.append(store.cell(key, defaults_row, name, family, picture(name), device))
                print(f"# {key}: {rows[-1]['gain_db']:+.2f} dB", file=sys.stderr, flush=True)
    return rows


def show(answer: dict[str, list[dict[str, Any]]]) -> None:
    """Tables for people."""
    for row in answer["defaults"]:
        gain = f"{row['gain_db']:+5.2f} dB ({row['ci_low']:+.2f} to {row['ci_high']:+.2f})"
        cost = f"{row['trials']} trials at the cost of {row['cost_trials']:.1f}"
        confirmed = f"confirmation {row['confirm_fraction']:.2f} of the grid"
        print(f"{row['signal']:10s} {row['family']:9s} gain {gain}, {cost}, {confirmed}")
    for row in answer["rows"]:
        regret = f"regret {row['regret_db_mean']:+5.2f} dB, worst {row['regret_db_worst']:+5.2f}"
        names = f"{row['signal']:10s} {row['family']:9s} {row['space']:6s} {row['strategy']:7s}"
        cost = f"cost {row['cost_fraction']:.4f}, confirmation {row['confirm_fraction']:.4f}"
        print(f"{names} {regret}, {row['seeds']} seeds, {cost}")
    for row in answer["ablation"]:
        loss = f"loses {row['loss_db_mean']:+5.2f} dB, at worst {row['loss_db_worst']:+5.2f}, of {row['seeds']} seeds"
        print(f"{row['signal']:10s} {row['family']:9s} {row['without']:28s} {loss}, cost {row['cost_fraction']:.4f}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--signals", nargs="+", help="default: all for defaults, those with a grid for the other parts")
    parser.add_argument("--families", nargs="+", default=["gaussian", "sine"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=OURS.trials, help="of our search, for plane and strategies")
    parser.add_argument("--store", default="searches", help="name of the file that keeps plane and strategies")
    parser.add_argument("--stored", action="store_true", help="train nothing")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="what trains")
    chosen = parser.parse_args()
    if chosen.quick:
        answer = {"defaults": [quick_row(family) for family in chosen.families], "rows": [], "ablation": []}
    else:
        asked = (chosen.part, chosen.signals or GRID, chosen.families, chosen.seeds, chosen.trials)
        defaults, cells = [], list(searches(*asked))
        if "defaults" in chosen.part:
            defaults = default_rows(
                chosen.signals or photographs(), chosen.families, stored=chosen.stored, device=chosen.device
            )
        parts = []
        if "ablation" in chosen.part:
            parts = ablations(chosen.signals or GRID, chosen.families, chosen.seeds)
        store, apart = Store(DATA / f"{chosen.store}.json"), Store(DATA / "ablation.json")
        if not chosen.stored:
            train(cells, store, chosen.device)
            train(parts, apart, chosen.device)
        answer = {
            "defaults": defaults, "rows": regret_rows(cells, store.rows), "ablation": ablation_rows(parts, apart.rows)
        }  # fmt: skip
    for row in answer["defaults"]:
        row["confirm_fraction"] = round(row["confirm_trials"] * STEPS / GRID_STEPS, 4)
    answer["defaults"] = [{name: row[name] for name in DEFAULTS} for row in answer["defaults"]]
    if chosen.json:
        print(json.dumps(answer, indent=2))
    else:
        show(answer)


if __name__ == "__main__":
    main()
