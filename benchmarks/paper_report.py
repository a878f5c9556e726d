"""Tables and plots of what ``benchmarks.paper_signals`` measured."""

from __future__ import annotations

import math

from benchmarks.paper_signals import (
    DEPTH_VARIANTS,
    GAP_ARMS,
    IMAGE_ARMS,
    REFERENCE,
    RHOS,
    SIGMA_A,
    mean_and_interval,
)
from benchmarks.paper_store import Row
from vi3nr.plots import Series, line_chart

THEORY_RHO = math.sqrt(1.0 + math.sqrt(2.0))


def images(rows: list[Row]) -> str:
    """Each arm's mean PSNR, and its difference to the closed form with zero biases, paired by picture and seed."""
    here = [row for row in rows if row["sigma_a"] == SIGMA_A]
    names = sorted({row["signal"] for row in here})
    of = {(row["arm"], row["signal"], row["seed"]): row["psnr"] for row in here}
    cells = sorted({key[1:] for key in of})
    lines = [f"Gaussian networks, sigma_a {SIGMA_A}, on {', '.join(names)}: PSNR in dB over {len(cells)} trainings"]
    lines.append(f"{'arm':<40}" + "".join(f"{name:>10}" for name in names) + f"{'mean':>9}{'difference, 95 %':>20}")
    for arm in IMAGE_ARMS:
        values = [of[arm, *cell] for cell in cells if (arm, *cell) in of]
        if not values:
            continue
        by_name = [mean_and_interval([v for (a, n, _), v in of.items() if (a, n) == (arm, name)])[0] for name in names]
        shown = "".join(f"{value:>10.2f}" for value in by_name) + f"{mean_and_interval(values)[0]:>9.2f}"
        lines.append(f"{arm:<40}{shown}{_difference(of, arm, cells):>20}")
    return "\n".join(lines)


def _difference(of: dict[tuple[str, str, int], float], arm: str, cells: list[tuple[str, int]]) -> str:
    pairs = [(of.get((arm, *cell)), of.get((REFERENCE, *cell))) for cell in cells]
    gaps = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
    if arm == REFERENCE or not gaps:
        return "-"
    mean, half = mean_and_interval(gaps)
    return f"{mean:+.2f} +- {half:.2f}"


def _over_sigma_a(rows: list[Row]) -> dict[str, list[tuple[float, float, float]]]:
    """(sigma_a, mean, half interval) of each arm of the gap, with the seeds that all sigma_a have."""
    scales = sorted({row["sigma_a"] for row in rows}, reverse=True)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for arm in GAP_ARMS:
        for scale in scales:
            own = [r["psnr"] for r in rows if (r["arm"], r["sigma_a"]) == (arm, scale) and r["seed"] < 2]
            if own:
                found.setdefault(arm, []).append((scale, *mean_and_interval(own)))
    return found


def gap(rows: list[Row]) -> str:
    found = _over_sigma_a(rows)
    lines = ["PSNR in dB as sigma_a shrinks (same pictures, 2 seeds)", f"{'arm':<40}"]
    lines[1] += "".join(f"{scale:>10.4g}" for scale, *_ in next(iter(found.values()), []))
    for arm, points in found.items():
        lines.append(f"{arm:<40}" + "".join(f"{mean:>10.2f}" for _, mean, _ in points))
    if GAP_ARMS[0] in found and REFERENCE in found:
        gaps = [ours[1] - theirs[1] for ours, theirs in zip(found[REFERENCE], found[GAP_ARMS[0]], strict=True)]
        lines.append(f"{'gap of the closed form to N(0, 1)':<40}" + "".join(f"{value:>10.2f}" for value in gaps))
    return "\n".join(lines)


def gap_plot(rows: list[Row]) -> str:
    series = [
        Series(arm, [p[0] for p in points], [p[1] for p in points]) for arm, points in _over_sigma_a(rows).items()
    ]
    ticks = [p[0] for p in next(iter(_over_sigma_a(rows).values()))]
    title = "Gaussian networks on three photographs"
    return line_chart(series, title=title, x_label="sigma_a", y_label="PSNR in dB", log_x=True, x_ticks=ticks)


def audio(rows: list[Row]) -> str:
    names = sorted({row["signal"] for row in rows})
    lines = [f"Sound ({', '.join(names)}), 3 hidden layers of 256: PSNR in dB, mean and range of the seeds"]
    lines.append(f"{'family':<10}{'arm':<22}{'zero biases':>24}{'biases like the weights':>26}")
    for family, arm in dict.fromkeys((row["family"], row["arm"]) for row in rows):
        cells = []
        for bias in ("zero", "like_weights"):
            own = [r["psnr"] for r in rows if (r["family"], r["arm"], r["bias"]) == (family, arm, bias)]
            cells.append(f"{mean_and_interval(own)[0]:.2f} ({min(own):.2f} to {max(own):.2f})" if own else "-")
        lines.append(f"{family:<10}{arm:<22}{cells[0]:>24}{cells[1]:>26}")
    return "\n".join(lines)


def best_rho(rows: list[Row], variant: str, depth: int) -> tuple[float, dict[float, float]]:
    """The rho with the best mean, and all means."""
    own = [row for row in rows if (row["variant"], row["depth"]) == (variant, depth)]
    means = {rho: mean_and_interval([r["psnr"] for r in own if r["rho"] == rho])[0] for rho in {r["rho"] for r in own}}
    return max(means, key=lambda rho: means[rho]), dict(sorted(means.items()))


def depth(rows: list[Row]) -> str:
    name = rows[0]["signal"]
    lines = [f"Mean PSNR in dB over rho = sigma_p / sigma_a on {name}; the theory's rho is {THEORY_RHO:.4f}"]
    shown = sorted({row["rho"] for row in rows})
    lines.append(f"{'variant':<22}{'hidden':>7}" + "".join(f"{rho:>8.4g}" for rho in shown) + f"{'best rho':>10}")
    for variant in DEPTH_VARIANTS:
        for layers in sorted({row["depth"] for row in rows}):
            best, means = best_rho(rows, variant, layers)
            cells = "".join(f"{means.get(rho, math.nan):>8.2f}" for rho in shown)
            lines.append(f"{variant:<22}{layers:>7}{cells}{best:>10.4g}")
    return "\n".join(lines)


def depth_plot(rows: list[Row]) -> str:
    """PSNR over rho, relative to each depth's best, for the variant with one sigma_p."""
    series = []
    for colour, layers in enumerate(sorted({row["depth"] for row in rows})):
        for variant in DEPTH_VARIANTS:
            best, means = best_rho(rows, variant, layers)
            gaps = [means[rho] - means[best] for rho in means]
            label = f"{layers} hidden layers, {variant}"
            series.append(Series(label, list(means), gaps, dashed=variant != DEPTH_VARIANTS[0], colour=colour))
    low = min(min(one.y) for one in series)
    series.append(Series("the theory's rho", [THEORY_RHO, THEORY_RHO], [low, 0.0], dashed=True, colour=6))
    title = "PSNR against the hidden layers' rho, by depth"
    label = "PSNR minus that of the best rho, dB"
    return line_chart(series, title=title, x_label="rho", y_label=label, log_x=True, x_ticks=RHOS)
