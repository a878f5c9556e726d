"""Line charts as SVG for a page: colours come from the page's style sheet, so that they follow light, dark and print.

Classes decide what a line is: ``winner``, ``usual``, ``theory``, ``other``. Every chart has a title and a description
for those who cannot see it, and its legend below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from vi3nr.plots import Axis, axis_of

__all__ = ["Chart", "Frame", "Line", "line_chart"]

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 12, 46
ROW = 20  # of the legend
RANK = ("winner", "usual", "theory", "other")  # in the legend


@dataclass(frozen=True)
class Line:
    """``y`` over ``x``; a band or bars from ``low`` to ``high`` where given."""

    label: str  # empty: not in the legend
    style: str  # class: winner, usual, theory, other
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False
    points: bool = False  # dots, with bars for low to high, instead of a line with a band
    joined: bool = True


@dataclass(frozen=True)
class Chart:
    """What a chart says in words, and its axes."""

    title: str
    description: str
    x_label: str
    y_label: str
    log_x: bool = False
    log_y: bool = False
    x_ticks: Sequence[float] | None = None
    shade: tuple[float, float] | None = None  # from and to, on x
    shade_label: str = ""


class Frame:
    """The plotting area of a chart: pixels of values, ticks, labels."""

    def __init__(self, x: Axis, y: Axis, height: int = HEIGHT, *, grid: bool = True) -> None:
        self.x, self.y, self.height, self.grid = x, y, height, grid
        self.bottom = height - BOTTOM

    def draw(self, chart: Chart) -> list[Markup]:
        """Grid, ticks and labels."""
        x, y, bottom = self.x, self.y, self.bottom
        parts = []
        for mark in y.ticks():
            at = round(y(mark), 1)
            line = ("grid", f"H{WIDTH - RIGHT}") if self.grid else ("axis", "h-5")
            parts.append(Markup("<path class='{}' d='M{} {}{}'/>").format(line[0], LEFT, at, line[1]))
            parts.append(
                Markup("<text class='tick' x='{}' y='{}' text-anchor='end'>{}</text>").format(
                    LEFT - 7, at + 4, _plain(mark)
                )
            )
        for mark in x.ticks() if chart.x_ticks is None else chart.x_ticks:
            at = round(x(mark), 1)
            parts.append(Markup("<path class='axis' d='M{} {}v5'/>").format(at, bottom))
            parts.append(
                Markup("<text class='tick' x='{}' y='{}' text-anchor='middle'>{}</text>").format(
                    at, bottom + 18, _plain(mark)
                )
            )
        parts.append(Markup("<path class='axis' d='M{} {}H{}'/>").format(LEFT, bottom, WIDTH - RIGHT))
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(
            Markup("<text class='label' x='{}' y='{}' text-anchor='middle'>{}</text>").format(
                middle, self.height - 8, chart.x_label
            )
        )
        parts.append(
            Markup(
                "<text class='label' transform='translate(13 {}) rotate(-90)' text-anchor='middle'>{}</text>"
            ).format((TOP + bottom) / 2, chart.y_label)
        )
        return parts


def line_chart(chart: Chart, lines: Sequence[Line]) -> Markup:
    """The chart as one SVG element; an empty text where no line has a point that can be shown."""
    shown = [(line, _rows(line, chart)) for line in lines]
    shown = [(line, rows) for line, rows in shown if rows]
    if not shown:
        return Markup("")
    xs = [row[0] for _, rows in shown for row in rows] + list(chart.shade or ())
    ys = [value for _, rows in shown for row in rows for value in row[1:]]
    x = axis_of(xs, (LEFT, WIDTH - RIGHT), chart.log_x)
    y = axis_of(ys, (HEIGHT - BOTTOM, TOP), chart.log_y)
    frame = Frame(x, y)
    parts = []
    if chart.shade is not None:
        start, end = (round(x(value), 1) for value in chart.shade)
        parts.append(
            Markup("<rect class='shade' x='{}' y='{}' width='{}' height='{}'/>").format(
                start, TOP, max(1.0, round(end - start, 1)), HEIGHT - BOTTOM - TOP
            )
        )
    parts += frame.draw(chart)
    for line, rows in shown:
        parts += _draw(line, rows, x, y)
    entries = sorted(
        ((line, line.label) for line, _ in shown if line.label), key=lambda entry: RANK.index(entry[0].style.split()[0])
    )
    return svg(chart, parts, [_key(line, label) for line, label in entries] + _shade_key(chart), HEIGHT)


def svg(chart: Chart, parts: Sequence[Markup], legend: Sequence[tuple[Markup, str]], height: int) -> Markup:
    """The element: title and description, what is drawn, and the legend's rows below."""
    rows = []
    for place, (key, label) in enumerate(legend):
        at = height + place * ROW + 8
        rows.append(Markup("<g transform='translate({} {})'>{}").format(LEFT, at, key))
        rows.append(Markup("<text class='key' x='34' y='4'>{}</text></g>").format(label))
    return Markup("<svg class='chart' role='img' viewBox='0 0 {} {}'><title>{}</title><desc>{}</desc>{}</svg>").format(
        WIDTH, height + len(legend) * ROW + (6 if legend else 0), chart.title, chart.description,
        Markup("").join([*parts, *rows]),
    )  # fmt: skip


