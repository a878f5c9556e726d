"""Images: PNG, JPEG, WebP and TIFF through Pillow; colours of 16 bits, which it reads at 8, by ``deep_png`` and
tifffile.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from service.reading.contract import Limits, Options, Reading, RefusedError
from service.reading.deep_png import deep_colours
from service.reading.smaller import area_means, crop_slices, fitting
from vi3nr.grids import COORDINATE_RANGE, grid_signal, to_unit

__all__ = ["OPTIONS", "read", "sniff"]

OPTIONS = ("crop", "coordinate_range", "value_range")
PLAIN = ("L", "RGB")  # modes that are passed on
DEEP = ("I;16", "I;16B", "I;16L", "I;16N")  # 16-bit grey
DEEP_WHITE = 65535.0
CONVERTED = {"1": "L", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "RGBX": "RGB", "HSV": "RGB"}
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258  # TIFF tags
VALUE_RANGE = (0.0, 1.0)  # of full scale
TOO_SHALLOW = "its 16-bit colours were read at 8 bits"


def sniff(data: bytes) -> bool:
    """The magic of one of the formats."""
    return data.startswith(MAGIC) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def read(data: bytes, options: Options, limits: Limits) -> Reading:
    """Decode, turn, lay over white, crop, make smaller; black becomes -1, white 1."""
    notes: list[str] = []
    pixels = _pixels(data, limits.max_pixels, notes)  # Pillow's image, or floats (height, width, channels)
    original = _size(pixels)
    if options.crop is not None:
        columns, rows = crop_slices(options.crop, original, ("x", "y"))
        pixels = _cropped(pixels, columns, rows)
    width, height = fitting(_size(pixels), options.max_points)
    if min(width, height) < 2:
        if options.crop is not None:
            sentence = f"leaves {width}x{height} pixels: both sides must have 2 or more"
            raise RefusedError("option", sentence, "crop", options.crop)
        raise RefusedError("content", f"would be {width}x{height} pixels: both sides must have 2 or more")
    if (width, height) != _size(pixels):
        notes.append("it was made smaller by area averaging")
    levels = _levels(pixels, width, height)
    value_range = options.value_range or VALUE_RANGE
    outside = int(((levels < value_range[0]) | (levels > value_range[1])).sum())
    if outside:
        notes.append(f"{outside} levels outside value_range were clipped")
    coordinate_range = options.coordinate_range or COORDINATE_RANGE
    if (levels == levels[0, 0]).all():
        raise RefusedError("content", "has one colour throughout: there is nothing to fit")
    try:
        signal = grid_signal(to_unit(levels, value_range), "image", coordinate_range)
    except ValueError as error:
        raise RefusedError("content", str(error)) from None
    meta: dict[str, Any] = {
        "original_size": list(original),
        "size": [width, height],
        "axes": ["x", "y"],
        "coordinate_range": list(coordinate_range),
        "value_range": list(value_range),
        "notes": notes,
    }
    return Reading(signal, meta)


def _pixels(data: bytes, max_pixels: int, notes: list[str]) -> Any:
    warnings.simplefilter("ignore")  # photographs with odd metadata are common
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        image: Any = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.size[0] * image.size[1] > max_pixels:
            raise Image.DecompressionBombError
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            notes.append(f"the first of {frames} frames was taken")
        deep = _deep(image, data, max_pixels, notes)
        if deep is not None:
            return deep
        image.load()
        return _plain(ImageOps.exif_transpose(image), notes)
    except RefusedError:
        raise
    except UnidentifiedImageError:
        raise RefusedError("type", f"is no image of a known format ({', '.join(FORMATS)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise RefusedError("size", f"has more than {max_pixels} pixels") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many kinds; whichever it was, this is no image to work with
        raise RefusedError("content", f"is damaged: {ascii(str(error))[1:-1][:120]}") from None


def _deep(image: Any, data: bytes, max_pixels: int, notes: list[str]) -> np.ndarray | None:
    """Floats in [0, 1] of an image whose colours have 16 bits; None for any other, or where only Pillow can help."""
    if image.format == "PNG":
        pixels = deep_colours(data, max_pixels)
        if pixels is None and data[24:25] == b"\x10" and data[25:26] != b"\0":
            notes.append(TOO_SHALLOW)
    elif image.format == "TIFF" and len(bits := image.tag_v2.get(BITS_PER_SAMPLE, ())) > 1 and set(bits) == {16}:
        pixels = _deep_tiff(data, image.size, len(bits))
        if pixels is None:
            notes.append(TOO_SHALLOW)
    else:
        return None
    if pixels is None:
        return None
    levels = pixels / DEEP_WHITE
    if levels.shape[2] in (2, 4):
        notes.append("transparent parts were laid over white")
        opacity = levels[..., -1:]
        levels = levels[..., :-1] * opacity + (1.0 - opacity)
    return _turned(levels, image.getexif().get(ORIENTATION, 1))


def _deep_tiff(data: bytes, size: tuple[int, int], channels: int) -> np.ndarray | None:
    try:
        pixels = np.asarray(tifffile.imread(io.BytesIO(data), key=0))
    except MemoryError:
        raise
    except Exception:  # a compression that it cannot read: Pillow can, at 8 bits
        return None
    if pixels.shape == (channels, size[1], size[0]):
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels if pixels.shape == (size[1], size[0], channels) and pixels.dtype == np.uint16 else None


def _turned(levels: np.ndarray, orientation: int) -> np.ndarray:
    """Upright, as EXIF's orientation 1 to 8 says; what is no orientation changes nothing."""
    if orientation in (5, 6, 7, 8):
        levels = levels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        levels = levels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        levels = levels[::-1]
    return levels


def _plain(image: Any, notes: list[str]) -> Any:
    """The image as 8-bit grey (L), 8-bit colour (RGB) or grey as floats in [0, 1] (F)."""
    if image.mode in DEEP:
        return image.convert("F").point(lambda value: value * (1.0 / DEEP_WHITE) + 0.0)
    if image.has_transparency_data:
        grey = image.mode in ("LA", "La", "L", "1")
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        notes.append("transparent parts were laid over white")
        return Image.alpha_composite(white, image).convert("L" if grey else "RGB")
    if image.mode in PLAIN:
        return image
    if image.mode in CONVERTED:
        return image.convert(CONVERTED[image.mode])
    raise RefusedError("content", f"has pixels of a kind that is not understood ({image.mode})")


def _size(pixels: Any) -> tuple[int, int]:
    """(width, height)."""
    return (pixels.shape[1], pixels.shape[0]) if isinstance(pixels, np.ndarray) else pixels.size


def _cropped(pixels: Any, columns: slice, rows: slice) -> Any:
    if isinstance(pixels, np.ndarray):
        return pixels[rows, columns]
    return pixels.crop((columns.start, rows.start, columns.stop, rows.stop))


def _levels(pixels: Any, width: int, height: int) -> np.ndarray:
    """Floats in [0, 1], ``(height, width, channels)``, of this size: means over each new pixel's area."""
    if isinstance(pixels, np.ndarray):
        return area_means(pixels, (height, width))
    if pixels.size != (width, height):
        pixels = pixels.resize((width, height), Image.Resampling.BOX)
    levels = np.asarray(pixels, dtype=np.float64).reshape(height, width, -1)
    return levels if pixels.mode == "F" else levels / 255.0
