"""The section of an array: a curve for one axis, a picture for two, middle slices for three and more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from service.pages.charts import Chart, Line, line_chart
from service.pages.colours import picture_uri, viridis
from service.pages.pictures import Picture, Reconstructions, Shown, colour_bar, nth, psnr_of
from service.pages.words import as_shown
from vi3nr.signals import Signal
from workers.exhibits import shown_points

__all__ = ["array_section", "sliced"]


def array_section(signal: Signal, shown: Sequence[Shown], _: str, meta: Mapping[str, Any]) -> Reconstructions:
    """The first channel, as its number of axes allows."""
    if len(signal.shape) == 1:
        return _curves(signal, shown)
    axes = [axis for axis in meta.get("axes", ()) if axis != "c"][::-1] or [str(i) for i in range(len(signal.shape))]
    stride = shown[0].exhibit.stride
    truth = signal.values[shown_points(signal.shape, stride)]
    rows = [("Original", f"{' x '.join(map(str, signal.shape))} points", truth)]
    rows += [(one.title, as_shown(psnr_of(one.exhibit, signal), one.exhibit.seed), one.exhibit.values)
             for one in shown]  # fmt: skip
    shape = tuple(-(-side // stride) for side in signal.shape)
    html = Markup("").join(sliced(title, caption, values[:, 0].reshape(shape), axes) for title, caption, values in rows)
    thinned = f" {nth(stride)} point along each axis is shown." if stride > 1 else ""
    note = f"Values from -1 (dark) to 1 (bright), the first channel, the middle slice of the other axes.{thinned}"
    return Reconstructions((), html, note, colour_bar("1", "-1"))


def sliced(title: str, caption: str, grid: np.ndarray, axes: Sequence[str]) -> Markup:
    """A row of pictures: the grid's last two axes, and with three or more axes two further planes."""
    planes = [(-2, -1)] if grid.ndim == 2 else [(-2, -1), (-3, -1), (-3, -2)]
    figures = []
    for down, across in planes:
        keep = {down % grid.ndim, across % grid.ndim}
        plane = grid[tuple(slice(None) if axis in keep else grid.shape[axis] // 2 for axis in range(grid.ndim))]
        view = f"{axes[across]} across, {axes[down]} down"
        picture = Picture(title, caption, f"{title}: {view}", picture_uri(viridis((plane + 1.0) / 2.0)),
                          plane.shape[1], plane.shape[0])  # fmt: skip
        figures.append(
            Markup(
                "<figure><figcaption><strong>{}</strong> {}; {}</figcaption>"
                "<img src='{}' alt='{}' width='{}' height='{}' class='{}'></figure>"
            ).format(
                title, caption, view, picture.uri, picture.alt, picture.width, picture.height,
                "small" if picture.small else "",
            )
        )  # fmt: skip
    return Markup("<div class='pictures'>{}</div>").format(Markup("").join(figures))


def _curves(signal: Signal, shown: Sequence[Shown]) -> Reconstructions:
    x = signal.coordinates[:, 0].tolist()
    lines = [Line("original", "other", x, signal.values[:, 0].tolist())]
    styles = ("winner", "usual", "theory")
    for one, style in zip(shown, styles, strict=False):
        at = signal.coordinates[shown_points(signal.shape, one.exhibit.stride), 0].tolist()
        label = f"{one.title}, {psnr_of(one.exhibit, signal):.2f} dB"
        lines.append(Line(label, style, at, one.exhibit.values[:, 0].tolist()))
    chart = Chart("Original and reconstructions", "Values over the coordinate.", "coordinate", "value, normalised")
    html = Markup("<div class='plots'><figure>{}</figure></div>").format(line_chart(chart, lines))
    return Reconstructions((), html, "The first channel, normalised to [-1, 1].", Markup(""))
