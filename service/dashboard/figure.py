"""The response surface as a figure of plotly's, which the dashboard brings: plain data, no package of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from service.pages.colours import STOPS
from service.pages.surface_plots import DEPTH, WORDS
from service.pages.words import near
from service.surfaces import Learned
from workers.axes import RATIO, SIGMA_A, SIGMA_P
from workers.response import expected_finals
from workers.response_data import AxisRange, Observation, Plane, TheoryLine

__all__ = ["surface_figure"]

SCALE = [[place / (len(STOPS) - 1), f"#{bytes(stop.astype(np.uint8)).hex()}"] for place, stop in enumerate(STOPS)]
FEWEST = 6  # trials that a surface is shown for
CURVES = 16  # steps of colour
Point = tuple[float, float]


def surface_figure(learned: Learned, unit: str, decibel: float) -> str | None:
    """Expected score as JSON, over the plane with the theory's line where there is one, else over the two axes that
    matter most: the trials, the good basin, the best point, the theory's line.

    Args:
        learned: of one family.
        unit: of scores.
        decibel: what 1 dB is in this unit.

    Returns:
        None with few trials or a single axis.
    """
    surface = learned.surface
    plane = None if surface is None else surface.theory_plane or surface.plane
    if surface is None or plane is None or len(learned.trials) < FEWEST:
        return None
    top = max(surface.best_mean, *map(max, plane.mean))
    bottom = max(min(map(min, plane.mean)), top - DEPTH * decibel)
    best = (surface.best[plane.x], surface.best[plane.y])
    ranges = {axis.name: axis for axis in learned.axes}
    data = [
        _heat(plane, bottom, top, unit),
        _basin(plane, surface.best_mean - decibel, near(unit, decibel)),
        *_theory(plane, surface.theory, ranges),
        _trials(learned.trials, plane, bottom, top, unit),
        _mark([best], "best point", f"{surface.best_mean:.2f} {unit}", symbol="cross", size=13, color="#ffffff"),
    ]
    layout = {
        "title": {"text": f"Expected score, {unit}, after {surface.trials} trials", "x": 0.02},
        "xaxis": _axis(ranges[plane.x]),
        "yaxis": _axis(ranges[plane.y]),
        "legend": {"orientation": "h", "y": -0.22, "font": {"color": "#ffffff"}, "bgcolor": "#2c718e"},
        "font": {"color": "#7a7a7a"},
        "paper_bgcolor": "rgba(0,0,0,0)",  # on white and on the dark scheme's grey
        "margin": {"l": 70, "r": 10, "t": 50, "b": 110},
    }
    return json.dumps({"data": data, "layout": layout}, allow_nan=False)


def _heat(plane: Plane, bottom: float, top: float, unit: str) -> dict[str, Any]:
    return {
        "type": "contour", "x": plane.x_values, "y": plane.y_values, "z": plane.mean,
        "zmin": bottom, "zmax": top, "colorscale": SCALE, "line": {"width": 0}, "showlegend": False,
        "contours": {"start": bottom, "end": top, "size": max((top - bottom) / CURVES, 1e-9)}, "autocontour": False,
        "colorbar": {"title": {"text": unit}, "tickformat": ".1f" if unit == "dB" else ".0f"}, "name": "expected score",
        "hovertemplate": f"{plane.x} %{{x:.4g}}<br>{plane.y} %{{y:.4g}}<br>expected %{{z:.2f}} {unit}<extra></extra>",
    }  # fmt: skip


def _basin(plane: Plane, level: float, where: str) -> dict[str, Any]:
    return {
        "type": "contour", "x": plane.x_values, "y": plane.y_values, "z": plane.mean,
        "contours": {"coloring": "none", "start": level, "end": level, "size": 1}, "autocontour": False,
        "line": {"color": "#ffffff", "width": 2}, "showscale": False, "showlegend": True, "hoverinfo": "skip",
        "name": f"good basin: {where}",
    }  # fmt: skip


def _theory(plane: Plane, theory: TheoryLine | None, ranges: dict[str, AxisRange]) -> list[dict[str, Any]]:
    """The line where sigma_p is the theory's own, where the plane has it."""
    if theory is None or plane.x != SIGMA_A or plane.y not in (RATIO, SIGMA_P):
        return []
    heights = theory.along(plane.y)
    low, high = ranges[plane.y].low, ranges[plane.y].high
    points = [(a, b) for a, b in zip(theory.sigma_a, heights, strict=True) if low <= b <= high]
    if not points:
        return []
    return [
        {
            "type": "scatter", "mode": "lines", "x": [a for a, _ in points], "y": [b for _, b in points],
            "line": {"color": "#ff6f61", "width": 3, "dash": "dash"}, "hoverinfo": "name",
            "name": f"the theory's own sigma_p: {theory.rho:.4g} sigma_a at the best sigma_a",
        }
    ]  # fmt: skip


def _trials(trials: Sequence[Observation], plane: Plane, bottom: float, top: float, unit: str) -> dict[str, Any]:
    """Each in the colour of its score; a pruned one is smaller, and has the score that it was expected to reach."""
    scored = [(one, score) for one, score in zip(trials, expected_finals(trials), strict=True) if score is not None]
    return {
        "type": "scatter", "mode": "markers", "name": "trials, by their score",
        "x": [one.params[plane.x] for one, _ in scored], "y": [one.params[plane.y] for one, _ in scored],
        "text": [f"{score:.2f} {unit}" + (" expected, pruned" if one.score is None else "") for one, score in scored],
        "hovertemplate": f"{plane.x} %{{x:.4g}}<br>{plane.y} %{{y:.4g}}<br>%{{text}}<extra></extra>",
        "marker": {
            "color": [score for _, score in scored], "cmin": bottom, "cmax": top, "colorscale": SCALE,
            "size": [8 if one.score is None else 11 for one, _ in scored], "line": {"color": "#222222", "width": 1.5},
        },
    }  # fmt: skip


def _mark(points: Sequence[Point], name: str, text: str, **marker: Any) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": name, "text": text, "hoverinfo": "text+name",
        "x": [a for a, _ in points], "y": [b for _, b in points],
        "marker": marker | {"line": {"color": "#222222", "width": 1.5}},
    }  # fmt: skip


def _axis(axis: AxisRange) -> dict[str, Any]:
    ends = [float(np.log10(axis.low)), float(np.log10(axis.high))] if axis.log else [axis.low, axis.high]
    return {"title": {"text": WORDS[axis.name]}, "type": "log" if axis.log else "linear", "range": ends}
