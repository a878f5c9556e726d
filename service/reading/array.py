"""Arrays: volumes, videos and whatever else NumPy wrote as NPY or NPZ. Never unpickled; no header is believed."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.lib import format as npy

from service.reading.contract import Limits, Options, Reading, RefusedError
from service.reading.smaller import area_means, crop_slices, fitting
from vi3nr.grids import COORDINATE_RANGE, grid_signal, to_unit

__all__ = ["OPTIONS", "read", "sniff"]

OPTIONS = ("crop", "coordinate_range", "value_range", "axes", "array")
CHANNELS = "c"
USUAL_AXES = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x"), 4: ("t", "z", "y", "x")}
MOST_AXES, MOST_CHANNELS, MOST_MEMBERS = 8, 1024, 1000
HEADER_BYTES = 10_000
NUMBERS = "biuf"  # bool, int, uint, float
STORED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def sniff(data: bytes) -> bool:
    """The magic of NPY, or of a zip archive."""
    return data[:6] == npy.MAGIC_PREFIX or data[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def read(data: bytes, options: Options, limits: Limits) -> Reading:
    """Decode, crop, make smaller by means over areas; the smallest value becomes -1, the largest 1."""
    whole = _decoded(data, options, limits)
    notes: list[str] = []
    names, values = _with_axes(whole, options, notes)  # (*grid, channels)
    original = values.shape[:-1]
    if options.crop is not None:
        values = values[crop_slices(options.crop, original, names)]
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise RefusedError("content", f"holds {bad} values of {values.size} that are NaN or infinite")
    size = fitting(values.shape[:-1], options.max_points)
    if size != values.shape[:-1]:
        values = area_means(values, size)
        notes.append("it was made smaller by means over areas")
    value_range = options.value_range or _extent(values)
    outside = int(((values < value_range[0]) | (values > value_range[1])).sum())
    if outside:
        notes.append(f"{outside} values outside value_range were clipped")
    coordinate_range = options.coordinate_range or COORDINATE_RANGE
    try:
        signal = grid_signal(to_unit(values.astype(np.float64), value_range), "array", coordinate_range)
    except ValueError as error:
        raise RefusedError("content", str(error)) from None
    meta: dict[str, Any] = {
        "original_size": list(original),
        "size": list(size),
        "axes": list(names[::-1]),
        "coordinate_range": list(coordinate_range),
        "value_range": list(value_range),
        "dtype": str(whole.dtype),
        "notes": notes,
    }
    return Reading(signal, meta)


def _extent(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise RefusedError("content", f"has the same value throughout, {low:g}: there is nothing to fit")
    if not math.isfinite(high / 2 - low / 2):
        raise RefusedError("content", f"has values too far apart: {low:g} to {high:g}")
    return low, high


def _decoded(data: bytes, options: Options, limits: Limits) -> np.ndarray:
    if data[:2] == b"PK":
        data = _member(data, options.array, limits)
    elif options.array is not None:
        raise RefusedError("option", "names an array of an NPZ archive: this file is an NPY", "array", options.array)
    return _npy(data, limits)


def _member(data: bytes, name: str | None, limits: Limits) -> bytes:
    """The bytes of one array of an archive."""
    most = limits.max_values * 8
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise RefusedError("size", f"holds {len(members)} arrays: at most {MOST_MEMBERS} are looked at")
            arrays = {item.filename[:-4]: item for item in members if item.filename.endswith(".npy")}
            chosen = _chosen(arrays, name)
            if chosen.flag_bits & 1 or chosen.compress_type not in STORED:
                raise RefusedError("content", "is an archive of a kind that NumPy does not write")
            if chosen.file_size > most:
                raise RefusedError("size", f"unpacks to {chosen.file_size} bytes: at most {most} are allowed")
            with archive.open(chosen) as member:
                return member.read(chosen.file_size + 1)  # a lying size ends in a wrong checksum, or here
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise RefusedError("content", f"is a damaged archive: {ascii(str(error))[1:-1][:120]}") from None


def _chosen(arrays: dict[str, zipfile.ZipInfo], name: str | None) -> zipfile.ZipInfo:
    if not arrays:
        raise RefusedError("content", "is an archive without arrays: NPZ holds files that end in .npy")
    names = ", ".join(sorted(ascii(known)[1:-1][:60] for known in list(arrays)[:10]))
    if name is None:
        if len(arrays) > 1:
            raise RefusedError("option", f"must name one of the archive's arrays: {names}", "array")
        return next(iter(arrays.values()))
    if name not in arrays:
        raise RefusedError("option", f"is not in the archive, which holds {names}", "array", name)
    return arrays[name]


def _npy(data: bytes, limits: Limits) -> np.ndarray:
    """The array of an NPY file whose header is true."""
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if header is None:
            raise RefusedError("type", f"is an NPY of version {version[0]}.{version[1]}: 1.0 and 2.0 are read")
        shape, fortran, dtype = header(file, max_header_size=HEADER_BYTES)
    except RefusedError:
        raise
    except Exception as error:  # the header is a Python literal and may be anything at all
        raise RefusedError("content", f"has a header that is no NPY's: {ascii(str(error))[1:-1][:120]}") from None
    if dtype.hasobject or dtype.kind not in NUMBERS or dtype.names is not None or dtype.subdtype is not None:
        raise RefusedError("content", f"holds {ascii(str(dtype))[:60]}: only real numbers are read")
    rest = len(data) - file.tell()
    if any(type(n) is not int or n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != rest:
        announced = f"{ascii(str(shape))[1:-1][:80]} of {dtype}"
        raise RefusedError("content", f"announces {announced} and has {rest} bytes for it")
    if math.prod(shape) == 0:
        raise RefusedError("content", f"is empty: its shape is {ascii(str(shape))[1:-1][:80]}")
    if math.prod(shape) > limits.max_values:
        raise RefusedError("size", f"has more than {limits.max_values} values")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _with_axes(whole: np.ndarray, options: Options, notes: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """The grid's axes by name, and the array with its channels last."""
    axes = options.axes
    if axes is None:
        axes = USUAL_AXES.get(whole.ndim)
        if axes is None:
            sentence = f"must name the {whole.ndim} axes of the array, e.g. t,y,x,c; c are the channels"
            raise RefusedError("option" if whole.ndim else "content", sentence, "axes")
        notes.append(f"its axes of {' x '.join(map(str, whole.shape))} were taken as {','.join(axes)}")
    if len(axes) != whole.ndim or len(axes) > MOST_AXES:
        sentence = f"must name the {whole.ndim} axes of the array, of shape {whole.shape}, and at most {MOST_AXES}"
        raise RefusedError("option", sentence, "axes", ",".join(axes))
    values = np.moveaxis(whole, axes.index(CHANNELS), -1) if CHANNELS in axes else whole[..., None]
    names = tuple(name for name in axes if name != CHANNELS)
    if not names:
        raise RefusedError("option", "must name an axis beside the channels", "axes", ",".join(axes))
    if values.shape[-1] > MOST_CHANNELS:
        sentence = f"makes {values.shape[-1]} channels: at most {MOST_CHANNELS}"
        raise RefusedError("option", sentence, "axes", ",".join(axes))
    if math.prod(values.shape[:-1]) < 2:
        raise RefusedError("content", f"has one point only: its shape is {whole.shape}")
    return names, values
