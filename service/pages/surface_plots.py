"""The response surface as plots: the plane of its two most important axes, and the score along every axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from service.pages.charts import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Chart, Frame, Line, line_chart, svg
from service.pages.colours import hexadecimal, picture_uri, viridis
from service.pages.words import near
from vi3nr.plots import Axis
from workers.axes import (
    BANDWIDTH,
    GROWTH,
    OUTPUT,
    RATE,
    RATIO,
    SHARE_FIRST,
    SHARE_HIDDEN,
    SIGMA_A,
    SIGMA_P,
    SIGMA_P_FIRST,
)
from workers.response import expected_finals
from workers.response_data import AxisRange, AxisResponse, Observation, Plane, ResponseSurface

__all__ = ["DEPTH", "WORDS", "axis_plots", "plane_plot", "shows_theory", "trial_plot"]

HEIGHT = 420
FINE = 8  # pixels of the heat map between two points of the plane
DEPTH = 12.0  # dB below the best that the colours cover
WORDS = {
    SIGMA_A: "sigma_a, scale of the activation",
    RATIO: "sigma_p / sigma_a",
    SIGMA_P: "sigma_p, std of pre-activations",
    BANDWIDTH: "bandwidth of the first layer, in units of sigma_a",
    SIGMA_P_FIRST: "sigma_p of the first layer",
    SHARE_FIRST: "share of the biases in the first layer's variance",
    SHARE_HIDDEN: "share of the biases in the hidden layers' variance",
    OUTPUT: "sigma_p of the output over that of the hidden layers",
    GROWTH: "sigma_p from one hidden layer to the next, as a factor",
    RATE: "learning rate",
}


def plane_plot(
    surface: ResponseSurface,
    plane: Plane | None,
    axes: Sequence[AxisRange],
    trials: Sequence[Observation],
    unit: str,
    decibel: float,
) -> Markup:
    """The expected score over the two axes of one of the surface's planes, with the trials, the good basin and the
    theory's line; empty without a plane.
    """
    if plane is None:
        return Markup("")
    ranges = {axis.name: axis for axis in axes}
    x = _axis(ranges[plane.x], LEFT, WIDTH - RIGHT)
    y = _axis(ranges[plane.y], HEIGHT - BOTTOM, TOP)
    mean = np.array(plane.mean)  # (y, x)
    top = max(surface.best_mean, float(mean.max()))
    bottom = max(float(mean.min()), top - DEPTH * decibel)
    chart = Chart(
        f"Response surface over {WORDS[plane.x]} and {WORDS[plane.y]}",
        f"A heat map of the expected score at the search horizon, from {bottom:.1f} to {top:.1f} {unit}, with one dot "
        f"for each of {surface.trials} trials. The best point lies at {plane.x} {surface.best[plane.x]:.4g} and "
        f"{plane.y} {surface.best[plane.y]:.4g}.",
        WORDS[plane.x],
        WORDS[plane.y],
    )
    parts = [_heat(mean, bottom, top), *Frame(x, y, HEIGHT, grid=False).draw(chart)]
    legend = [(_scale_bar(), f"expected score, {bottom:.1f} to {top:.1f} {unit}")]
    basin = _contours(mean, surface.best_mean - decibel, x, y)
    if basin:
        parts += [Markup("<path class='halo' d='{}'/><path class='basin' d='{}'/>").format(d, d) for d in basin]
        legend.append((_on_heat("<path class='basin' d='M2 0H24'/>"), f"good basin: {near(unit, decibel)}"))
    line = _theory(surface, plane, x, y)
    if line:
        parts.append(Markup("<path class='halo' d='{}'/><path class='ideal' d='{}'/>").format(line, line))
        legend.append((_on_heat("<path class='ideal' d='M2 0H24'/>"), "the theory's own sigma_p"))
    parts += _dots(_scored(trials), plane, x, y, bottom, top)
    legend.append((_on_heat(_trial(13, 0, "#21918c", 4.5)), "trials, by their score"))
    parts.append(
        Markup("<path class='best' transform='translate({} {})' d='M-7 0H7M0 -7V7'/>").format(
            round(x(surface.best[plane.x]), 1), round(y(surface.best[plane.y]), 1)
        )
    )
    legend.append((_on_heat("<path class='best' transform='translate(13 0)' d='M-6 0H6M0 -6V6'/>"), "best point"))
    return svg(chart, parts, legend, HEIGHT)


def shows_theory(plane: Plane | None) -> bool:
    """Whether the theory's sigma_p is a line in a plane: over rho and anything, or over sigma_a and sigma_p."""
    return plane is not None and (RATIO in (plane.x, plane.y) or {plane.x, plane.y} == {SIGMA_A, SIGMA_P})


