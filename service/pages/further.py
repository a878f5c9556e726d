"""The section of a dataset of several signals: every signal's scores, and small pictures of as many as are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.pages import words
from service.pages.colours import picture_uri, viridis
from service.pages.pictures import Picture, Shown
from service.records import Dataset
from vi3nr.signals import Signal, to_levels
from workers.exhibits import Exhibit, shown_points
from workers.marching import surface_of
from workers.result import Arm, FamilyResult, StudyResult

__all__ = ["MOST_SHOWN", "Further", "Line", "further_section", "places_shown"]

MOST_SHOWN = 12  # signals beside the first one whose pictures are shown
SMALL = 96  # pixels of a picture's longer side, about
WAVE = (48, 160)  # rows and columns of a waveform


@dataclass(frozen=True)
class Line:
    """One signal: what it is called, what it was for, and the mean scores of two arms over their seeds."""

    place: int
    name: str
    use: str
    scores: tuple[str, ...]


@dataclass(frozen=True)
class Further:
    """The section: names of the arms that are compared, a line for each signal, and pictures, row by row."""

    arms: tuple[str, ...]
    lines: tuple[Line, ...]
    rows: tuple[tuple[Picture, ...], ...]
    note: str


def further_section(
    dataset: Dataset, result: StudyResult, family: FamilyResult, shown: Sequence[Shown], signals: Mapping[int, Signal]
) -> Further | None:
    """The section of one family; None where the dataset has one signal.

    Args:
        dataset: what was uploaded.
        result: the answer.
        family: whose.
        shown: what its networks make of the signals, those of the first one too.
        signals: those that pictures are made of, by their places.
    """
    if len(dataset.signals) < 2:
        return None
    arms = _compared(family)
    lines = tuple(
        Line(place, one.name, "searched on" if place < result.signals else "held out",
             tuple(words.score(_mean(arm, place), result.unit) for arm in arms))
        for place, one in enumerate(dataset.signals)
    )  # fmt: skip
    rows = tuple(
        _row(signals[place], dataset.signals[place].name, [one for one in shown if one.exhibit.signal == place])
        for place in sorted(signals)
        if any(one.exhibit.signal == place for one in shown)
    )
    return Further(tuple(words.arm_name(arm) for arm in arms), lines, rows, _note(dataset, result, rows))


def places_shown(exhibits: Sequence[Exhibit], held_out_from: int) -> list[int]:
    """The signals beside the first one whose pictures are shown: held-out ones before others."""
    kept = sorted({one.signal for one in exhibits if one.signal}, key=lambda place: (place < held_out_from, place))
    return kept[:MOST_SHOWN]


def _compared(family: FamilyResult) -> list[Arm]:
    """The winner and what it is compared with."""
    usual = None if family.comparison is None else family.comparison.baseline
    others = [arm for arm in family.arms if arm.name == usual and arm.name != family.winner.name]
    return [family.winner, *others]


def _mean(arm: Arm, place: int) -> float | None:
    found = [scores[place] for scores in arm.per_signal if place < len(scores)]
    return sum(found) / len(found) if found else None


def _note(dataset: Dataset, result: StudyResult, rows: Sequence[Sequence[Picture]]) -> str:
    told = "One init config, and a network of its own for each signal."
    if result.held_out_signals:
        told += " The search never saw those that are held out: their scores say how well the config carries over."
    left = len(dataset.signals) - len(rows)
    return f"{told} Of {left} signals there are no pictures here." if left else told


def _row(signal: Signal, name: str, shown: Sequence[Shown]) -> tuple[Picture, ...]:
    stride = max(one.exhibit.stride for one in shown)
    truth = _small(signal, signal.values[shown_points(signal.shape, stride)], stride, None)
    pictures = [_picture(name, "the original", truth)]
    for one in shown:
        exhibit = one.exhibit
        made = _small(signal, exhibit.values, exhibit.stride, exhibit.distances)
        pictures.append(_picture(one.title, words.metrics(signal.kind, exhibit.metrics), made))
    return tuple(pictures)


def _picture(title: str, caption: str, pixels: np.ndarray) -> Picture:
    return Picture(title, caption, f"{title}: {caption}", picture_uri(pixels), pixels.shape[1], pixels.shape[0])


def _small(signal: Signal, values: np.ndarray, stride: int, distances: np.ndarray | None) -> np.ndarray:
    return PIXELS[signal.kind](signal, values, stride, distances)


def _image(signal: Signal, values: np.ndarray, stride: int, _: np.ndarray | None) -> np.ndarray:
    height, width = (-(-side // stride) for side in signal.shape)
    pixels = to_levels(values).reshape(height, width, -1)[:: (more := -(-max(height, width) // SMALL)), ::more]
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3]


def _wave(_: Signal, values: np.ndarray, __: int, ___: np.ndarray | None) -> np.ndarray:
    """The range of the amplitude in each column, dark on white."""
    rows, columns = WAVE
    parts = np.array_split(np.clip(np.nan_to_num(values.mean(axis=1)), -1.0, 1.0), min(columns, len(values)))
    places = np.linspace(1.0, -1.0, rows)[:, None]
    low, high = (np.array([find(part) for part in parts]) for find in (np.min, np.max))
    half = 1.0 / rows
    return np.where((places >= low - half) & (places <= high + half), 40, 255).astype(np.uint8)


def _array(signal: Signal, values: np.ndarray, stride: int, _: np.ndarray | None) -> np.ndarray:
    if len(signal.shape) == 1:
        return _wave(signal, values, stride, None)
    grid = values[:, 0].reshape([-(-side // stride) for side in signal.shape])
    while grid.ndim > 2:
        grid = grid[len(grid) // 2]
    more = -(-max(grid.shape) // SMALL)
    return viridis((grid[::more, ::more] + 1.0) / 2.0)


def _shape(signal: Signal, _: np.ndarray, __: int, distances: np.ndarray | None) -> np.ndarray:
    from service.surface_mesh import shaded

    mesh = (signal.extras["vertices"], signal.extras["faces"]) if distances is None else surface_of(distances)
    return np.full((SMALL, SMALL), 255, np.uint8) if mesh is None else shaded(*mesh, SMALL)


PIXELS: Mapping[str, Callable[[Signal, np.ndarray, int, np.ndarray | None], np.ndarray]] = {
    "image": _image, "sound": _wave, "array": _array, "shape": _shape,
}  # fmt: skip
