"""One thing that was looked at, and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level", "fault", "fine", "note"]


class Level(StrEnum):
    """``ok``; ``note``: works, but not as well as it could; ``fault``: something will not work."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """``sentence`` says what was found, and of a fault what to do."""

    subject: str
    level: Level
    sentence: str


def fine(subject: str, sentence: str) -> Finding:
    """As it should be."""
    return Finding(subject, Level.OK, sentence)


def note(subject: str, sentence: str) -> Finding:
    """Worth knowing."""
    return Finding(subject, Level.NOTE, sentence)


def fault(subject: str, sentence: str) -> Finding:
    """Something will not work."""
    return Finding(subject, Level.FAULT, sentence)
