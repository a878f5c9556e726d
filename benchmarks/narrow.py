"""What finite width does to a network's variances, measured beside what the library predicts of it.

    python -m benchmarks.narrow [--json] [--part drift|gaussian|wire|first|chance] [--quick] [--fresh]

``drift``: the last of ten layers of 256 units, every family at three rho, beside ``finite_width_drift``. ``gaussian``:
the width from which on a Gaussian network does what the theory says, by rho. ``wire``: gradients of narrow WIRE
networks, with the forward pass's weights and with weights drawn apart, beside ``forecast``. ``first``: what two inputs
do to the first layers, over the theory. ``chance``: how far networks of a hundred layers lie apart.

What is stored under benchmarks/data/narrow is printed and only missing cells are measured; ``--fresh`` measures all
again (some minutes of one core). ``--quick`` is a smoke in a second, stores nothing, and its figures mean nothing.
docs/results.md tells the results.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.narrow_first import CHANCE, FIRST, chance_cell, chance_table, first_cell, first_table
from benchmarks.paper_store import Row, Store
from benchmarks.paper_toy import Size as ToySize
from vi3nr.activations import activation, families
from vi3nr.config import InitConfig
from vi3nr.diagnostics import diagnose
from vi3nr.finite_width import finite_width_drift
from vi3nr.initialisers import draw_parameters, generator_for
from vi3nr.profile import vi3nr_config
from vi3nr.propagation import forecast
from vi3nr.signals import Signal, image_signal

DATA = Path(__file__).parent / "data" / "narrow"
LAYERS = 10
DRIFT_RHOS = (0.5, 2.0, 5.0)
GAUSSIAN_RHOS, GAUSSIAN_WIDTHS = (1.55, 5.0, 20.0), (32, 64, 128, 256, 512)
HIDDEN_OF_GAUSSIAN = 7
WIRE = activation("wire", omega=20.0, s=10.0)
WIRE_CELLS = ((5.0, 128, 600), (5.0, 256, 300), (5.0, 512, 80), (2.0, 256, 300))  # rho, width, networks
POINTS = 32  # of each WIRE network; they share its weights, so the networks are the samples
DRIFTS, MORE = 0.01, 32  # where the drift is larger than that, so many times the networks


TOY = ToySize(points=50)  # a hundred layers of a thousand units


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    drift_families: tuple[str, ...] = tuple(families())
    drift_width: int = 256
    drift_networks: int = 100
    gaussian_widths: tuple[int, ...] = GAUSSIAN_WIDTHS
    gaussian_networks: int = 24
    grid: int = 64
    wire_cells: tuple[tuple[float, int, int], ...] = WIRE_CELLS
    layers: int = LAYERS
    first_cells: tuple[tuple[Any, ...], ...] = FIRST
    chance_networks: int = 8
    toy: ToySize = TOY


FULL = Size()
QUICK = Size(
    ("sine", "wire"), 16, 3, (8,), 2, 8, ((5.0, 8, 3),), 3, (("tanh", 1.0, 1.5, 8, "normal", 2, 0, "gradient"),), 2,
    ToySize(3, 16, 5),
)  # fmt: skip


def summary(values: list[float]) -> Row:
    """Mean over networks and its standard error."""
    found = np.array(values)
    error = found.std(ddof=1) / math.sqrt(len(found))
    return {"measured": float(found.mean()), "standard_error": float(error), "networks": len(found)}


def drift_cell(family: str, rho: float, size: Size) -> Row:
    """E z^2 of the last layer over sigma_p^2, one point a network, beside one plus the calculated drift."""
    phi = activation(family)
    widths = (size.drift_width,) * (size.layers + 1)
    config = vi3nr_config(phi, widths, sigma_p=rho * phi.sigma_a, input_second_moment=1.0)
    drift = finite_width_drift(config)[-1]
    networks = size.drift_networks * (MORE if abs(drift) > DRIFTS else 1)
    ratios = []
    for seed in range(networks):
        z = forward(config, draw_parameters(config, generator_for(seed)), entering(1, size.drift_width, seed))[-1]
        ratios.append(mean_square(z) / (rho * phi.sigma_a) ** 2)
    return {"family": family, "rho": rho, "predicted": 1.0 + drift, **summary(ratios)}


def gaussian_cell(rho: float, width: int, size: Size, signal: Signal) -> Row:
    """E z^2 of the seventh hidden layer over sigma_p^2, on a grid of coordinates."""
    phi = activation("gaussian", 0.05)
    widths = (2, *[width] * HIDDEN_OF_GAUSSIAN, 1)
    config = vi3nr_config(phi, widths, sigma_p=rho * phi.sigma_a, distribution="normal")
    found = diagnose(config, signal, networks=size.gaussian_networks).layers[HIDDEN_OF_GAUSSIAN - 1]
    told, measured = found.theory.preactivation_variance, found.preactivation
    return {
        "rho": rho,
        "width": width,
        "predicted": 1.0 + finite_width_drift(config)[HIDDEN_OF_GAUSSIAN - 1],
        "measured": measured.mean / told,
        "standard_error": measured.standard_error / told,
        "networks": measured.networks,
    }


def wire_cell(rho: float, width: int, networks: int, size: Size) -> Row:
    """E|g|^2 of the first layer over the forecast's: backpropagated, and through weights drawn apart."""
    widths = (width,) * (size.layers + 1)
    config = vi3nr_config(WIRE, widths, sigma_p=rho * WIRE.sigma_a, input_second_moment=1.0, distribution="normal")
    told = forecast(config)[0].gradient_variance
    own, apart = [], []
    for seed in range(networks):
        parameters = draw_parameters(config, generator_for(seed))
        others = draw_parameters(config, generator_for(seed + 2_000_000))
        z = forward(config, parameters, entering(POINTS, width, seed))
        sent = torch.empty(POINTS, width).normal_(generator=generator_for(seed + 3_000_000))
        own.append(mean_square(backward(z, parameters, sent)) / mean_square(sent) / told)
        apart.append(mean_square(backward(z, others, sent)) / mean_square(sent) / told)
    drawn_apart = {f"apart_{key}": value for key, value in summary(apart).items() if key != "networks"}
    return {"rho": rho, "width": width, **summary(own), **drawn_apart}


