"""What the start points are worth by themselves: ``python -m benchmarks.search_starts [--seeds 1] [--device cuda]``.

The five points that a search of each family tries first (``vi3nr.guess``), on each photograph in the setting of
``benchmarks.search``, trained to the full horizon; PSNR in dB, mean over the seeds. The first one is what ``POST
/v1/init`` answers with a dataset. Stored point by point in ``benchmarks/data/search/starts.json`` under its numbers, so
that points of another version are trained anew.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np

from benchmarks.paper_store import Row, Store
from benchmarks.photographs import photographs
from benchmarks.search import picture
from benchmarks.search_ablation import searched
from benchmarks.search_hub import DEVICES, Hub
from benchmarks.search_landscape import DATA, STEPS, TRUE_SEEDS, hub_for
from benchmarks.search_trainings import Live

FAMILIES = ("gaussian", "sine")


def key_of(name: str, family: str, params: dict[str, float], seed: int) -> str:
    """A point's name in the store."""
    numbers = ", ".join(f"{axis} {value:.4g}" for axis, value in params.items())
    return f"{name} {family}: {numbers}; seed {seed}"


def measure(name: str, family: str, device: str, seeds: int, store: Store) -> list[float]:
    """The mean PSNR of each start point, in their order."""
    signal = picture(name)
    space, points = searched("full", family, signal)
    keys = [[key_of(name, family, dict(point), seed) for seed in TRUE_SEEDS[:seeds]] for point in points]
    hub: Hub = hub_for(signal, family, device)
    live = Live(space, signal, hub.train)

    def job(key: str, params: dict[str, float], seed: int) -> None:
        row: Row = {"psnr": round(live.start(params, seed).end(STEPS).psnr, 2)}
        store.keep(key, row)

    hub.run([
        partial(job, key, dict(point), seed)
        for point, named in zip(points, keys, strict=True)
        for key, seed in zip(named, TRUE_SEEDS, strict=False)
        if key not in store.rows
    ])  # fmt: skip
    return [float(np.mean([store.rows[key]["psnr"] for key in named])) for named in keys]


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_starts", description=__doc__)
    parser.add_argument("--seeds", type=int, choices=range(1, len(TRUE_SEEDS) + 1), default=1)
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    chosen = parser.parse_args()
    store = Store(DATA / "starts.json")
    for family in FAMILIES:
        for name in photographs():
            found = measure(name, family, chosen.device, chosen.seeds, store)
            print(f"{name:10} {family:9} " + "  ".join(f"{value:.2f}" for value in found), flush=True)


if __name__ == "__main__":
    main()
