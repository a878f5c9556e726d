"""Colours of heat maps and error maps: viridis, which grows evenly in lightness and is safe for the colour-blind."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

__all__ = ["STOPS", "hexadecimal", "picture_uri", "viridis"]

STOPS = np.array(  # van der Walt and Smith 2015 (public domain), nine of its 256 colours
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ],
    dtype=np.float64,
)  # fmt: skip


def viridis(shares: np.ndarray) -> np.ndarray:
    """Shares of 0 to 1, any shape, as uint8 colours with a last axis of three."""
    places = np.clip(np.nan_to_num(shares), 0.0, 1.0) * (len(STOPS) - 1)
    channels = [np.interp(places, np.arange(len(STOPS)), STOPS[:, channel]) for channel in range(3)]
    colours: np.ndarray = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return colours


def hexadecimal(share: float) -> str:
    """One colour for an SVG attribute."""
    return "#" + bytes(viridis(np.array(share))).hex()


def picture_uri(pixels: np.ndarray) -> str:
    """uint8 pixels ``(height, width)`` or ``(height, width, channels)`` as the data URI of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
