"""The section of a shape: its surface, lit, and a slice through the middle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from service.pages.colours import picture_uri, viridis
from service.pages.pictures import Picture, Reconstructions, Shown, psnr_of
from service.pages.words import as_shown
from vi3nr.signals import Signal
from workers.exhibits import SHAPE_SIDE

__all__ = ["shape_section"]

SIZE = 320  # pixels of a rendered surface


def shape_section(signal: Signal, shown: Sequence[Shown], name: str, _: Mapping[str, Any]) -> Reconstructions | None:
    """The true surface and each reconstruction's, then where a slice of each lies inside; None without a grid."""
    from service.surface_mesh import shaded
    from workers.marching import surface_of

    known = [one for one in shown if one.exhibit.distances is not None]
    if not known or "vertices" not in signal.extras:
        return None
    vertices, faces = signal.extras["vertices"], signal.extras["faces"]
    truth = np.asarray(signal.extras["inside"])
    pictures = [_surface("Original", f"{len(faces)} triangles", shaded(vertices, faces, SIZE), name)]
    slices = []
    for one in known:
        distances = np.asarray(one.exhibit.distances)
        mesh = surface_of(distances)
        caption = as_shown(psnr_of(one.exhibit, signal), one.exhibit.seed)
        picture = np.full((SIZE, SIZE), 255, np.uint8) if mesh is None else shaded(*mesh, SIZE)
        pictures.append(_surface(one.title, caption if mesh else f"{caption}; it has no surface", picture, one.title))
        slices.append(_slice(one.title, distances.reshape((SHAPE_SIDE,) * 3) < 0.0, truth))
    note = (
        "Surfaces: where the signed distance is 0, on a grid of 48 points a side. Slices at z = 0: bright where both "
        "agree on inside, middle where they differ, dark outside."
    )
    return Reconstructions((*pictures, *slices), Markup(""), note, Markup(""))


def _surface(title: str, caption: str, pixels: np.ndarray, name: str) -> Picture:
    return Picture(title, caption, f"The surface of {name}, lit from the upper left", picture_uri(pixels), SIZE, SIZE)


def _slice(title: str, inside: np.ndarray, truth: np.ndarray) -> Picture:
    """Both inside, one of them, none; x across, y up."""
    middle = inside.shape[2] // 2
    made, wanted = inside[:, :, middle].T[::-1], truth[:, :, truth.shape[2] // 2].T[::-1]
    both = float((inside & truth).sum()) / max(1, int((inside | truth).sum()))
    shares = (made.astype(float) + wanted.astype(float)) / 2.0
    return Picture(
        f"Slice of {title}", f"intersection over union {both:.3f}",
        f"A slice of {title} at z = 0 against the shape", picture_uri(viridis(shares)), made.shape[1], made.shape[0],
        error=True,
    )  # fmt: skip
