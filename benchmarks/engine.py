"""How fast the CPU executor trains, against a plain PyTorch loop and against the machine's matrix product.

    python -m benchmarks.engine [--json] [--quick] [--widths 64,128] [--points 4096,16384] [--families gaussian,sine]

The loop is what people write: nn.Sequential, autograd, torch.optim.Adam, one trial after the other. Both run on one
thread and take turns within the same run, so that a busy machine slows both; the medians are compared. The fraction of
peak counts the multiplications and additions of the matrix products only (forward, weight gradient, input gradient).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Member, Recipe
from vi3nr.signals import Signal

WIDTHS = (32, 64, 128, 256)
POINTS = (1024, 4096, 16384, 65536)
FAMILIES = ("gaussian", "sine", "tanh", "relu")
SIGMA_A = {"gaussian": 0.05, "sine": 1.0 / 30.0}
RATE = 1e-4
HIDDEN_LAYERS = 3  # Linear(width, width); 2 inputs, 3 outputs: an RGB image


class Lambda(nn.Module):
    """An activation as people write it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """The function, elementwise."""
        return self.function(x)


def plain_activation(family: str, sigma_a: float) -> nn.Module:
    plain: dict[str, Callable[[], nn.Module]] = {
        "gaussian": lambda: Lambda(lambda x: torch.exp(-(x**2) / (2 * sigma_a**2))),
        "sine": lambda: Lambda(lambda x: torch.sin(x / sigma_a)),
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
    }
    return plain[family]()


def plain_loop(signal: Signal, widths: tuple[int, ...], family: str) -> Callable[[int], None]:
    """A function that trains some steps further, the plain way."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), plain_activation(family, SIGMA_A.get(family, 1.0))]
    network = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    x, y = torch.tensor(signal.coordinates), torch.tensor(signal.values)

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.mse_loss(network(x), y).backward()
            optimizer.step()

    return train


def engine_loop(signal: Signal, widths: tuple[int, ...], family: str) -> Callable[[int], None]:
    """A function that trains some steps further by the executor, report included."""
    ensemble = CpuEnsemble(signal, widths=widths, family=family, recipe=Recipe(10**9), capacity=1)
    config = baseline_config("pytorch_default", activation(family, SIGMA_A.get(family, 1.0)), widths)
    ensemble.admit(Member("benchmark", config, 0, RATE, 10**9))

    def train(steps: int) -> None:
        ensemble.advance(steps)

    return train


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def peak_flops(size: int = 1024, rounds: int = 10) -> float:
    """The best rate of a large float32 matrix product, in operations per second."""
    a, b, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    return 2.0 * size**3 / min(seconds(lambda: torch.mm(a, b, out=out)) for _ in range(rounds))


def step_flops(widths: tuple[int, ...], points: int) -> float:
    """Of one step: three products a layer, but for the first layer, whose input needs no gradient."""
    products = 3 * sum(fan_in * fan_out for fan_in, fan_out in pairwise(widths)) - widths[0] * widths[1]
    return 2.0 * points * products


def measure(width: int, points: int, family: str, budget: float, rounds: int) -> dict[str, object]:
    """One row; ``budget`` is the time in seconds that each side gets in each round."""
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(-1, 1, (points, columns)).astype(np.float32) for columns in (2, 3))
    signal = Signal(x, y, "image", (points,))
    widths = (2, *[width] * (HIDDEN_LAYERS + 1), 3)
    sides = [plain_loop(signal, widths, family), engine_loop(signal, widths, family)]
    for side in sides:
        side(2)
    steps = [max(2, int(budget / (seconds(lambda side=side: side(2)) / 2))) for side in sides]
    times: list[list[float]] = [[], []]
    peaks = []
    for _ in range(rounds):
        peaks.append(peak_flops(rounds=2))
        for index, side in enumerate(sides):
            times[index].append(seconds(lambda: side(steps[index])) / steps[index])  # noqa: B023 - called at once
    loop, engine = (statistics.median(values) for values in times)
    peak = max(peaks)
    return {
        "device": "cpu",
        "family": family,
        "width": width,
        "points": points,
        "steps_per_second": 1.0 / engine,
        "ratio_vs_loop": loop / engine,
        "fraction_of_peak": step_flops(widths, points) / engine / peak,
        "loop_fraction_of_peak": step_flops(widths, points) / loop / peak,
    }


def numbers(text: str) -> list[int]:
    return [int(item) for item in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--quick", action="store_true", help="widths 64 and 128, 4096 points, short rounds")
    parser.add_argument("--widths", type=numbers, default=None)
    parser.add_argument("--points", type=numbers, default=None)
    parser.add_argument("--families", type=lambda text: text.split(","), default=list(FAMILIES))
    options = parser.parse_args()
    widths = options.widths or ([64, 128] if options.quick else list(WIDTHS))
    points = options.points or ([4096] if options.quick else list(POINTS))
    budget, rounds = (0.15, 3) if options.quick else (0.4, 5)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    peak = peak_flops()
    rows = []
    if not options.json:
        print(f"sgemm peak {peak / 1e9:.0f} GFLOP/s, one thread; torch {torch.__version__}")
        print(f"{'width':>6}{'points':>8}  {'family':<10}{'steps/s':>9}{'ratio':>8}{'of peak':>9}{'loop of peak':>14}")
    for width in widths:
        for count in points:
            for family in options.families:
                row = measure(width, count, family, budget, rounds)
                rows.append(row)
                if not options.json:
                    print(
                        f"{width:>6}{count:>8}  {family:<10}{row['steps_per_second']:>9.1f}{row['ratio_vs_loop']:>8.2f}"
                        f"{row['fraction_of_peak']:>9.2f}{row['loop_fraction_of_peak']:>14.2f}",
                        flush=True,
                    )
    if options.json:
        print(json.dumps({"peak_gflops": peak / 1e9, "rows": rows}))


if __name__ == "__main__":
    main()
