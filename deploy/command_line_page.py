"""A hook of mkdocs: the page of the command line's help, made from the commands themselves at every build."""

from __future__ import annotations

import re

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

from service.commands import app

PAGE = "command-line.md"
LISTS = re.compile(
    r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n?"
)  # with sentences cut short; the page's own contents list them


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page: what ``--help`` says of each command."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="vi3nr", title="Commands")
    files.append(File.generated(config, PAGE, content=LISTS.sub("", text)))
    return files
