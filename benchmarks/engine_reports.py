"""What the reports of a training cost on the CPU executor.

    python -m benchmarks.engine_reports [--json] [--quick] [--widths 32,64,128,256] [--points 1024,4096,16384]

The same member trains the same steps twice: in the turns that the scheduler makes, with a score over all points at the
end of each, and in one turn with one score. Both take turns, on one thread. ``report_fraction`` is the median over the
rounds of (with reports - without) / without, in CPU seconds of this thread. ``batch_size`` null is the full batch. A
training has 400 steps, fewer where they take long.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
import torch

from benchmarks.engine import HIDDEN_LAYERS, POINTS, RATE, SIGMA_A, WIDTHS, numbers
from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Member, Recipe
from vi3nr.signals import Signal
from workers.scheduler import fewest_steps, segment_length

BATCH = 1024  # of the minibatch rows
MOST, FEWEST = 400, 24  # steps of a training


def member_of(signal: Signal, width: int, family: str, recipe: Recipe) -> CpuEnsemble:
    """An executor with one member in its slot."""
    widths = (signal.coordinates.shape[1], *[width] * (HIDDEN_LAYERS + 1), signal.values.shape[1])
    ensemble = CpuEnsemble(signal, widths=widths, family=family, recipe=recipe, capacity=1)
    config = baseline_config("pytorch_default", activation(family, SIGMA_A.get(family, 1.0)), widths)
    ensemble.admit(Member("benchmark", config, 0, RATE, recipe.steps))
    return ensemble


def cpu_seconds(ensemble: CpuEnsemble, steps: int, segment: int) -> float:
    """Of this thread, for so many steps in turns of one segment."""
    begin = time.thread_time()
    for _ in range(steps // segment):
        ensemble.advance(segment)
    return time.thread_time() - begin


def measure(width: int, points: int, family: str, batch_size: int | None, budget: float, rounds: int) -> dict[str, Any]:
    """One row; ``budget``: seconds of a training."""
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(-1, 1, (points, columns)).astype(np.float32) for columns in (2, 3))
    signal = Signal(x, y, "image", (points,))
    recipe = Recipe(10**9, batch_size=batch_size)
    sides = [member_of(signal, width, family, recipe) for _ in range(2)]
    for side in sides:
        cpu_seconds(side, 2, 2)
    pace = cpu_seconds(sides[0], 8, 8) / 8
    horizon = min(MOST, max(FEWEST, int(budget / pace)))
    segment = segment_length(horizon, fewest_steps(points, batch_size))
    steps = -(-horizon // segment) * segment
    costs = []
    for number in range(rounds):
        order = (0, 1) if number % 2 else (1, 0)
        taken = {place: cpu_seconds(sides[place], steps, (segment, steps)[place]) for place in order}
        costs.append((taken[0] - taken[1]) / taken[1])
    return {
        "family": family, "width": width, "points": points, "batch_size": batch_size, "steps": steps,
        "reports": steps // segment, "report_fraction": statistics.median(costs),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--quick", action="store_true", help="width 32, 4096 points, short rounds")
    parser.add_argument("--widths", type=numbers, default=list(WIDTHS))
    parser.add_argument("--points", type=numbers, default=list(POINTS[:3]))
    parser.add_argument("--families", type=lambda text: text.split(","), default=["gaussian", "sine"])
    options = parser.parse_args()
    budget, rounds = 1.0, 5
    if options.quick:
        options.widths, options.points, budget, rounds = [32], [4096], 0.1, 3
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rows = []
    for width in options.widths:
        for points in options.points:
            for family in options.families:
                for batch_size in (None, BATCH) if points > BATCH else (None,):
                    row = measure(width, points, family, batch_size, budget, rounds)
                    rows.append(row)
                    if not options.json:
                        kind = "full batch" if batch_size is None else f"batch {batch_size}"
                        kind += f", {row['reports']} reports in {row['steps']} steps"
                        share = 100 * row["report_fraction"]
                        print(f"{width:>5}{points:>8}  {family:<9} {kind}: {share:+.1f} %", flush=True)
    worst = max(row["report_fraction"] for row in rows)
    if options.json:
        print(json.dumps({"worst": worst, "rows": rows}))
    else:
        print(f"the dearest: {100 * worst:+.1f} %")


if __name__ == "__main__":
    main()