def entering(points: int, width: int, seed: int) -> Tensor:
    """Coordinates ``(point, axis)`` with E x^2 = 1 at every point, so that nothing but the width is finite."""
    x = torch.empty(points, width).normal_(generator=generator_for(seed + 1_000_000))
    return x / x.square().mean(dim=1, keepdim=True).sqrt()


def forward(config: InitConfig, parameters: list[tuple[Tensor, Tensor]], x: Tensor) -> list[Tensor]:
    """The pre-activations ``(point, unit)`` of every layer."""
    phi = activation(config.family, config.sigma_a, **config.parameters)
    found = []
    for weight, bias in parameters:
        found.append(x.to(weight.dtype) @ weight.T + bias)
        x = phi.value(found[-1], torch)
    return found


def backward(z: list[Tensor], parameters: list[tuple[Tensor, Tensor]], sent: Tensor) -> Tensor:
    """A WIRE network's gradient ``(point, unit)`` at the first layer's pre-activations; ``sent``: the real output's."""
    gradient = sent.to(z[-1].dtype)
    for index in range(len(z) - 1, 0, -1):
        gradient = gradient @ parameters[index][0].conj()
        slope = WIRE.derivative(z[index - 1], torch)
        if index == 1:  # the first layer's pre-activations are real
            return (slope.conj() * gradient).real
        gradient = slope.conj() * gradient + WIRE.conjugate_derivative(z[index - 1], torch) * gradient.conj()
    return gradient


def mean_square(values: Tensor) -> float:
    return float(values.abs().double().square().mean())