def axis_plots(
    surface: ResponseSurface, trials: Sequence[Observation], unit: str, decibel: float
) -> list[tuple[AxisResponse, Markup]]:
    """The expected score along each axis through the best point, the most important axis first."""
    ranked = sorted(surface.axes, key=lambda axis: -axis.importance)
    return [(axis, _along(axis, surface, trials, unit, decibel)) for axis in ranked]


def trial_plot(trials: Sequence[Observation], unit: str) -> Markup:
    """Scores in the order of the trials, and the best of the complete ones so far."""
    numbered = [(float(place + 1), one, score) for place, (one, score) in enumerate(_scored(trials))]
    complete = [(place, score) for place, one, score in numbered if one.score is not None]
    pruned = [(place, score) for place, one, score in numbered if one.score is None]
    if not numbered:
        return Markup("")
    places, scores = _columns(complete)
    best = list(np.maximum.accumulate(scores))
    told = f"; the best scores {best[-1]:.2f} {unit}" if best else ""
    chart = Chart(
        "Scores of the trials",
        f"{len(numbered)} trials in the order in which they were asked for{told}.",
        "trial",
        f"score at the search horizon, {unit}",
        x_ticks=_whole(len(numbered)),
    )
    lines = [
        Line("a trial", "other", places, scores, points=True, joined=False),
        Line("a pruned trial, where it was expected to end", "theory", *_columns(pruned), points=True, joined=False),
        Line("best so far", "winner", places, best),
    ]
    return line_chart(chart, [line for line in lines if line.x])


def _along(
    axis: AxisResponse, surface: ResponseSurface, trials: Sequence[Observation], unit: str, decibel: float
) -> Markup:
    mean, std = np.array(axis.mean), np.array(axis.std)
    low = surface.best_mean - DEPTH * decibel
    scored = [(one.params[axis.name], score) for one, score in _scored(trials) if score > low]
    chart = Chart(
        f"Score along {WORDS[axis.name]}",
        f"{near(unit, decibel).capitalize()} from {axis.basin.low:.4g} to {axis.basin.high:.4g}; "
        f"importance {axis.importance:.0%}.",
        WORDS[axis.name],
        f"score, {unit}",
        log_x=axis.log,
        shade=(axis.basin.low, axis.basin.high),
        shade_label=f"good basin: {near(unit, decibel)}",
    )
    lines = [
        Line(
            "expected, ± 1 std, the other axes at the best point", "winner",
            axis.values, np.maximum(mean, low).tolist(), np.maximum(mean - std, low).tolist(),
            np.maximum(mean + std, low).tolist(),
        ),
        Line("trials, each at axes of its own", "other", *_columns(scored), points=True, joined=False),
    ]  # fmt: skip
    own = _own(axis, surface)
    if own is not None:
        heights = [max(low, float(mean.min())), float((mean + std).max())]
        lines.append(Line(f"the theory's own: {own:.4g}", "theory", [own, own], heights, dashed=True))
    if axis.name == SIGMA_A and surface.theory is not None:
        known = [(a, m) for a, m in zip(surface.theory.sigma_a, surface.theory.mean, strict=True) if m is not None]
        lines.append(
            Line(
                "expected at the theory's own sigma_p",
                "theory",
                *_columns([(a, max(low, m)) for a, m in known]),
                dashed=True,
            )
        )
    return line_chart(chart, lines)


def _own(axis: AxisResponse, surface: ResponseSurface) -> float | None:
    """The theory's own place on this axis, where it has one inside."""
    theory = surface.theory
    if theory is None or axis.name not in (RATIO, SIGMA_P) or (axis.name == SIGMA_P and len(theory.sigma_p) > 1):
        return None
    own = theory.rho if axis.name == RATIO else theory.sigma_p[0]
    return own if axis.low <= own <= axis.high else None


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [one for one, _ in pairs], [other for _, other in pairs]


def _scored(trials: Sequence[Observation]) -> list[tuple[Observation, float]]:
    """Each trial with its score; a pruned one's is what it was expected to reach."""
    return [(one, score) for one, score in zip(trials, expected_finals(trials), strict=True) if score is not None]


def _axis(axis: AxisRange, start: float, end: float) -> Axis:
    low, high = np.log10((axis.low, axis.high)) if axis.log else (axis.low, axis.high)
    return Axis(float(low), float(high), start, end, axis.log)


