"""The code on the pages that users read: fenced blocks, and commands between backticks in the text."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:python3? -m|make|vi3nr) [^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and text, without the fence's indentation."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The page's fenced blocks, in order."""
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(language, re.sub(f"(?m)^{indent}", "", text)) for indent, language, text in found]


def commands(text: str) -> list[str]:
    """The commands of a block for the shell, without comments; one may go over several lines."""
    found, open_lines = [], ""
    for line in text.splitlines():
        open_lines += line
        if open_lines.endswith("\\"):
            open_lines = open_lines[:-1]
            continue
        try:
            words = shlex.split(open_lines, comments=True)
        except ValueError:  # a quotation goes on
            open_lines += "\n"
            continue
        if words:
            found.append(shlex.join(words))
        open_lines = ""
    assert not open_lines, f"a command has no end: {open_lines}"
    return found


def inline_commands(page: Path) -> list[str]:
    """The commands that the text names between backticks."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(found.split()) for found in INLINE.findall(text)]
