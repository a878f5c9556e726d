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
    try:
        from service.commands import app

        app()
    except (ImportError, OSError) as error:
        _tell_of_packages(error)
        raise


def _tell_of_packages(error: Exception) -> None:
    """End with a sentence for each package that is broken; return where none is."""
    from service.doctor.findings import Level
    from service.doctor.software import packages

    wrong = [f"vi3nr: {one.subject}: {one.sentence}" for one in packages() if one.level is Level.FAULT]
    if wrong:
        raise SystemExit("\n".join(wrong)) from error
