"""PNG with colours of 16 bits, which Pillow reads at 8. Deep grey it reads whole; interlaced files are left to it."""

from __future__ import annotations

import struct
import zlib

import numpy as np

__all__ = ["deep_colours"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {2: 3, 4: 2, 6: 4}  # by colour type: RGB, grey with alpha, RGB with alpha
NONE, SUB, UP, AVERAGE, PAETH = range(5)  # a row's filter, PNG specification section 9


def deep_colours(data: bytes, max_pixels: int) -> np.ndarray | None:
    """Pixels ``(height, width, channels)`` in uint16; None for a PNG that is not deep, or interlaced.

    Raises:
        ValueError: a damaged file.
    """
    if data[:8] != SIGNATURE or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if depth != 16 or colour not in CHANNELS or interlaced or not 0 < width * height <= max_pixels:
        return None
    pixel = 2 * CHANNELS[colour]
    expected = height * (1 + width * pixel)
    raw = _inflated(data, expected)
    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + width * pixel)
    if rows[:, 0].max() > PAETH:
        raise ValueError(f"a row has the filter {rows[:, 0].max()}: there is no such filter")
    lanes = unfiltered(rows[:, 0], rows[:, 1:].reshape(height, width, pixel))
    return lanes.view(">u2").astype(np.uint16)


def _inflated(data: bytes, expected: int) -> bytes:
    inflater, at, parts, left = zlib.decompressobj(), 8, [], expected
    while at + 8 <= len(data) and left > 0:
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IDAT":
            try:
                part = inflater.decompress(data[at + 8 : at + 8 + length], left)
            except zlib.error as error:
                raise ValueError(str(error)) from None
            parts.append(part)
            left -= len(part)
        at += 12 + length
    if left:
        raise ValueError("its pixels end too early")
    return b"".join(parts)


def unfiltered(filters: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """Bytes ``(height, width, lane)`` from coded ones: each is added to what its neighbours predict, modulo 256.

    A byte needs the ones to its left, above, and above left: so all bytes of one anti-diagonal are found at once.
    """
    height, width, lanes = coded.shape
    found = np.zeros((height + 1, width + 1, lanes), np.int16)  # a border of zeros above and to the left
    for diagonal in range(height + width - 1):
        row = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        column = diagonal - row
        left, above, corner = found[row + 1, column], found[row, column + 1], found[row, column]
        kind = filters[row][:, None]
        guess = left + above - corner
        a, b, c = np.abs(guess - left), np.abs(guess - above), np.abs(guess - corner)
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        prediction = np.select(
            [kind == SUB, kind == UP, kind == AVERAGE, kind == PAETH], [left, above, (left + above) >> 1, paeth], 0
        )
        found[row + 1, column + 1] = (coded[row, column] + prediction) & 255
    return np.ascontiguousarray(found[1:, 1:]).astype(np.uint8)
