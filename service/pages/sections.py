"""What networks make of a signal, by its kind: a kind has one function that lays out its section of the report.

A new kind adds its function to ``KINDS``; the section may be pictures (``Picture``) or any HTML of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.pages.grids import array_section
from service.pages.pictures import Reconstructions, Shown, image_section
from service.pages.shapes import shape_section
from service.pages.sounds import sound_section
from vi3nr.signals import Signal

__all__ = ["KINDS", "reconstructions"]

Section = Callable[[Signal, Sequence[Shown], str, Mapping[str, Any]], Reconstructions | None]
KINDS: Mapping[str, Section] = {
    "image": image_section,
    "sound": sound_section,
    "array": array_section,
    "shape": shape_section,
}


def reconstructions(
    signal: Signal, shown: Sequence[Shown], name: str, meta: Mapping[str, Any]
) -> Reconstructions | None:
    """The section of this kind of signal; None for a kind that has no section, or without exhibits.

    Args:
        signal: the original.
        shown: what networks make of it.
        name: what its owner calls it.
        meta: what was done to the upload, as the dataset's answer tells.
    """
    layout = KINDS.get(signal.kind)
    return None if layout is None or not shown else layout(signal, shown, name, meta)
