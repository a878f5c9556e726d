"""All arms of a confirmation beside each other: every seed's score and the mean."""

from __future__ import annotations

from markupsafe import Markup

from service.pages import words
from service.pages.charts import BOTTOM, RIGHT, TOP, WIDTH, Chart, svg
from vi3nr.ensemble.interface import WORST_SCORE
from vi3nr.plots import axis_of
from workers.result import Arm, FamilyResult

__all__ = ["arm_plot"]

LEFT, ROW = 216, 26
LONGEST = 30  # letters of an arm's name


def arm_plot(family: FamilyResult, unit: str) -> Markup:
    """One row for each arm, best first; runs that diverged lie off the scale and are left out."""
    usual = None if family.comparison is None else family.comparison.baseline
    rows = [(arm, [value for value in arm.values if value > WORST_SCORE]) for arm in family.arms]
    x = axis_of([value for _, values in rows for value in values] or [0.0, 1.0], (LEFT, WIDTH - RIGHT), False)
    bottom = TOP + ROW * len(rows)
    parts = []
    for place, (arm, values) in enumerate(rows):
        parts += _row(arm, values, TOP + ROW * place, [round(x(value), 1) for value in values],
                      "winner" if arm is family.arms[0] else "usual" if arm.name == usual else "other")  # fmt: skip
    for mark in x.ticks():
        at = round(x(mark), 1)
        parts.append(Markup("<path class='grid' d='M{} {}V{}'/>").format(at, TOP, bottom))
        tick = "<text class='tick' x='{}' y='{}' text-anchor='middle'>{}</text>"
        parts.append(Markup(tick).format(at, bottom + 18, f"{mark:.6g}".replace("-", "\u2212")))
    label = "<text class='label' x='{}' y='{}' text-anchor='middle'>score, {}</text>"
    parts.append(Markup(label).format((LEFT + WIDTH - RIGHT) / 2, bottom + BOTTOM - 8, unit))
    told = "; ".join(f"{words.arm_name(arm)} {words.mean(arm.score, unit)}" for arm in family.arms)
    chart = Chart("Scores of all that was confirmed", f"Mean scores in {unit}, best first: {told}.", "", "")
    return svg(chart, parts, [], bottom + BOTTOM)


def _row(arm: Arm, values: list[float], top: float, places: list[float], style: str) -> list[Markup]:
    middle = top + ROW / 2
    name = words.arm_name(arm)
    name = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    parts = []
    if style == "winner":
        parts.append(Markup("<rect class='stripe' x='0' y='{}' width='{}' height='{}'/>").format(top, WIDTH, ROW))
    parts.append(
        Markup("<text class='key' x='{}' y='{}' text-anchor='end'>{}</text>").format(LEFT - 10, middle + 4, name)
    )
    if values:
        mean = round(sum(places) / len(places), 1)
        parts.append(Markup("<path class='mean {}' d='M{} {}v14'/>").format(style, mean, middle - 7))
    return [
        *parts,
        *(Markup("<circle class='dot {}' cx='{}' cy='{}' r='4'/>").format(style, x, middle) for x in places),
    ]
