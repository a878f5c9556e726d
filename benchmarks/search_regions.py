"""Where do good configs lie? ``python -m benchmarks.search_regions``: what the first guess was made from.

    python -m benchmarks.search_regions [--signals bach speakers spot volume ...] [--families gaussian sine]
                                        [--points 64] [--width 32] [--steps 250] [--stored]

Configs spread evenly (Sobol) over the default ranges of the search, and the start points, trained once each from the
same seed: 3 hidden layers, full-batch Adam at the family's rate. Told of each signal and family: the PSNR of the start
points and of the random ones (median, 90 %, best), and of the ten best random ones the median and the range from 10 to
90 % along each axis. Stored config by config in ``benchmarks/data/search/regions.json``; most of the random ones there
were drawn from the ranges that the rules before them had made.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from scipy.stats import qmc

from benchmarks.paper_store import Row, Store
from benchmarks.search_hub import Hub
from benchmarks.search_landscape import DATA, HIDDEN_LAYERS, TRUE_SEEDS
from benchmarks.search_trainings import Live
from benchmarks.signals_data import signal_of
from workers.plan import FamilyPlan, Network
from workers.search_space import SearchSpace

SIGNALS = ("bach", "speakers", "spot", "bunny", "volume")
BEST = 10


def measure(name: str, family: str, points: int, width: int, steps: int, store: Store) -> None:
    """Train what is missing of the start points and of the random ones."""
    signal = signal_of(name)
    space = SearchSpace.for_family(FamilyPlan(family), signal)
    axes = space.distributions()
    drawn = qmc.Sobol(len(axes), seed=1).random(points)
    spread = [
        {
            axis: float(ends.low * (ends.high / ends.low) ** at if ends.log else ends.low + at * (ends.high - ends.low))
            for at, (axis, ends) in zip(place, axes.items(), strict=True)
        }
        for place in drawn
    ]
    named = {f"start {number}": dict(params) for number, params in enumerate(space.start(signal))}
    named |= {f"{number}": params for number, params in enumerate(spread)}
    widths = Network(width, HIDDEN_LAYERS).widths(signal.coordinates.shape[1], signal.values.shape[1])
    hub = Hub(signal, family, widths, steps, max(1, steps // 20))
    live = Live(space, signal, hub.train, width)

    def job(key: str, params: dict[str, float]) -> None:
        psnr = live.start(params, TRUE_SEEDS[0]).end(steps).psnr
        rounded = {axis: float(f"{value:.4g}") for axis, value in params.items()}
        store.keep(key, {"psnr": round(psnr, 2), "params": rounded})

    missing = {f"{row_of(name, family, width, steps)} {which}": params for which, params in named.items()}
    hub.run([partial(job, key, params) for key, params in missing.items() if key not in store.rows])


def row_of(name: str, family: str, width: int, steps: int) -> str:
    """What the keys of a row begin with."""
    return f"{name} {family} {width}x{steps}"


def summary(row: str, rows: dict[str, Row]) -> str:
    """What is stored of a row, for people; empty where nothing is."""
    kept = {key.removeprefix(f"{row} "): value for key, value in rows.items() if key.startswith(f"{row} ")}
    if not kept:
        return ""
    starts = " ".join(f"{value['psnr']:.1f}" for which, value in kept.items() if which.startswith("start")) or "none"
    drawn = [value for which, value in kept.items() if not which.startswith("start")]
    scores = [value["psnr"] for value in drawn]
    median, high, best = np.quantile(scores, [0.5, 0.9, 1.0])
    lines = [f"{row}: start points {starts}; {len(scores)} random {median:.1f} (90 % {high:.1f}, best {best:.1f})"]
    leaders = sorted(drawn, key=lambda value: -value["psnr"])[:BEST]
    for axis in leaders[0]["params"]:
        low, middle, high = np.quantile([value["params"][axis] for value in leaders], [0.1, 0.5, 0.9])
        lines.append(f"    {axis:24s} {middle:.3g} ({low:.3g} to {high:.3g})")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_regions", description=__doc__.splitlines()[0])
    parser.add_argument("--signals", nargs="+", default=list(SIGNALS))
    parser.add_argument("--families", nargs="+", default=["gaussian", "sine"])
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--stored", action="store_true", help="train nothing")
    chosen = parser.parse_args()
    store = Store(DATA / "regions.json")
    for name in chosen.signals:
        for family in chosen.families:
            if not chosen.stored:
                measure(name, family, chosen.points, chosen.width, chosen.steps, store)
            told = summary(row_of(name, family, chosen.width, chosen.steps), store.rows)
            if told:
                print(told, flush=True)


if __name__ == "__main__":
    main()
