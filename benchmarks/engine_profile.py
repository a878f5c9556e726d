"""Where a training step of the CPU executor spends its time, by torch.profiler.

    python -m benchmarks.engine_profile [--json] [--family gaussian] [--width 64] [--points 4096] [--steps 200]

The compiled loops are no operators of torch; they are marked by hand. A product counts as hidden where it is width by
width, and as thin where the coordinates or the values are one of its sides. What is left is everything else: small
operators, their dispatch, Python, and the profiler itself.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.ensemble.cpu import CpuEnsemble, one_thread
from vi3nr.ensemble.interface import Member, Recipe
from vi3nr.signals import Signal

SIGMA_A = {"gaussian": 0.05, "sine": 1.0 / 30.0}
PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_")
LOOPS = ("activation and slope", "gradient times slope, bias sums", "Adam")
HIDDEN_LAYERS = 3


def marked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function under a name that the profiler shows."""

    def call(*arguments: Any) -> Any:
        with record_function(name):
            return function(*arguments)

    return call


def stepper(family: str, width: int, points: int) -> Callable[[int], None]:
    """Some steps of one seated member, without the report that ends a segment."""
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(-1, 1, (points, columns)).astype(np.float32) for columns in (2, 3))
    widths = (2, *[width] * (HIDDEN_LAYERS + 1), 3)
    signal = Signal(x, y, "image", (points,))
    ensemble = CpuEnsemble(signal, widths=widths, family=family, recipe=Recipe(10**9), capacity=1)
    config = baseline_config("pytorch_default", activation(family, SIGMA_A.get(family, 1.0)), widths)
    ensemble.admit(Member("profile", config, 0, 1e-4, 10**9))
    trainee = next(iter(ensemble._slots.taken)).trainee
    network = trainee.trainer.network
    trainee.kernel.forward = marked(LOOPS[0], trainee.kernel.forward)  # type: ignore[method-assign]
    network._backward = marked(LOOPS[1], network._backward)
    trainee.adam._update = marked(LOOPS[2], trainee.adam._update)

    def steps(count: int) -> None:
        with one_thread(), torch.no_grad():
            for step in range(count):
                trainee.trainer.step(trainee, step)

    return steps


def shares(family: str, width: int, points: int, steps: int) -> dict[str, float]:
    """The share of the wall time of a step that each kind of work takes."""
    run = stepper(family, width, points)
    run(5)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        begin = time.perf_counter()
        run(steps)
        total = 1e6 * (time.perf_counter() - begin)
    spent: Counter[str] = Counter()
    for event in recorded.key_averages(group_by_input_shape=True):
        if event.key in LOOPS:
            spent[event.key] += event.self_cpu_time_total
        elif event.key in PRODUCTS:
            sides = [side for shape in event.input_shapes for side in shape]
            spent["products, hidden" if min(sides, default=0) >= width else "products, thin"] += (
                event.self_cpu_time_total
            )
    named = {name: value / total for name, value in spent.most_common()}
    return {**named, "all else": 1.0 - sum(named.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--family", default="gaussian")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    found = shares(options.family, options.width, options.points, options.steps)
    if options.json:
        print(json.dumps({"family": options.family, "width": options.width, "points": options.points, "shares": found}))
        return
    for name, share in found.items():
        print(f"{name:<34}{100 * share:>6.1f} %")


if __name__ == "__main__":
    main()
