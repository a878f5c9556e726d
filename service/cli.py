"""``vi3nr``: the command line. Without the service's packages it says what to install."""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script. A package that only some commands need is imported where they run."""
    missing = [name for name in ("typer", "fastapi") if find_spec(name) is None]
    if missing:
        sys.exit(
            f"The command line needs the service's packages ({missing[0]} is missing): pip install 'vi3nr[service]'. "
            "The library alone works without: import vi3nr."
        )
    from service.commands import app

    app()
