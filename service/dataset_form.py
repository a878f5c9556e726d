"""The options of an upload as its form sends them: short texts, each checked with its field named."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Form, Request

from service.problems import Problem
from service.reading.contract import DEFAULT_POINTS, Options
from service.reading.kinds import KINDS

__all__ = ["OptionsForm", "known_fields"]

T = TypeVar("T")
NAME = re.compile(r"[a-z][a-z0-9_]{0,15}")
LONGEST = 200  # characters of an option's text
SMALLEST, LARGEST = 1e-6, 1e6  # of a coordinate range
Text = Annotated[str | None, Form(max_length=LONGEST)]


async def known_fields(request: Request) -> None:
    """Refuse a form that has a field which nobody reads."""
    known = {*OptionsForm.__init__.__annotations__, "files"} - {"return"}
    for name in await request.form():
        if name not in known:
            raise Problem.of_field(ascii(name)[1:-1], "...", "there is no such field")


class OptionsForm:
    """The form's fields beside the files; a dependency of the endpoint. ``options`` are what they say."""

    def __init__(
        self,
        kind: Annotated[str | None, Form(description=f"{', '.join(KINDS)}; left out: from the content")] = None,
        max_points: Annotated[int, Form(ge=4, description="a larger signal is made smaller")] = DEFAULT_POINTS,
        crop: Annotated[
            str | None,
            Form(
                max_length=LONGEST,
                description="start:stop for each axis, comma between, an end may be left out: pixels of x,y; "
                "seconds of sound; indices of an array's axes",
            ),
        ] = None,
        coordinate_range: Annotated[
            str | None, Form(max_length=LONGEST, description="low,high: of every axis; left out: -1,1")
        ] = None,
        value_range: Annotated[
            str | None,
            Form(max_length=LONGEST, description="low,high: the values that become -1 and 1; others are clipped"),
        ] = None,
        axes: Annotated[
            str | None, Form(max_length=LONGEST, description="names of an array's axes, slowest first: t,y,x,c")
        ] = None,
        array: Annotated[
            str | None, Form(max_length=LONGEST, description="of an NPZ archive: the array's name")
        ] = None,
        sample_rate: Annotated[int | None, Form(ge=1, description="Hz; a sound is resampled to it")] = None,
        samples: Annotated[int | None, Form(ge=4, description="points that a shape is sampled at")] = None,
    ) -> None:
        self.options = Options(
            kind=_given("kind", kind, _kind),
            max_points=max_points,
            crop=_given("crop", crop, _crop),
            coordinate_range=_given("coordinate_range", coordinate_range, _coordinate_range),
            value_range=_given("value_range", value_range, _interval),
            axes=_given("axes", axes, _axes),
            array=array,
            sample_rate=sample_rate,
            samples=samples,
        )


def _given(field: str, text: str | None, read: Callable[[str], T]) -> T | None:
    """What a text says; None for one that is empty or was not sent."""
    if not text:
        return None
    try:
        return read(text)
    except ValueError as error:
        raise Problem.of_field(field, text, str(error)) from None


def _kind(text: str) -> str:
    if text not in KINDS:
        raise ValueError(f"there is no such kind; choose one of {', '.join(KINDS)}, or leave it out")
    return text


def _crop(text: str) -> tuple[tuple[float | None, float | None], ...]:
    parts = [part.split(":") for part in text.split(",")]
    if any(len(part) != 2 for part in parts):
        raise ValueError("must be start:stop for each axis, with a comma between axes")
    return tuple((_number(start) if start else None, _number(stop) if stop else None) for start, stop in parts)


def _coordinate_range(text: str) -> tuple[float, float]:
    low, high = _interval(text)
    if max(abs(low), abs(high)) > LARGEST or high - low < SMALLEST:
        raise ValueError(f"must lie within {-LARGEST:g} to {LARGEST:g} and span at least {SMALLEST:g}")
    return low, high


def _interval(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise ValueError("must be two numbers: low,high")
    low, high = map(_number, parts)
    if not low < high or not math.isfinite(high - low):
        raise ValueError("must be two numbers low,high with low < high")
    return low, high


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"has {text!a} where a number should be") from None
    if not math.isfinite(number):
        raise ValueError(f"has {text!a} where a finite number should be")
    return number


def _axes(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(NAME.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise ValueError("must be different names of small letters with a comma between: z,y,x; c are the channels")
    return names
