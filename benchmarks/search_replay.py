"""Strategies and parts of our search on stored landscapes, replayed at their cells: seconds instead of hours.

    python -m benchmarks.search_replay [--seeds 10] [--ablation] [--json]

A proposal is answered with the stored learning curve of the nearest cell, plus 0.25 dB of noise from its cell and seed
and 0.08 dB along the curve; the finalists are confirmed in the same way. The ten best cells' curves are moved to end at
their true scores, the means of three seeds. The regret is in dB, the cost a share of the grid's, without confirmation.
Only complete landscapes under ``benchmarks/data/search/`` are used.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.photographs import photograph
from benchmarks.search_landscape import CELLS, DATA, SIDE, STEPS, Landscape
from benchmarks.search_landscape import SIGMA_P as GRID_SIGMA_P
from benchmarks.search_loop import OURS, STRATEGIES, Strategy, search
from benchmarks.search_trainings import Replay, plane_space
from workers.axes import SIGMA_P

__all__ = ["ABLATION", "complete_landscapes", "replayed"]

GRID_STEPS = CELLS * CELLS * STEPS
ABLATION = (
    OURS,
    replace(OURS, name="without the start points", start=False),
    replace(OURS, name="without pruning", prune=False),
    replace(OURS, name="TPE from the start points", sampler="tpe"),
    replace(OURS, name="random from the start points", sampler="random"),
    replace(OURS, name="horizon 0.2", horizon=0.2),
    replace(OURS, name="horizon 0.6", horizon=0.6),
    replace(OURS, name="full horizon", horizon=1.0),
    replace(OURS, name="one finalist, by its score at the horizon", finalists=1),
    replace(OURS, name="a dozen trials", trials=12),
)


def complete_landscapes() -> list[tuple[str, str]]:
    """Picture and family of every stored grid without gaps."""
    names = [tuple(file.stem.rsplit("-", 1)) for file in sorted(DATA.glob("*-*.json"))]
    return [(name, family) for name, family in names if not np.isnan(Landscape(name, family).finals()).any()]


def replayed(name: str, family: str, strategy: Strategy, seeds: range, off: float = 1.0) -> dict[str, Any]:
    """One line: mean and worst regret and mean cost. Strategies besides ours get what ours cost on the same seed.
    ``off`` is by how much the start points' sigma_p is wrong.
    """
    signal, replay = photograph(name, SIDE), Replay(Landscape(name, family))
    space = plane_space(family, signal)
    start = [{**point, SIGMA_P: min(off * point[SIGMA_P], float(GRID_SIGMA_P[-1]))} for point in space.start(signal)]
    regrets, costs, pruned = [], [], []
    for seed in seeds:

        def once(one: Strategy, most: float = float("inf"), seed: int = seed) -> Any:
            return search(
                one, family, space.distributions(), start, replay.start,
                steps=STEPS, seed=seed, most_steps=most, snap=replay.snap,
            )  # fmt: skip

        equal = strategy in STRATEGIES and strategy != OURS
        found = once(strategy, once(OURS).steps) if equal else once(strategy)
        regrets.append(replay.best - replay.truth(found.params))
        costs.append(found.steps / GRID_STEPS)
        pruned.append(found.pruned)
    return {
        "signal": name, "family": family, "strategy": strategy.name, "space": "plane, replayed",
        "regret_db_mean": round(float(np.mean(regrets)), 3), "regret_db_worst": round(max(regrets), 3),
        "cost_fraction": round(float(np.mean(costs)), 4), "pruned": float(np.mean(pruned)),
    }  # fmt: skip


def lines(strategies: tuple[Strategy, ...], seeds: range) -> Iterator[dict[str, Any]]:
    """A line for each landscape and strategy; GPSampler, which takes 30 times as long, gets three seeds."""
    for name, family in complete_landscapes():
        for strategy in strategies:
            yield replayed(name, family, strategy, seeds[:3] if strategy.sampler == "gp" else seeds)


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--ablation", action="store_true", help="parts of ours instead of other strategies")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = []
    for row in lines(ABLATION if chosen.ablation else STRATEGIES, range(chosen.seeds)):
        rows.append(row)
        if not chosen.json:
            regret = f"{row['regret_db_mean']:5.2f} (worst {row['regret_db_worst']:5.2f})"
            names = f"{row['signal']:9s} {row['family']:9s} {row['strategy']:44s}"
            print(f"{names} {regret}  cost {row['cost_fraction']:.4f}  pruned {row['pruned']:.1f}", flush=True)
    if chosen.json:
        print(json.dumps({"rows": rows}, indent=2))


if __name__ == "__main__":
    main()
