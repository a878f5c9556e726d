"""A small line chart as SVG text, so that a plot needs no further package. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Axis", "Series", "axis_of", "line_chart"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito 2008
WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 36, 48
LINE = 18  # of the legend
FACE = "font-family='sans-serif' font-size='12'"


@dataclass(frozen=True)
class Series:
    """One line: ``y`` over ``x``, with a spread from ``low`` to ``high`` where given; dashed for predictions."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False
    colour: int | None = None  # of COLOURS; None: the next one


@dataclass(frozen=True)
class Axis:
    """Maps numbers to pixels, linearly or in the logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        share = (self.of(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def of(self, value: float) -> float:
        """The value on the axis's own scale."""
        return math.log10(value) if self.log else value

    def ticks(self) -> list[float]:
        """Round numbers within the range: powers of ten (with 2 and 5 where few), or multiples of a round step."""
        if not self.log:
            return _multiples(self.low, self.high)
        first, last = math.floor(self.low), math.ceil(self.high)
        every = max(1, round((last - first) / 6))
        parts = (1.0, 2.0, 5.0) if self.high - self.low < 2.5 else (1.0,)
        marks = [part * 10.0**k for k in range(first, last + 1, every) for part in parts]
        marks = [mark for mark in marks if self.low - 1e-9 <= self.of(mark) <= self.high + 1e-9]
        if len(marks) < 3 and self.high - self.low < 1.0:
            return _multiples(10.0**self.low, 10.0**self.high)
        return marks


def _multiples(low: float, high: float) -> list[float]:
    """Four to seven or so multiples of a round step between two numbers."""
    raw = (high - low) / 5.0
    unit = 10.0 ** math.floor(math.log10(raw))
    step = unit * min((1.0, 2.0, 5.0, 10.0), key=lambda multiple: abs(multiple * unit - raw))
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    x_ticks: Sequence[float] | None = None,
) -> str:
    """The chart as one SVG document.

    Args:
        series: at least one; points that are not finite, or not positive on a logarithmic axis, are left out.
        title: above the chart.
        x_label: below the chart, with the unit.
        y_label: beside the chart, with the unit.
        log_x: whether x is shown on a logarithmic scale.
        log_y: whether y is.
        x_ticks: where to mark x; None: round numbers.

    Raises:
        ValueError: if nothing can be shown, or a series' sequences differ in length.
    """
    shown = [_points(one, log_x, log_y) for one in series]
    if not any(shown):
        raise ValueError(f"the chart {title!r} has no point to show")
    x = axis_of([point[0] for points in shown for point in points], (LEFT, WIDTH - RIGHT), log_x)
    bottom = HEIGHT - BOTTOM
    y = axis_of([value for points in shown for point in points for value in point[1:]], (bottom, TOP), log_y)
    rows = (len(series) + 1) * LINE
    middle = f"translate(16 {(TOP + bottom) / 2}) rotate(-90)"
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT + rows}' {FACE}>",
        f"<rect width='{WIDTH}' height='{HEIGHT + rows}' fill='white'/>",
        f"<text x='{WIDTH / 2}' y='20' text-anchor='middle' font-size='14'>{escape(title)}</text>",
        *_frame(x, y, x.ticks() if x_ticks is None else x_ticks),
        f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 10}' text-anchor='middle'>{escape(x_label)}</text>",
        f"<text transform='{middle}' text-anchor='middle'>{escape(y_label)}</text>",
    ]
    for index, (one, points) in enumerate(zip(series, shown, strict=True)):
        parts += _line(one, points, x, y, COLOURS[(index if one.colour is None else one.colour) % len(COLOURS)], index)
    return "\n".join([*parts, "</svg>\n"])


def _points(one: Series, log_x: bool, log_y: bool) -> list[tuple[float, float, float, float]]:
    """(x, y, low, high) of what can be shown."""
    rows = zip(one.x, one.y, one.low or one.y, one.high or one.y, strict=True)
    return [row for row in rows if all(map(math.isfinite, row)) and not _hidden(row, log_x, log_y)]


def _hidden(row: tuple[float, ...], log_x: bool, log_y: bool) -> bool:
    return (log_x and row[0] <= 0.0) or (log_y and min(row[1:]) <= 0.0)


def axis_of(values: Sequence[float], span: tuple[float, float], log: bool) -> Axis:
    """An axis with some room around the values, which lie within ``span`` (pixels of its ends)."""
    low, high = (math.log10(v) if log else v for v in (min(values), max(values)))
    room = 0.05 * (high - low) or 0.5 * max(abs(low), 1e-3)
    return Axis(low - room, high + room, *span, log)


def _frame(x: Axis, y: Axis, x_ticks: Sequence[float]) -> list[str]:
    parts = [
        f"<rect x='{LEFT}' y='{TOP}' width='{WIDTH - LEFT - RIGHT}' height='{HEIGHT - TOP - BOTTOM}' fill='none' "
        "stroke='#888'/>"
    ]
    for mark in x_ticks:
        at = f"{x(mark):.1f}"
        parts.append(f"<path d='M{at} {HEIGHT - BOTTOM}v5' stroke='#888'/>")
        parts.append(f"<text x='{at}' y='{HEIGHT - BOTTOM + 18}' text-anchor='middle'>{mark:.4g}</text>")
    for mark in y.ticks():
        height = y(mark)
        parts.append(f"<path d='M{LEFT} {height:.1f}H{WIDTH - RIGHT}' stroke='#ddd'/>")
        parts.append(f"<text x='{LEFT - 6}' y='{height + 4:.1f}' text-anchor='end'>{mark:.7g}</text>")
    return parts


def _line(
    one: Series, points: list[tuple[float, float, float, float]], x: Axis, y: Axis, colour: str, index: int
) -> list[str]:
    dash = " stroke-dasharray='6 4'" if one.dashed else ""
    parts = []
    if one.low is not None or one.high is not None:
        for at, _, low, high in points:
            parts.append(f"<path d='M{x(at):.1f} {y(low):.1f}V{y(high):.1f}' stroke='{colour}' opacity='0.6'/>")
    path = " ".join(f"{x(point[0]):.1f},{y(point[1]):.1f}" for point in points)
    parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'{dash}/>")
    if not one.dashed:
        parts += [f"<circle cx='{x(p[0]):.1f}' cy='{y(p[1]):.1f}' r='3' fill='{colour}'/>" for p in points]
    at = HEIGHT + (index + 0.5) * LINE
    parts.append(f"<path d='M{LEFT} {at:.1f}h28' stroke='{colour}' stroke-width='2'{dash}/>")
    parts.append(f"<text x='{LEFT + 36}' y='{at + 4:.1f}'>{escape(one.label)}</text>")
    return parts
