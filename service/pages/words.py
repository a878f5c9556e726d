"""Numbers and settings as a reader of a page wants them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from service.records import Study
from vi3nr.activations import family_of
from vi3nr.metrics_table import metrics_of
from workers.response_data import AxisResponse
from workers.result import Arm, Interval

__all__ = [
    "arm_name", "as_shown", "basin", "between", "digits", "duration", "extent", "hidden_layers", "mean", "metrics",
    "near", "number", "percent", "progress", "rule_name", "scale", "score", "signed", "theory",
]  # fmt: skip

PHASES = {
    "search": "Searching",
    "continue": "Training the best ones to the end",
    "confirm": "Confirming with fresh seeds",
}


def number(value: float | None) -> str:
    """Four digits; nothing for None."""
    return "" if value is None else f"{value:.4g}"


def digits(unit: str) -> int:
    """Behind the point, of a score in this unit."""
    return 2 if unit == "dB" else 0


def between(one: Interval, unit: str) -> str:
    """``27.90 to 28.42``; nothing where one seed gives no interval."""
    if one.low is None or one.high is None:
        return ""
    return f"{one.low:z.{digits(unit)}f} to {one.high:z.{digits(unit)}f}"


def signed(value: float, unit: str) -> str:
    """``+1.24``, with a true minus sign."""
    return f"{value:+z.{digits(unit)}f}".replace("-", "\u2212")


def percent(share: float, places: int = 0) -> str:
    """``3.5 %``."""
    return f"{100 * share:.{places}f} %"


def basin(axis: AxisResponse) -> str:
    """How far one may move along an axis."""
    low, high = number(axis.basin.low), number(axis.basin.high)
    if axis.basin.open_below and axis.basin.open_above:
        where = f"Good over the whole searched range, {low} to {high}"
    elif axis.basin.open_below:
        where = f"Good up to {high}"
    else:
        where = f"Good from {low} on" if axis.basin.open_above else f"Good from {low} to {high}"
    return f"{where}. Importance {percent(axis.importance)}."


def as_shown(psnr: float, seed: int) -> str:
    """Below what a network makes of the points that a page shows, whatever the study's objective is."""
    return f"PSNR {psnr:.2f} dB as shown, seed {seed}"


def near(unit: str, decibel: float) -> str:
    """How far below the best the good basin ends: ``within 1 dB of the best``."""
    return f"within {decibel:.4g} {unit} of the best"


def theory(family: str, kind: str, sigma_p: float | None) -> str:
    """What the theory says at the winner's scale."""
    if kind == "any":
        return "With this activation every sigma_p keeps signal and gradients alike."
    alike = "keeps signal and gradients alike" + (", for real pre-activations" if family_of(family).complex else "")
    which = "No sigma_p of this family" if sigma_p is None else f"At this sigma_a a sigma_p of {number(sigma_p)}"
    return f"{which} {alike} ({kind.replace('_', ' ')})."


def extent(kind: str, shape: Sequence[int]) -> str:
    """``24 x 16 pixels`` of an image, width first; ``400 points``; the sides of others, slowest first."""
    if kind == "image":
        return " x ".join(map(str, reversed(shape))) + " pixels"
    return " x ".join(map(str, shape)) + (" points" if len(shape) == 1 else "")


def hidden_layers(network: Mapping[str, int]) -> str:
    """``3 hidden layers of 64 units``, of a request's network."""
    count = network["hidden_layers"]
    return f"{count} hidden {'layer' if count == 1 else 'layers'} of {network['width']} units"


def scale(family: str, sigma_a: float) -> str:
    """The scale as the family's users call it: ``omega 30`` of sine, ``sigma_a 0.05`` of the others."""
    return f"omega {1 / sigma_a:.4g}" if family == "sine" else f"sigma_a {sigma_a:.4g}"


def arm_name(arm: Arm) -> str:
    """Without the family, which stands above; a found one with its scale, which the usual ones name themselves."""
    return f"{rule_name(arm)}, {scale(arm.family, arm.sigma_a)}" if arm.kind == "finalist" else _own(arm)


def rule_name(arm: Arm) -> str:
    """Without family and scale, for a table that has a column of scales."""
    return re.sub(r", (sigma_a|omega) [^,]+", "", _own(arm))


def _own(arm: Arm) -> str:
    return arm.name.removeprefix(f"{arm.family} ")


def duration(seconds: float) -> str:
    """``48 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def mean(one: Interval, unit: str) -> str:
    """The mean alone."""
    return f"{one.mean:.{digits(unit)}f}"


def score(value: float | None, unit: str) -> str:
    """One score alone; nothing for None."""
    return "" if value is None else f"{value:.{digits(unit)}f}"


def metrics(kind: str, values: Mapping[str, float | None]) -> str:
    """``PSNR 27.31 dB, SSIM 0.912``: what is known of the metrics of this kind of signal, the main one first."""
    found = [(one, values.get(one.name)) for one in metrics_of(kind)]
    return ", ".join(f"{one.label} {metric(value, one.unit)}" for one, value in found if value is not None)


def metric(value: float, unit: str) -> str:
    """A metric's value with its unit: two digits behind the point of dB, three digits of others."""
    return f"{value:.2f} {unit}" if unit == "dB" else f"{value:.3g}"


def progress(study: Study) -> str:
    """Where a study stands, as a sentence."""
    note = study.progress
    if note is None:
        return "Waiting for a runner."
    parts = [f"{PHASES.get(note.phase, note.phase)}: {note.trials_done} of {note.trials_total} trials"]
    if note.phase != "search":
        parts.append(f"{note.runs_done} of {note.runs_total} runs")
    if note.best_score is not None:
        best = f"{note.best_score:.{digits(note.unit)}f} {note.unit}"
        parts.append(f"best so far {best} ({note.best_family}, trial {note.best_trial})")
    if study.seconds_left is not None:
        parts.append(f"about {duration(study.seconds_left)} left")
    return ", ".join(parts) + "."