def _heat(mean: np.ndarray, bottom: float, top: float) -> Markup:
    """The plane as a picture, smooth between its points."""
    rows, columns = mean.shape
    fine_rows, fine_columns = (np.linspace(0, n - 1, (n - 1) * FINE) for n in (rows, columns))
    across = np.stack([np.interp(fine_columns, np.arange(columns), row) for row in mean])
    fine = np.stack([np.interp(fine_rows, np.arange(rows), column) for column in across.T], axis=1)
    shares = (fine - bottom) / max(top - bottom, 1e-12)
    return Markup("<image x='{}' y='{}' width='{}' height='{}' preserveAspectRatio='none' href='{}'/>").format(
        LEFT, TOP, WIDTH - RIGHT - LEFT, HEIGHT - BOTTOM - TOP, picture_uri(viridis(shares[::-1]))
    )


def _contours(mean: np.ndarray, level: float, x: Axis, y: Axis) -> list[str]:
    """Where the expected score crosses a level, as SVG paths."""
    from skimage.measure import find_contours

    paths = []
    for line in find_contours(mean, level):  # type: ignore[no-untyped-call]
        rows, columns = line[:, 0] / (mean.shape[0] - 1), line[:, 1] / (mean.shape[1] - 1)
        at = [
            f"{x.start + float(c) * (x.end - x.start):.1f} {y.start + float(r) * (y.end - y.start):.1f}"
            for r, c in zip(rows, columns, strict=True)
        ]
        paths.append("M" + "L".join(at))
    return paths


def _theory(surface: ResponseSurface, plane: Plane, x: Axis, y: Axis) -> str:
    """Where sigma_p is the theory's own, if the plane shows sigma_p."""
    if surface.theory is None:
        return ""
    if SIGMA_A not in (plane.x, plane.y):
        return _level(surface.theory.rho, plane, x, y)
    if not shows_theory(plane):
        return ""
    scales = surface.theory.sigma_a
    across, up = (scales if name == SIGMA_A else surface.theory.along(name) for name in (plane.x, plane.y))
    inside = [
        (a, b) for a, b in zip(across, up, strict=True) if x.low <= x.of(a) <= x.high and y.low <= y.of(b) <= y.high
    ]
    return "M" + "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in inside) if len(inside) > 1 else ""


def _level(rho: float, plane: Plane, x: Axis, y: Axis) -> str:
    """The theory's own ratio at the best sigma_a, across a plane of the ratio and a third axis."""
    if plane.y == RATIO and y.low <= y.of(rho) <= y.high:
        return f"M{x.start} {y(rho):.1f}H{x.end}"
    if plane.x == RATIO and x.low <= x.of(rho) <= x.high:
        return f"M{x(rho):.1f} {y.start}V{y.end}"
    return ""


def _dots(
    scored: Sequence[tuple[Observation, float]], plane: Plane, x: Axis, y: Axis, bottom: float, top: float
) -> list[Markup]:
    """Each trial in the colour of its own score; a pruned one is smaller."""
    colours = viridis((np.array([score for _, score in scored]) - bottom) / max(top - bottom, 1e-12))
    return [
        _trial(round(x(one.params[plane.x]), 1), round(y(one.params[plane.y]), 1), f"#{bytes(colour).hex()}",
               5.0 if one.score is not None else 3.5)
        for (one, _), colour in zip(scored, colours, strict=True)
    ]  # fmt: skip


def _trial(x: float, y: float, colour: str, radius: float) -> Markup:
    place = f"cx='{x}' cy='{y}'"  # numbers and a colour: nothing to escape
    ring, dot = f"<circle class='ring' {place} r='{radius + 1.5}'/>", f"<circle class='trial' {place} r='{radius}'"
    return Markup(f"{ring}{dot} fill='{colour}'/>")


def _on_heat(mark: str) -> Markup:
    """A key of the legend on a patch of the heat map's colour."""
    return Markup("<rect x='0' y='-8' width='26' height='16' rx='2' fill='#2c718e'/>") + Markup(mark)


def _scale_bar() -> Markup:
    steps = [
        Markup("<rect x='{}' y='-6' width='3.4' height='12' fill='{}'/>").format(
            round(place * 3.25, 2), hexadecimal(place / 7)
        )
        for place in range(8)
    ]
    return Markup("").join(steps)


def _whole(count: int) -> list[float]:
    """At most eight whole numbers from 1 to ``count``."""
    step = max(1, -(-count // 8))
    return [1.0, *[float(mark) for mark in range(step, count + 1, step) if mark > 1]]
