"""Plots of a confirmation: learning curves, the arms' intervals, and the variances of layers at initialisation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup

from service.pages.charts import Chart, Line, line_chart
from workers.events import Run
from workers.exhibits import LayerVariance

__all__ = ["curve_plot", "variance_plot"]


def curve_plot(
    runs: Iterable[Run], winner: str, usual: str | None, names: dict[str, str], steps: int, points: str
) -> Markup:
    """PSNR over the steps: the winner and the best usual initialisation with all their seeds, the others in grey.

    Args:
        runs: recorded confirmation runs of one family.
        winner: name of its arm.
        usual: name of the best usual arm.
        names: what to call these arms.
        steps: of the whole training.
        points: which ones are scored.
    """
    arms: dict[str, list[Run]] = {}
    for run in runs:
        if run.replicate >= 0 and run.curve:
            arms.setdefault(run.arm, []).append(run)
    others = [arm for arm in arms if arm not in (winner, usual)]
    lines = [_curve(arms[arm], "other", "the other arms" if arm == others[0] else "", band=False) for arm in others]
    if usual is not None and usual != winner and usual in arms:
        lines.append(_curve(arms[usual], "usual", _counted(names[usual], arms[usual]), band=True))
    if winner in arms:
        lines.append(_curve(arms[winner], "winner", _counted(names[winner], arms[winner]), band=True))
    chart = Chart(
        "Learning curves",
        f"PSNR over {steps} training steps: mean over the seeds, and the range between them for the leading two.",
        "training step",
        f"PSNR over {points}, dB",
    )
    return line_chart(chart, lines)


def variance_plot(layers: Sequence[LayerVariance], quantity: str) -> Markup:
    """Measured and predicted variance, layer by layer; ``quantity`` is preactivation or gradient."""
    index = [float(place + 1) for place in range(len(layers))]

    def column(field: str) -> list[float]:
        return [getattr(layer, f"{quantity}{field}") for layer in layers]

    measured, spread = column("_measured"), column("_spread")
    name = "pre-activations" if quantity == "preactivation" else "gradients"
    chart = Chart(
        f"Variance of {name} at initialisation",
        "Layer by layer, on a logarithmic scale: measured "
        + ", ".join(f"{value:.3g}" for value in measured)
        + "; predicted "
        + ", ".join(f"{value:.3g}" for value in column(""))
        + ".",
        "layer",
        f"variance of {name}" + (", output 1" if quantity == "gradient" else ""),
        log_y=True,
        x_ticks=index,
    )
    low = [max(mean - std, mean / 10.0) for mean, std in zip(measured, spread, strict=True)]
    high = [mean + std for mean, std in zip(measured, spread, strict=True)]
    return line_chart(
        chart,
        [
            Line("theory", "theory", index, column("")),
            Line("theory at the signal's own coordinates", "usual", index, column("_by_point"), dashed=True),
            Line("measured, ± 1 std between networks", "winner", index, measured, low, high, points=True, joined=False),
        ],
    )


def _curve(runs: Sequence[Run], style: str, label: str, *, band: bool) -> Line:
    """Mean of the runs at the steps that all of them reported."""
    common = sorted(set.intersection(*({step for step, _ in run.curve} for run in runs)))
    table = np.array([[dict(run.curve)[step] for step in common] for run in runs])  # (run, step)
    wide = band and len(runs) > 1
    return Line(
        label, style, common, table.mean(axis=0).tolist(),
        table.min(axis=0).tolist() if wide else None, table.max(axis=0).tolist() if wide else None,
    )  # fmt: skip


def _counted(name: str, runs: Sequence[Run]) -> str:
    return f"{name}, {len(runs)} seeds"
