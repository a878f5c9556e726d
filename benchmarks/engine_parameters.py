"""Whether any parameter value makes the CPU executor slow: every family over the corners of its search ranges.

    python -m benchmarks.engine_parameters [--json] [--families gaussian,sine] [--width 64] [--points 4096]

Slow arithmetic (underflow, denormals, huge angles) comes with certain parameter values only. Each family trains at the
ends and the geometric middle of sigma_a, rho and the first layer's bandwidth, and at the ends of the first layer's bias
share, all of them in turn within one run, each by the executor that the trainer takes for the family; the slowest is
compared with the family's median. The bar is 1.5. Denormals are flushed, as the trainer actors do. Times are the
thread's own, so that other work on the machine counts less.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import time

import numpy as np
import torch

from vi3nr.activations import activation, families, family_of
from vi3nr.config_parts import BiasRule
from vi3nr.ensemble.interface import Ensemble, Member, Recipe
from vi3nr.guess import default_ranges
from vi3nr.profile import vi3nr_config
from vi3nr.signals import Signal
from workers.pool import Group
from workers.trainer import executor_for

Place = tuple[float, float, float, float]  # sigma_a, rho, bandwidth, bias share
STEPS = 4
ROUNDS = 7
HIDDEN_LAYERS = 3


def three(bounds: tuple[float, float]) -> list[float]:
    """The ends and the geometric middle, each once."""
    low, high = bounds
    return sorted({low, math.sqrt(low * high), high})


def ensembles(family: str, signal: Signal, width: int) -> dict[Place, Ensemble]:
    """One seated ensemble for each place."""
    ranges = default_ranges(family, signal, {})
    scales = three(ranges.sigma_a) if family_of(family).has_scale else [1.0]
    widths = (2, *[width] * (HIDDEN_LAYERS + 1), 3)
    group, make, seated = Group("sweep", widths, family, Recipe(10**6)), executor_for("cpu"), {}
    for place in itertools.product(scales, three(ranges.rho), three(ranges.bandwidth), ranges.share_first):
        sigma_a, rho, bandwidth, share = place
        config = vi3nr_config(
            activation(family, sigma_a), widths, sigma_p=rho * sigma_a, bias_first=BiasRule("share", share),
            sigma_p_first=bandwidth * sigma_a / math.sqrt(1.0 - share),
        )  # fmt: skip
        ensemble = make(signal, group, 1)
        ensemble.admit(Member("sweep", config, 0, family_of(family).learning_rate, 10**6))
        ensemble.advance(1)
        seated[place] = ensemble
    return seated


def measure(family: str, signal: Signal, width: int) -> dict[str, object]:
    """One row: the median and the slowest time of a step, and where that was."""
    seated = ensembles(family, signal, width)
    times: dict[Place, list[float]] = {key: [] for key in seated}
    for _ in range(ROUNDS):
        for key, ensemble in seated.items():
            begin = time.thread_time()
            ensemble.advance(STEPS)
            times[key].append((time.thread_time() - begin) / STEPS)
    steps = {key: statistics.median(values) for key, values in times.items()}
    slowest = max(steps, key=lambda key: steps[key])
    middle = statistics.median(steps.values())
    return {
        "family": family,
        "values": len(steps),
        "median_ms": 1e3 * middle,
        "slowest_over_median": steps[slowest] / middle,
        "slowest_at": dict(zip(("sigma_a", "rho", "bandwidth", "share"), slowest, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--families", type=lambda text: text.split(","), default=None, help="or formulas")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--points", type=int, default=4096)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(-1, 1, (options.points, columns)).astype(np.float32) for columns in (2, 3))
    signal = Signal(x, y, "image", (options.points,))
    rows = []
    for family in options.families or families():
        row = measure(family, signal, options.width)
        rows.append(row)
        if not options.json:
            where = " ".join(f"{name} {value:.3g}" for name, value in row["slowest_at"].items())  # type: ignore[attr-defined]
            print(
                f"{family:<16}{row['values']:>4} values  median {row['median_ms']:>6.2f} ms  "
                f"slowest {row['slowest_over_median']:.2f} times that, at {where}",
                flush=True,
            )
    if options.json:
        print(json.dumps({"width": options.width, "points": options.points, "rows": rows}))


if __name__ == "__main__":
    main()
