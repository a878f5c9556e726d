"""The code on the pages that users read: fenced blocks, and commands between backticks in the text."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from live_service import a_picture

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


def files_beside(folder: Path) -> None:
    """Small stand-ins for the files that the pages name."""
    import soundfile
    import trimesh

    (folder / "photo.png").write_bytes(a_picture())
    times = np.arange(44100 * 14) / 44100
    soundfile.write(folder / "song.flac", 0.5 * np.sin(2 * np.pi * 440 * times), 44100)
    np.save(folder / "scan.npy", np.random.default_rng(0).uniform(-1000, 1000, (4, 5, 6)))
    trimesh.creation.icosphere(subdivisions=1).export(folder / "bunny.stl")


def answers_beside(folder: Path) -> None:
    """The config that ``make demo`` and ``vi3nr search`` write."""
    from vi3nr import activation, vi3nr_config

    config = vi3nr_config(activation("sine", omega=40), (2, 16, 16, 3)).to_json()
    (folder / "vi3nr-demo").mkdir()
    for place in ("vi3nr-demo/best-sine.json", "best.json"):
        (folder / place).write_text(config)
