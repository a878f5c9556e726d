"""Templates, styles and scripts, and the policy that lets a page run these and nothing else."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["policy", "render"]

FOLDER = Path(__file__).parent / "templates"


def render(template: str, script: str, **context: Any) -> str:
    """A page from its template, with the style sheet and one script inside it."""
    return _environment().get_template(template).render(
        style=Markup(_text("page.css")), script=Markup(_text(script)), **context
    )  # fmt: skip


def policy(script: str, *, served: bool) -> str:
    """The Content-Security-Policy of a page with this script: its own style and script, pictures and sounds inside it.

    A served page may ask its own server and be framed by nobody; a file may ask nobody.
    """
    parts = [
        "default-src 'none'",
        f"style-src '{_digest('page.css')}'",
        f"script-src '{_digest(script)}'",
        "img-src data: blob:",
        "media-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    if served:
        parts += ["connect-src 'self'", "frame-ancestors 'none'"]
    return "; ".join(parts)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _digest(name: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(_text(name).encode()).digest()).decode()}"
