"""The pages' links lead to files, and what they do with docker compose names services and commands of ours."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
import yaml
from documents import FENCE, PAGES, ROOT, blocks, commands
from test_documents import known, name

from service.problems import Kind

LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
WITH_A_VALUE = ("--entrypoint", "--user", "--workdir")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page: Path) -> None:
    """README's picture too, which is on no page of the site."""
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        assert (page.parent / target).exists(), target


def compose_commands() -> list[list[str]]:
    """The words after ``docker compose`` of every command, from ``run``, ``exec`` or ``stop`` on."""
    texts = [block.text for page in PAGES for block in blocks(page) if block.language == "sh"]
    lines = [shlex.split(line) for text in texts for line in commands(text)]
    composed = [words for words in lines if words[:2] == ["docker", "compose"]]
    return [
        words[at:]
        for words in composed
        for at in [next((at for at, word in enumerate(words) if word in ("run", "exec", "stop")), None)]
        if at is not None
    ]


def test_compose_commands_name_services_and_commands_of_ours() -> None:
    """No Docker engine runs them, so a service or a command that was renamed would be told of by nobody else."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    asked = compose_commands()
    assert {words[0] for words in asked} == {"run", "exec", "stop"}
    for _, *words in asked:
        other_program = "--entrypoint" in words
        while words[0].startswith("-"):
            words = words[2:] if words[0] in WITH_A_VALUE else words[1:]
        assert words[0] in services, words
        if words[0] == "api" and not other_program:
            known(words[1:])


def test_every_type_of_problem_is_explained() -> None:
    """The table of docs/service.md has the types that there are, each once, and no other."""
    page = (ROOT / "docs" / "service.md").read_text().partition("## Errors")[2].partition("## Requests")[0]
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(re.findall("`([a-z-]+)`", " ".join(cells))) == sorted(get_args(Kind))