def run_drift(store: Store, size: Size) -> list[Row]:
    cells = [(family, rho) for family in size.drift_families for rho in DRIFT_RHOS]
    return [store.cell(f"{family}, rho {rho:g}", drift_cell, family, rho, size) for family, rho in cells]


def run_gaussian(store: Store, size: Size) -> list[Row]:
    signal = image_signal(np.eye(size.grid))
    cells = [(rho, width) for rho in GAUSSIAN_RHOS for width in size.gaussian_widths]
    return [store.cell(f"rho {rho:g}, width {n}", gaussian_cell, rho, n, size, signal) for rho, n in cells]


def run_wire(store: Store, size: Size) -> list[Row]:
    return [store.cell(f"rho {rho:g}, width {n}", wire_cell, rho, n, nets, size) for rho, n, nets in size.wire_cells]


def run_first(store: Store, size: Size) -> list[Row]:
    signal = image_signal(np.stack([np.eye(size.grid)] * 3, axis=-1))
    return [store.cell(", ".join(map(str, cell)), first_cell, *cell, signal) for cell in size.first_cells]


def run_chance(store: Store, size: Size) -> list[Row]:
    return [store.cell(name, chance_cell, name, size.chance_networks, size.toy) for name in CHANCE]


def drift_table(rows: list[Row]) -> str:
    lines = [f"{'family':<16}{'rho':>5}{'measured':>10}{'+-':>8}{'predicted':>11}{'networks':>10}"]
    for row in rows:
        lines.append(
            f"{row['family']:<16}{row['rho']:>5g}{row['measured']:>10.3f}{row['standard_error']:>8.3f}"
            f"{row['predicted']:>11.3f}{row['networks']:>10}"
        )
    worst = max(rows, key=lambda row: abs(row["measured"] - row["predicted"]))
    off = worst["measured"] - worst["predicted"]
    lines.append(f"farthest from the prediction: {worst['family']} at rho {worst['rho']:g}, {off:+.3f}")
    return "\n".join(lines)


def gaussian_table(rows: list[Row]) -> str:
    lines = [f"{'rho':>5}{'width':>7}{'measured':>10}{'+-':>8}{'predicted':>11}"]
    for row in rows:
        lines.append(
            f"{row['rho']:>5g}{row['width']:>7}{row['measured']:>10.3f}{row['standard_error']:>8.3f}"
            f"{row['predicted']:>11.3f}"
        )
    return "\n".join(lines)


def wire_table(rows: list[Row]) -> str:
    lines = [f"{'rho':>5}{'width':>7}{'networks':>10}{'measured':>10}{'+-':>8}{'drawn apart':>14}{'+-':>8}"]
    for row in rows:
        lines.append(
            f"{row['rho']:>5g}{row['width']:>7}{row['networks']:>10}{row['measured']:>10.3f}{row['standard_error']:>8.3f}"
            f"{row['apart_measured']:>14.3f}{row['apart_standard_error']:>8.3f}"
        )
    return "\n".join(lines)


RUN: dict[str, tuple[Callable[[Store, Size], list[Row]], Callable[[list[Row]], str]]] = {
    "drift": (run_drift, drift_table),
    "gaussian": (run_gaussian, gaussian_table),
    "wire": (run_wire, wire_table),
    "first": (run_first, first_table),
    "chance": (run_chance, chance_table),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--part", choices=list(RUN), default=None, help="one part only; all of them otherwise")
    parser.add_argument("--quick", action="store_true", help="a smoke of each part, in a second; stores nothing")
    parser.add_argument("--fresh", action="store_true", help="measure again instead of reading what is stored")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    outcome = {}
    for name in [options.part] if options.part else RUN:
        run, table = RUN[name]
        store = Store(None if options.quick else DATA / f"{name}.json", fresh=options.fresh)
        outcome[name] = run(store, QUICK if options.quick else FULL)
        if not options.json:
            print(f"== {name}\n{table(outcome[name])}\n", flush=True)
    if options.json:
        print(json.dumps(outcome))


if __name__ == "__main__":
    main()