def _rows(line: Line, chart: Chart) -> list[tuple[float, float, float, float]]:
    """(x, y, low, high) of what can be shown."""
    low, high = line.y if line.low is None else line.low, line.y if line.high is None else line.high
    rows = zip(line.x, line.y, low, high, strict=True)
    return [
        row
        for row in rows
        if all(map(math.isfinite, row))
        and not (chart.log_x and row[0] <= 0.0)
        and not (chart.log_y and min(row[1:]) <= 0.0)
    ]


def _draw(line: Line, rows: Sequence[tuple[float, float, float, float]], x: Axis, y: Axis) -> list[Markup]:
    at = [(round(x(row[0]), 1), *(round(y(value), 1) for value in row[1:])) for row in rows]
    parts = []
    if line.low is not None and not line.points:
        edge = [f"{px},{high}" for px, _, _, high in at] + [f"{px},{low}" for px, _, low, _ in reversed(at)]
        parts.append(Markup("<polygon class='band {}' points='{}'/>").format(line.style, " ".join(edge)))
    if line.joined:
        path = " ".join(f"{px},{py}" for px, py, _, _ in at)
        kind = f"line {line.style}{' dashed' if line.dashed else ''}"
        parts.append(Markup("<polyline class='{}' points='{}'/>").format(kind, path))
    if line.points:
        style, bars = escape(line.style), line.low is not None
        marks = [
            (f"<path class='bar {style}' d='M{px} {low}V{high}'/>" if bars else "")
            + f"<circle class='dot {style}' cx='{px}' cy='{py}' r='4'/>"
            for px, py, low, high in at
        ]
        parts.append(Markup("".join(marks)))  # numbers, by the hundred: each escaped would take most of the page's time
    return parts


def _key(line: Line, label: str) -> tuple[Markup, str]:
    mark = Markup("")
    if line.low is not None and not line.points:
        mark += Markup("<rect class='band {}' x='0' y='-6' width='26' height='12'/>").format(line.style)
    if line.joined:
        kind = f"line {line.style}{' dashed' if line.dashed else ''}"
        mark += Markup("<path class='{}' d='M0 0H26'/>").format(kind)
    if line.points:
        mark += Markup("<circle class='dot {}' cx='13' cy='0' r='4'/>").format(line.style)
    return mark, label


def _shade_key(chart: Chart) -> list[tuple[Markup, str]]:
    if chart.shade is None or not chart.shade_label:
        return []
    return [(Markup("<rect class='shade' x='0' y='-6' width='26' height='12'/>"), chart.shade_label)]


def _plain(mark: float) -> str:
    """A tick's number, with a true minus sign."""
    return f"{mark:.6g}".replace("-", "\u2212") if abs(mark) >= 1e-4 or mark == 0.0 else f"{mark:.0e}"
