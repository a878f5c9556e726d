"""Reading uploaded images: formats, depths, transparency, orientation, size; and what is refused, safely."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.reader import Reader
from service.reading.contract import Options, Reading, RefusedError
from service.reading.smaller import fitting
from service.settings import Settings

Encode = Callable[..., bytes]
PLENTY = Options(max_points=1_000_000)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    reader = Reader(Settings(data_dir=tmp_path_factory.mktemp("images"), max_pixels=100_000))
    yield reader
    reader.close()


def sizes(image: Reading) -> tuple[list[int], list[int]]:
    return image.meta["original_size"], image.meta["size"]


def png(pixels: np.ndarray, **options: object) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", **options)
    return target.getvalue()


def announcing(width: int, height: int) -> bytes:
    """A PNG of a few dozen bytes whose header announces a picture of this size."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("kind", "mode", "channels"),
    [
        *[("PNG", "RGB", 3), ("PNG", "L", 1), ("PNG", "P", 3), ("PNG", "1", 1), ("PNG", "RGBA", 3), ("PNG", "LA", 1)],
        *[("JPEG", "RGB", 3), ("JPEG", "L", 1), ("JPEG", "CMYK", 3), ("WEBP", "RGB", 3), ("TIFF", "RGB", 3)],
    ],
)
def test_usual_images_become_signals(reader: Reader, encode: Encode, kind: str, mode: str, channels: int) -> None:
    """Every allowed format and mode is read at its size, as grey or colour, with values in [-1, 1]."""
    image = reader.read(encode(kind, 20, 12, mode=mode), PLENTY)
    assert sizes(image) == ([20, 12], [20, 12])
    assert image.signal.values.shape == (240, channels)
    assert image.signal.shape == (12, 20)
    assert np.abs(image.signal.values).max() <= 1.0
    assert np.ptp(image.signal.values) > 0.3


def test_eight_bit_pixels_arrive_exactly(reader: Reader) -> None:
    """0 is -1, 255 is 1, row by row."""
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3) * 4
    pixels[0, 0], pixels[-1, -1] = 0, 255
    values = reader.read(png(pixels), PLENTY).signal.values
    np.testing.assert_allclose(values, pixels.reshape(20, 3) / 127.5 - 1.0, atol=1e-6)


def test_sixteen_bit_grey_keeps_its_depth(reader: Reader) -> None:
    """Steps of 1 in 65535 survive: read at 8 bits they would be gone."""
    pixels = (np.arange(20, dtype=np.uint16) + 30_000).reshape(4, 5)
    values = reader.read(png(pixels), PLENTY).signal.values
    np.testing.assert_allclose(values[:, 0], pixels.ravel() / 65535 * 2 - 1, atol=2e-7)
    assert len(np.unique(values)) == 20


def test_transparent_parts_are_laid_over_white_and_it_is_said(reader: Reader) -> None:
    """A fully transparent pixel is white whatever its colour, an opaque one keeps its colour."""
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2, :, 3] = 255
    image = reader.read(png(pixels), PLENTY)
    assert set(image.signal.values[:8].ravel()) == {-1.0}
    assert set(image.signal.values[8:].ravel()) == {1.0}
    assert "transparent parts were laid over white" in image.meta["notes"]


def test_the_cameras_orientation_is_applied(reader: Reader) -> None:
    """An image that its metadata turns by 90 degrees has its sides swapped, and its pixels turned."""
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees
    image = reader.read(png(pixels, exif=exif), PLENTY)
    assert sizes(image)[0] == [4, 6]
    np.testing.assert_allclose(image.signal.values.reshape(6, 4), np.rot90(pixels, -1) / 127.5 - 1, atol=1e-6)


def test_a_larger_image_is_made_smaller_by_the_mean_of_areas(reader: Reader) -> None:
    """Halving both sides gives the mean of each 2 x 2 block, rounded to 8 bits; it is said."""
    pixels = np.random.default_rng(0).integers(0, 255, (16, 32), dtype=np.uint8)
    image = reader.read(png(pixels), Options(max_points=128))
    assert sizes(image) == ([32, 16], [16, 8])
    blocks = pixels.reshape(8, 2, 16, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(image.signal.values.reshape(8, 16), blocks / 127.5 - 1, atol=1.01 / 127.5)
    assert "it was made smaller by area averaging" in image.meta["notes"]


def test_what_a_value_range_cuts_off_is_told(reader: Reader) -> None:
    """Levels below and above it."""
    pixels = np.array([[0, 100, 255], [100, 150, 100]], np.uint8)
    cut = reader.read(png(pixels), Options(max_points=100, value_range=(0.2, 0.8)))
    assert cut.meta["notes"] == ["2 levels outside value_range were clipped"]
    assert cut.signal.values.min() == -1.0
    assert cut.signal.values.max() == 1.0


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.integers(1, 1_000_000))
def test_the_smaller_size_fits_and_keeps_the_aspect_ratio(width: int, height: int, most: int) -> None:
    """At most ``most`` pixels; each side within one pixel of the exact one, unless a side is down to one pixel."""
    wide, high = fitting((width, height), most)
    assert 1 <= wide <= width
    assert 1 <= high <= height
    assert wide * high <= most
    if width * height > most and min(wide, high) > 1:
        scale = (most / (width * height)) ** 0.5
        assert width * scale - 1 - 1e-6 <= wide
        assert height * scale - 1 - 1e-6 <= high


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", "content", "is empty: it has 0 bytes"),
        (b"hello", "type", "of no known kind"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "type", "no image of a known format"),
        (announcing(100_000, 100_000), "size", "more than 100000 pixels"),
        (announcing(400, 260), "size", "more than 100000 pixels"),
        (announcing(20, 20), "content", "damaged"),
    ],
)
def test_what_is_no_good_image_is_refused(reader: Reader, data: bytes, kind: str, words: str) -> None:
    """Each refusal says of which kind it is, in words for the uploader."""
    with pytest.raises(RefusedError, match=words) as refusal:
        reader.read(data, PLENTY)
    assert refusal.value.kind == kind


def test_other_formats_that_pillow_reads_are_refused(reader: Reader, encode: Encode) -> None:
    """GIF and BMP are images, but their decoders are not let near an upload."""
    for kind in ("GIF", "BMP"):
        with pytest.raises(RefusedError, match="no known kind") as refusal:
            reader.read(encode(kind), PLENTY)
        assert refusal.value.kind == "type"


def test_a_truncated_image_is_refused(reader: Reader, encode: Encode) -> None:
    """Half a photograph is no photograph."""
    with pytest.raises(RefusedError, match="damaged"):
        reader.read(encode("JPEG", 200, 200)[:1500], PLENTY)


def test_an_image_of_one_row_is_refused(reader: Reader, encode: Encode) -> None:
    """A picture needs two axes to be fitted."""
    with pytest.raises(RefusedError, match="would be 30x1 pixels"):
        reader.read(encode("PNG", 30, 1), PLENTY)


def test_decoding_stops_at_its_limit_of_memory(tmp_path: Path, encode: Encode) -> None:
    """An image that needs more memory than allowed is refused, and this process does not notice."""
    settings = Settings(data_dir=tmp_path, max_pixels=10**9, decode_bytes=150_000_000)
    big = png(np.zeros((9000, 9000, 3), np.uint8), compress_level=1)
    with pytest.raises(RefusedError, match="memory"):
        Reader(settings).read(big, PLENTY)
    assert Reader(settings).read(encode(), PLENTY).meta["size"] == [24, 16]
