"""How fast an executor trains, against a plain PyTorch loop and against the machine's matrix product.

    python -m benchmarks.engine [--json] [--device cpu|cuda] [--quick]
                                [--widths 64,128] [--points 4096,16384] [--families gaussian,sine]

The loop is what people write: nn.Sequential, autograd, torch.optim.Adam, one trial after the other. Both take turns
within the same run, so that a busy machine slows both; the medians of a step of one member are compared. The fraction
of peak counts the multiplications and additions of the matrix products only (forward, weight gradient, input gradient).

``cpu``: the tiled executor, both sides on one thread. ``cuda``: 64 members in the stacked executor with TF32 products,
the peak being that of a TF32 product; the loop trains in float32, as torch does unless told otherwise.
A turn of the executor ends with a report. On a CPU the pass for it is part of the next step; on a GPU turns have at
least 18 steps, so that the report takes less than 2 % of them.
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
from vi3nr.ensemble.interface import Ensemble, Member, Recipe
from vi3nr.ensemble.stacked import StackedEnsemble
from vi3nr.ensemble.stacked_device import matmul_in
from vi3nr.signals import Signal

WIDTHS = (32, 64, 128, 256)
POINTS = (1024, 4096, 16384, 65536)
FAMILIES = ("gaussian", "sine", "tanh", "relu")
SIGMA_A = {"gaussian": 0.05, "sine": 1.0 / 30.0}
RATE = 1e-4
HIDDEN_LAYERS = 3  # Linear(width, width); 2 inputs, 3 outputs: an RGB image
MEMBERS = {"cpu": 1, "cuda": 64}  # that train side by side
FEWEST_STEPS = {"cpu": 2, "cuda": 18}  # of a turn
PEAK_SIZE = {"cpu": 1024, "cuda": 8192}  # of the square matrices whose product is the peak


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


def plain_loop(signal: Signal, widths: tuple[int, ...], family: str, device: str) -> Callable[[int], None]:
    """A function that trains some steps further, the plain way."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), plain_activation(family, SIGMA_A.get(family, 1.0))]
    network = nn.Sequential(*layers[:-1]).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    x, y = (torch.tensor(part, device=device) for part in (signal.coordinates, signal.values))

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.mse_loss(network(x), y).backward()
            optimizer.step()

    return train


def engine_loop(signal: Signal, widths: tuple[int, ...], family: str, device: str) -> Callable[[int], None]:
    """A function that trains all members some steps further by the executor, report included."""
    recipe, capacity = Recipe(10**9), MEMBERS[device]
    ensemble: Ensemble
    if device == "cpu":
        ensemble = CpuEnsemble(signal, widths=widths, family=family, recipe=recipe, capacity=capacity)
    else:
        ensemble = StackedEnsemble(
            signal, widths=widths, family=family, recipe=recipe, capacity=capacity, device=device, precision="tf32"
        )
    config = baseline_config("pytorch_default", activation(family, SIGMA_A.get(family, 1.0)), widths)
    for seed in range(capacity):
        ensemble.admit(Member(f"benchmark {seed}", config, seed, RATE, 10**9))

    def train(steps: int) -> None:
        ensemble.advance(steps)

    return train


def seconds(call: Callable[[], object], device: str = "cpu") -> float:
    begin = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def peak_flops(device: str = "cpu", rounds: int = 10) -> float:
    """The best rate of a large matrix product, in operations per second: float32, on a GPU TF32."""
    size = PEAK_SIZE[device]
    a, b, out = (torch.randn(size, size, device=device) for _ in range(3))
    with matmul_in("tf32" if device == "cuda" else "ieee"):
        return 2.0 * size**3 / min(seconds(lambda: torch.mm(a, b, out=out), device) for _ in range(rounds))


def step_flops(widths: tuple[int, ...], points: int) -> float:
    """Of one step: three products a layer, but for the first layer, whose input needs no gradient."""
    products = 3 * sum(fan_in * fan_out for fan_in, fan_out in pairwise(widths)) - widths[0] * widths[1]
    return 2.0 * points * products


def measure(width: int, points: int, family: str, device: str, budget: float, rounds: int) -> dict[str, object]:
    """One row; ``budget`` is the time in seconds that each side gets in each round."""
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(-1, 1, (points, columns)).astype(np.float32) for columns in (2, 3))
    signal = Signal(x, y, "image", (points,))
    widths = (2, *[width] * (HIDDEN_LAYERS + 1), 3)
    sides = [plain_loop(signal, widths, family, device), engine_loop(signal, widths, family, device)]
    for side in sides:
        side(2)
    paces = [seconds(lambda side=side: side(2), device) / 2 for side in sides]
    steps = [max(fewest, int(budget / pace)) for fewest, pace in zip((2, FEWEST_STEPS[device]), paces, strict=True)]
    times: list[list[float]] = [[], []]
    peaks = []
    for _ in range(rounds):
        peaks.append(peak_flops(device, rounds=2))
        for index, side in enumerate(sides):
            members = (1, MEMBERS[device])[index]
            taken = seconds(lambda: side(steps[index]), device)  # noqa: B023 - called at once
            times[index].append(taken / (steps[index] * members))
    loop, engine = (statistics.median(values) for values in times)
    peak = max(peaks)
    return {
        "device": device,
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
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="widths 64 and 128, 4096 points, short rounds")
    parser.add_argument("--widths", type=numbers, default=None)
    parser.add_argument("--points", type=numbers, default=None)
    parser.add_argument("--families", type=lambda text: text.split(","), default=list(FAMILIES))
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch sees no CUDA device here; choose --device cpu")
    widths = options.widths or ([64, 128] if options.quick else list(WIDTHS))
    points = options.points or ([4096] if options.quick else list(POINTS))
    budget, rounds = (0.15, 3) if options.quick else (0.4, 5)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    peak = peak_flops(options.device)
    rows = []
    if not options.json:
        print(f"{options.device}, peak {peak / 1e9:.0f} GFLOP/s; torch {torch.__version__}")
        print(f"{'width':>6}{'points':>8}  {'family':<10}{'steps/s':>9}{'ratio':>8}{'of peak':>9}{'loop of peak':>14}")
    for width in widths:
        for count in points:
            for family in options.families:
                row = measure(width, count, family, options.device, budget, rounds)
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
