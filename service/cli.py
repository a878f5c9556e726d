"""``vi3nr``: the command line. Without the service's packages it says what to install."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script. A package that only some commands need is imported where they run."""
    try:
        import fastapi  # noqa: F401
        import typer  # noqa: F401
    except ModuleNotFoundError as error:
        sys.exit(
            f"The command line needs the service's packages ({error.name} is missing): pip install 'vi3nr[service]'. "
            "The library alone works without: import vi3nr."
        )
    from service.commands import app

    app()
