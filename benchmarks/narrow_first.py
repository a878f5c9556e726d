"""What two inputs do to the first layers, and what chance does to a hundred layers."""

from __future__ import annotations

import numpy as np

from benchmarks.paper_store import Row
from benchmarks.paper_toy import ACTIVATIONS, Size, measured, settings_of
from vi3nr.activations import activation
from vi3nr.diagnostics import diagnose
from vi3nr.profile import vi3nr_config
from vi3nr.signals import Signal

__all__ = ["CHANCE", "FIRST", "chance_cell", "chance_table", "first_cell", "first_table"]

# family, sigma_a, sigma_p, width, distribution, networks, layer, what of it
FIRST = (
    ("gaussian", 0.05, 1.0, 256, "normal", 64, 1, "preactivation"),
    ("gaussian", 0.05, 1.0, 256, "uniform", 64, 1, "preactivation"),
    ("gaussian", 0.05, 0.0777, 256, "normal", 64, 1, "preactivation"),
    ("gaussian", 0.05, 0.0777, 256, "uniform", 64, 1, "preactivation"),
    ("tanh", 1.0, 1.5, 64, "normal", 200, 0, "gradient"),
    ("tanh", 1.0, 1.5, 256, "normal", 200, 0, "gradient"),
    ("tanh", 1.0, 1.5, 64, "uniform", 200, 0, "gradient"),
    ("tanh", 1.0, 1.5, 256, "uniform", 200, 0, "gradient"),
)
CHANCE = ("gaussian 0.05", "sigmoid")  # of the toy test's activations, at their stable sigma_p


def first_cell(
    family: str, sigma_a: float, sigma_p: float, width: int, distribution: str, networks: int, layer: int, what: str,
    signal: Signal,
) -> Row:  # fmt: skip
    """A layer's variance over the theory's, over several networks; and the prediction point by point over it."""
    phi = activation(family, sigma_a) if family == "gaussian" else activation(family)
    config = vi3nr_config(phi, (2, *[width] * 4, 3), sigma_p=sigma_p, distribution=distribution)
    row = diagnose(config, signal, networks=networks).layers[layer]
    found = row.preactivation if what == "preactivation" else row.gradient
    told = getattr(row.theory, f"{what}_variance")
    return {
        "family": family, "sigma_p": sigma_p, "width": width, "distribution": distribution, "layer": layer,
        "what": what, "measured": found.mean / told, "standard_error": found.standard_error / told,
        "by_point": getattr(row.by_point, f"{what}_variance") / told, "networks": networks,
    }  # fmt: skip


def chance_cell(name: str, networks: int, size: Size) -> Row:
    """Standard deviation over networks of the logarithms of the forward and the backward ratio."""
    phi, gain, origin = ACTIVATIONS[name]
    setting = next(one for one in settings_of(phi, gain, origin) if one.name == "stable")
    ratios = np.array([measured(phi, setting, size, seed) for seed in range(networks)])
    forward, backward = ratios.std(axis=0, ddof=1)
    return {
        "activation": name, "networks": networks, "layers": size.layers, "units": size.units, "points": size.points,
        "measured": float(backward), "forward": float(forward),
    }  # fmt: skip


def first_table(rows: list[Row]) -> str:
    lines = [
        f"{'family':<10}{'sigma_p':>8}{'width':>7}  {'weights':<9}{'':<20}{'measured':>9}{'+-':>8}{'by point':>10}"
    ]
    for row in rows:
        lines.append(
            f"{row['family']:<10}{row['sigma_p']:>8g}{row['width']:>7}  {row['distribution']:<9}"
            f"{row['what'] + ' of ' + str(row['layer']):<20}{row['measured']:>9.3f}{row['standard_error']:>8.3f}"
            f"{row['by_point']:>10.3f}"
        )
    return "\n".join(lines)


def chance_table(rows: list[Row]) -> str:
    lines = [f"{'activation':<16}{'networks':>9}{'std of log forward':>20}{'backward':>10}"]
    for row in rows:
        lines.append(f"{row['activation']:<16}{row['networks']:>9}{row['forward']:>20.3f}{row['measured']:>10.3f}")
    return "\n".join(lines)
