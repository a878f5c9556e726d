"""What the sections of all kinds of signals are made of, and the section of an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from service.pages import words
from service.pages.colours import picture_uri, viridis
from vi3nr.signals import Signal, to_levels
from workers.exhibits import Exhibit, shown_points

__all__ = ["Picture", "Reconstructions", "Shown", "colour_bar", "image_section", "nth", "psnr_of"]

ENLARGE = 128  # a smaller picture shows its pixels


@dataclass(frozen=True)
class Shown:
    """An exhibit under the name that the page gives it."""

    title: str
    exhibit: Exhibit


@dataclass(frozen=True)
class Picture:
    """One picture with its caption."""

    title: str
    caption: str
    alt: str
    uri: str
    width: int
    height: int
    error: bool = False

    @property
    def small(self) -> bool:
        """Whether its pixels should be seen as squares."""
        return self.width < ENLARGE


@dataclass(frozen=True)
class Reconstructions:
    """A section: pictures in rows, then HTML of the kind's own, then a sentence on how to read them."""

    pictures: tuple[Picture, ...]
    html: Markup
    note: str
    scale: Markup  # of the colours


def image_section(signal: Signal, shown: Sequence[Shown], name: str, __: Mapping[str, Any]) -> Reconstructions:
    """Original, reconstructions, and error maps on one scale."""
    stride = max(one.exhibit.stride for one in shown)
    truth = _pixels(signal, signal.values[shown_points(signal.shape, stride)], stride)
    found = [(one, _pixels(signal, _values(one.exhibit, signal, stride), stride)) for one in shown]
    errors = [np.abs(_flat(pixels) - _flat(truth)).mean(axis=-1) / 255.0 for _, pixels in found]
    top = float(np.quantile(np.concatenate([error.ravel() for error in errors]), 0.995)) or 1 / 255
    height, width = truth.shape[:2]
    pictures = [Picture("Original", f"{signal.shape[1]} x {signal.shape[0]} pixels", f"The original picture, {name}",
                        picture_uri(truth), width, height)]  # fmt: skip
    for one, pixels in found:
        psnr = psnr_of(one.exhibit, signal)
        pictures.append(
            Picture(one.title, words.as_shown(psnr, one.exhibit.seed), f"Reconstruction by {one.title}",
                    picture_uri(pixels), width, height)
        )  # fmt: skip
    for (one, _), error in zip(found, errors, strict=True):
        pictures.append(
            Picture(f"Error of {one.title}", f"mean {words.percent(float(error.mean()), 2)} of the range",
                    f"Error map of {one.title}: bright where it is far from the original",
                    picture_uri(viridis(error / top)), width, height, error=True)
        )  # fmt: skip
    thinned = f" {nth(stride)} pixel of each row and column is shown." if stride > 1 else ""
    note = (
        "Error: mean over the channels of the absolute difference, on one scale from 0 (dark) to "
        f"{words.percent(top, 1)} of the range (bright); 99.5 % of the pixels lie on it.{thinned}"
    )
    return Reconstructions(tuple(pictures), Markup(""), note, colour_bar(words.percent(top, 1)))


def nth(stride: int) -> str:
    """``Every second``, ``Every third``, ``Every 4th``."""
    return f"Every {({2: 'second', 3: 'third'}).get(stride, f'{stride}th')}"


def colour_bar(top: str, bottom: str = "0") -> Markup:
    """The scale of a map in colours."""
    bar = picture_uri(viridis(np.linspace(0.0, 1.0, 64)[None]))
    return Markup(
        "<svg class='chart' viewBox='0 0 240 34'><image x='0' y='0' width='240' height='14' "
        "preserveAspectRatio='none' href='{}'/><text class='tick' x='0' y='30'>{}</text>"
        "<text class='tick' x='240' y='30' text-anchor='end'>{}</text></svg>"
    ).format(bar, bottom, top)


def _values(exhibit: Exhibit, signal: Signal, stride: int) -> np.ndarray:
    """The exhibit's values at a coarser stride, a multiple of its own."""
    if exhibit.stride == stride:
        return exhibit.values
    own = shown_points(signal.shape, exhibit.stride)
    return exhibit.values[np.isin(own, shown_points(signal.shape, stride))]


def _pixels(signal: Signal, values: np.ndarray, stride: int) -> np.ndarray:
    shape = tuple(-(-side // stride) for side in signal.shape)
    return to_levels(values).reshape(shape if values.shape[1] == 1 else (*shape, values.shape[1]))


def _flat(pixels: np.ndarray) -> np.ndarray:
    """Pixels as float64 with a last axis of channels."""
    return pixels.reshape(*pixels.shape[:2], -1).astype(np.float64)


def psnr_of(exhibit: Exhibit, signal: Signal) -> float:
    """Over the points shown, for values in [-1, 1]; unclipped as scores are."""
    truth = signal.values[shown_points(signal.shape, exhibit.stride)]
    mse = float(np.square(exhibit.values.astype(np.float64) - truth).mean())
    return 10.0 * math.log10(4.0 / mse) if mse > 0.0 else math.inf
