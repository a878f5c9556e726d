"""Reads one image in a process of its own: run as a file, so that a hostile image can harm nothing else.

Standard input: a line of JSON with the limits, then the image's bytes. Standard output: a line of JSON,
either ``{"refused": kind, "sentence": ...}`` or what was read, then the pixels row by row, uint8 or
little-endian float32 in [0, 1]. Imports nothing of this project; uses only Pillow.
"""

from __future__ import annotations

import io
import json
import math
import resource
import sys
import warnings
from typing import Any

PLAIN = {"L": 1, "RGB": 3}  # modes that are passed on, and their channels
DEEP = ("I;16", "I;16B", "I;16L", "I;16N")  # 16-bit grey
DEEP_WHITE = 65535.0
CONVERTED = {"1": "L", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "RGBX": "RGB", "HSV": "RGB"}
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")


class RefusedError(Exception):
    """The image will not do. Arguments: kind (type, size or content) and a sentence."""


def main() -> None:
    """Read, answer, end."""
    limits = json.loads(sys.stdin.buffer.readline())
    _confine(limits["memory_bytes"], limits["seconds"])
    data = sys.stdin.buffer.read()
    try:
        header, pixels = read(data, limits["max_pixels"], limits["max_points"])
    except RefusedError as refusal:
        header, pixels = {"refused": refusal.args[0], "sentence": refusal.args[1]}, b""
    except MemoryError:
        header, pixels = {"refused": "size", "sentence": "takes more memory than is allowed"}, b""
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + pixels)


def _confine(memory_bytes: int, seconds: float) -> None:
    """No more memory than this, no more processor time, no file written."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), math.ceil(seconds) + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read(data: bytes, max_pixels: int, max_points: int) -> tuple[dict[str, Any], bytes]:
    """What was read, and the pixels.

    Raises:
        RefusedError: no image of an allowed format, too many pixels, damaged, or of a kind that is not
        understood.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    warnings.simplefilter("ignore")  # photographs with odd metadata are common
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        image: Any = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > max_pixels:
            raise Image.DecompressionBombError
        frames = getattr(image, "n_frames", 1)
        notes = [f"the first of {frames} frames was taken"] if frames > 1 else []
        image.load()
        image = ImageOps.exif_transpose(image)
        original = image.size
        image = _plain(image, notes)
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
    size = fitting(original[0], original[1], max_points)
    if min(size) < 2:
        raise RefusedError("content", f"would be {size[0]}x{size[1]} pixels: both sides must have 2 or more")
    if size != original:
        image = image.resize(size, Image.Resampling.BOX)  # the mean over each new pixel's area: no overshoot
        notes.append("it was made smaller by area averaging")
    deep = image.mode == "F"
    header = {
        "original": list(original),
        "size": list(size),
        "channels": PLAIN.get(image.mode, 1),
        "type": "float32" if deep else "uint8",
        "notes": notes,
    }
    return header, image.tobytes()


def _plain(image: Any, notes: list[str]) -> Any:
    """The image as 8-bit grey (L), 8-bit colour (RGB) or grey as floats in [0, 1] (F)."""
    from PIL import Image

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


def fitting(width: int, height: int, max_points: int) -> tuple[int, int]:
    """The largest size of the same aspect ratio, up to rounding down, with at most ``max_points`` pixels."""
    if width * height <= max_points:
        return width, height
    scale = math.sqrt(max_points / (width * height)) * (1 + 1e-12)
    wide, high = max(1, int(width * scale)), max(1, int(height * scale))
    return (min(wide, max_points) if high == 1 else wide), (min(high, max_points) if wide == 1 else high)


if __name__ == "__main__":
    main()
