"""Numbers as callers give them: Python's own or NumPy's scalars, but no truth values and no text. No NumPy.

Each function gives the number back as Python's own, so that what is computed, written as JSON or printed is the same
whichever it was.
"""

from __future__ import annotations

import math
from numbers import Integral, Real

__all__ = ["finite_number", "positive_number", "whole_number"]


def finite_number(value: object) -> float | None:
    """The number; None where the value is none, or is NaN, an infinity or beyond the range of float64."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if not math.isfinite(number):
        return None
    return int(value) if isinstance(value, int) else number


def whole_number(value: object) -> int | None:
    """The integer; None where the value is none, or is beyond the range of float64."""
    return int(value) if isinstance(value, Integral) and finite_number(value) is not None else None


def positive_number(name: str, value: object) -> float:
    """The number. Raises ValueError, with the name, where it is not positive and finite."""
    number = finite_number(value)
    if number is None or number <= 0.0:
        raise ValueError(f"{name} must be positive and finite, got {value!r}")
    return number
