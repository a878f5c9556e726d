"""Shapes: closed triangle meshes from OBJ, PLY, STL and OFF through trimesh. No header is believed."""

from __future__ import annotations

import io
import re
import struct
from typing import Any

import numpy as np

from service.reading.contract import Limits, Options, Reading, RefusedError

__all__ = ["MOST_FACES", "OPTIONS", "read", "sniff"]

OPTIONS = ("samples",)
MOST_FACES = 200_000  # distances to more take longer than an upload may
VALUES_PER_FACE = 64  # numbers that a face takes on its way to distances
FIRST_LINES = 4096  # bytes in which a text format has to show itself
STL_HEADER, STL_FACE = 84, 50  # bytes
OBJ_LINE = re.compile(rb"(v|vn|vt|vp|f|o|g|s|l|usemtl|mtllib)\s")
OFF_START = re.compile(rb"\s*(?:#[^\n]*\n\s*)*OFF\s")
PLY_ELEMENT = re.compile(rb"element\s+(\w+)\s+(\d+)\s*$", re.MULTILINE)


def sniff(data: bytes) -> bool:
    """The first bytes of PLY and OFF, STL's text or its length, or lines that only OBJ has."""
    return _format(data) is not None


def read(data: bytes, options: Options, limits: Limits) -> Reading:
    """Parse, close seams, and sample signed distances: three quarters near the surface, the others everywhere."""
    vertices, faces = _parsed(data, min(MOST_FACES, limits.max_values // VALUES_PER_FACE))
    points = min(options.samples or options.max_points, options.max_points)
    if points < 8:
        raise RefusedError("option", "must be at least 8 for a shape", "samples", points)
    from vi3nr.shapes import HALF_EXTENT, NEAR_SHARE, NEAR_STD, shape_signal, welded

    try:
        places, triangles = welded(vertices, faces)
        signal = shape_signal(places, triangles, points=points)
    except ValueError as error:
        raise RefusedError("content", f"cannot be used: {error}") from None
    low, high = places.min(axis=0), places.max(axis=0)
    unit = float((high - low).max()) / (2.0 * HALF_EXTENT)
    near = round(points * NEAR_SHARE)
    notes = [
        f"{near} of {points} points lie near the surface, offset by a std of {NEAR_STD:g}; the others are uniform",
        f"its box was moved to the middle and its longest side scaled to {2 * HALF_EXTENT:g}",
    ]
    meta: dict[str, Any] = {
        "original_size": [len(vertices), len(faces)],
        "size": [points],
        "axes": ["x", "y", "z"],
        "coordinate_range": [-1.0, 1.0],
        "value_range": [-unit, unit],  # a distance of so many of the file's units is 1
        "middle": ((low + high) / 2.0).tolist(),  # in the file's units: where the origin lies
        "faces": len(triangles),
        "near": near,
        "near_std": NEAR_STD,
        "notes": notes,
    }
    return Reading(signal, meta)


def _format(data: bytes) -> str | None:
    start = data[:FIRST_LINES]
    if start[:4] in (b"ply\n", b"ply\r"):
        return "ply"
    if OFF_START.match(start):
        return "off"
    if len(data) >= STL_HEADER and len(data) == STL_HEADER + STL_FACE * struct.unpack_from("<I", data, 80)[0]:
        return "stl"
    if start.lstrip()[:6] == b"solid " and b"facet" in start:
        return "stl_ascii"
    lines = [line.strip() for line in start.splitlines()[: -1 if len(data) > FIRST_LINES else None]]
    telling = [line for line in lines if line and not line.startswith(b"#")]
    if telling and all(OBJ_LINE.match(line + b"\n") for line in telling):
        return "obj"
    return None


def _parsed(data: bytes, most_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles as they stand in the file; quads are cut in two."""
    kind = _format(data)
    assert kind is not None, "sniff comes first"
    _refuse_lies(kind, data, most_faces)
    import trimesh

    options = {"skip_materials": True, "split_objects": False} if kind == "obj" else {}
    try:
        mesh = trimesh.load_mesh(io.BytesIO(data), file_type=kind, process=False, **options)
        vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces)
    except MemoryError:
        raise
    except Exception as error:  # the parsers raise many kinds; whichever it was, this is no mesh to work with
        raise RefusedError("content", f"is damaged: {ascii(str(error))[1:-1][:120]}") from None
    if len(faces) > most_faces:
        raise RefusedError("size", f"has {len(faces)} triangles: at most {most_faces} are read; simplify it first")
    return vertices, faces


def _refuse_lies(kind: str, data: bytes, most_faces: int) -> None:
    """A header that announces more than the file has bytes for, or than is read."""
    counts: dict[str, int] = {}
    if kind == "ply":
        head = data.partition(b"end_header")[0]
        for name, count in PLY_ELEMENT.findall(head.replace(b"\r", b"\n")):
            counts[name.decode("ascii", "replace")] = int(count[:20])
    elif kind == "off":
        numbers = re.findall(rb"\d+", re.sub(rb"#[^\n]*", b"", data[:FIRST_LINES]))[:2]
        counts = dict(zip(("vertex", "face"), [int(number[:20]) for number in numbers], strict=False))
    elif kind == "stl":
        counts = {"face": (len(data) - STL_HEADER) // STL_FACE}
    elif kind == "stl_ascii":
        counts = {"face": data.count(b"facet normal")}
    else:
        counts = {"face": data.count(b"\nf ")}
    for name, count in counts.items():
        if count > len(data):
            raise RefusedError("content", f"announces {count} x {name} in {len(data)} bytes")
    if counts.get("face", 0) > most_faces:
        sentence = f"has {counts['face']} faces: at most {most_faces} are read; simplify it first"
        raise RefusedError("size", sentence)
