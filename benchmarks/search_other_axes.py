"""Should the axes that are searched only when asked for be searched always? ``python -m benchmarks.search_other_axes``.

The first guess (``vi3nr.guess``) on the pictures with a grid, in the setting of ``benchmarks.search``, with one thing
changed: biases in the hidden layers, another ``sigma_p`` of the output, or one that grows from layer to layer. PSNR in
dB at the full horizon, less that of the first guess as it is from the same seed; mean over two seeds. Every training is
stored in ``benchmarks/data/search/other_axes.json``.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np

from benchmarks.paper_store import Store
from benchmarks.search import GRID, picture
from benchmarks.search_hub import DEVICES, Hub
from benchmarks.search_landscape import DATA, STEPS, TRUE_SEEDS, hub_for
from benchmarks.search_trainings import Live
from workers.plan import BiasChoice, FamilyPlan
from workers.search_space import SearchSpace

SEEDS = TRUE_SEEDS[:2]


def changes(family: str) -> dict[str, FamilyPlan]:
    """What is tried, by name; the first is the guess as it is."""
    plan = partial(FamilyPlan, family)
    return {
        "as it is": plan(),
        "hidden bias share 0.15": plan(bias=BiasChoice("share", 0.15)),
        "hidden bias share 0.3": plan(bias=BiasChoice("share", 0.3)),
        "output scale 0.3": plan(output_scale=0.3),
        "output scale 3": plan(output_scale=3.0),
        "output scale 10": plan(output_scale=10.0),
        "sigma_p growth 0.7": plan(sigma_p_growth=0.7),
        "sigma_p growth 1.4": plan(sigma_p_growth=1.4),
    }


def measure(name: str, family: str, device: str, store: Store) -> dict[str, list[float]]:
    """PSNR by change, one for each seed."""
    signal = picture(name)
    hub: Hub = hub_for(signal, family, device)

    def job(key: str, plan: FamilyPlan, seed: int) -> None:
        space = SearchSpace.for_family(plan, signal)
        training = Live(space, signal, hub.train).start(space.start(signal)[0], seed)
        store.keep(key, {"psnr": round(training.end(STEPS).psnr, 2)})

    plans = changes(family)
    keys = {change: [f"{name} {family}, {change}, {seed}" for seed in SEEDS] for change in plans}
    hub.run([
        partial(job, key, plans[change], seed)
        for change, named in keys.items()
        for key, seed in zip(named, SEEDS, strict=True)
        if key not in store.rows
    ])  # fmt: skip
    return {change: [store.rows[key]["psnr"] for key in named] for change, named in keys.items()}


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_other_axes", description=__doc__)
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    chosen = parser.parse_args()
    store = Store(DATA / "other_axes.json")
    for family in ("gaussian", "sine"):
        found = {name: measure(name, family, chosen.device, store) for name in GRID}
        for change in list(changes(family))[1:]:
            gains = [np.mean(np.subtract(scores[change], scores["as it is"])) for scores in found.values()]
            told = "  ".join(f"{name} {gain:+.2f}" for name, gain in zip(found, gains, strict=True))
            print(f"{family:9} {change:24} {told}  mean {np.mean(gains):+.2f}", flush=True)


if __name__ == "__main__":
    main()
