"""Results of ``benchmarks.paper``, cell by cell in JSON files, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

DATA = Path(__file__).parent / "data" / "paper"
Row = dict[str, Any]


class Store:
    """One part's results. ``fresh`` forgets what is there; ``path`` None keeps nothing on disk."""

    def __init__(self, path: Path | None, *, fresh: bool = False) -> None:
        self._path = path
        self._lock = Lock()
        self.rows: dict[str, Row] = {}
        if path is not None and path.exists() and not fresh:
            self.rows = json.loads(path.read_text(encoding="utf-8"))
        self.holds_results = bool(self.rows)

    def cell(self, key: str, measure: Callable[..., Row], *arguments: object) -> Row:
        """The stored result, or that of ``measure(*arguments)``, stored at once."""
        if key not in self.rows:
            self.keep(key, measure(*arguments))
        return self.rows[key]

    def keep(self, key: str, row: Row) -> None:
        """Store a result at once; from any thread."""
        with self._lock:
            self.rows[key] = row
            if self._path is None:
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lines = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in self.rows.items()]
            draft = self._path.with_suffix(".part")
            draft.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
            draft.replace(self._path)
