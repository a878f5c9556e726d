"""The kinds of files. A kind is a module with ``NAMES`` (its formats, for people), ``OPTIONS`` (those that it takes
beside ``kind`` and ``max_points``), ``sniff(data)`` (whether the first bytes look like one of its formats) and
``read(data, options, limits)``, which raises RefusedError.
"""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from typing import Protocol, cast

from service.reading.contract import Limits, Options, Reading, RefusedError

__all__ = ["KINDS", "Kind", "read"]

KINDS = {
    "image": "PNG, JPEG, WebP, TIFF",
    "sound": "WAV, FLAC, OGG",
    "array": "NPY, NPZ",
    "shape": "OBJ, PLY, STL, OFF",
}
OF_EVERY_KIND = ("kind", "max_points")


class Kind(Protocol):
    """A module of this package."""

    OPTIONS: tuple[str, ...]

    def sniff(self, data: bytes) -> bool: ...  # noqa: D102 -- see the module's docstring
    def read(self, data: bytes, options: Options, limits: Limits) -> Reading: ...  # noqa: D102


def module(kind: str) -> Kind:
    """The module that reads a kind: loaded when it is needed, for each brings a library of its own."""
    return cast("Kind", import_module(f"service.reading.{kind}"))


def read(data: bytes, options: Options, limits: Limits) -> Reading:
    """Read a file of the kind that was asked for, or of the one that its content shows.

    Raises:
        RefusedError: an option that the kind does not take; whatever the kind's module refuses.
    """
    kind = options.kind or _kind_of(data)
    reader = module(kind)
    for option in fields(Options):
        value = getattr(options, option.name)
        if option.name not in (*OF_EVERY_KIND, *reader.OPTIONS) and value is not None:
            takes = ", ".join((*OF_EVERY_KIND, *reader.OPTIONS))
            raise RefusedError("option", f"is no option of the kind {kind}, which takes {takes}", option.name, value)
    if not data:
        raise RefusedError("content", "is empty: it has 0 bytes")
    if not reader.sniff(data):
        raise RefusedError("type", f"is no {kind} of a known format ({KINDS[kind]})")
    return reader.read(data, options, limits)


def _kind_of(data: bytes) -> str:
    if not data:
        raise RefusedError("content", "is empty: it has 0 bytes")
    for kind in KINDS:
        if module(kind).sniff(data):
            return kind
    known = "; ".join(f"{kind} ({names})" for kind, names in KINDS.items())
    raise RefusedError("type", f"is of no known kind by its content: {known}")
