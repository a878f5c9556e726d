"""README and docs say only what is there: every command's words exist, every address is the API's, snippets run.

The snippets of docs/library.md and docs/service.md run elsewhere (test_library_page, test_client).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
import typer

from service.app import create_app
from service.commands import app as command_line
from service.schemas import StudyRequest
from service.settings import Settings
from vi3nr.activations import activation
from vi3nr.profile import vi3nr_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN_ELSEWHERE = {"library.md", "service.md"}
ELSEWHERE = {  # first words of what no test runs, and why
    "docker": "needs a Docker engine; the compose files are rendered by tests of their own",
    "kubectl": "needs a cluster; the manifest is checked against its schemas",
    "helm": "needs a cluster",
    "git": "a plain pull",
    "export": "sets a variable for the lines that follow",
}
FILES = ("photo.png", "FILE")  # that commands name and that have to exist


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    """(page, line) of every shell line: in blocks, indented, and between backticks."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL) for line in block.splitlines()]
        lines += re.findall(r"^    ((?:python -m|make|vi3nr) .*)$", text, flags=re.MULTILINE)
        lines += re.findall(r"`((?:\.venv/bin/)?(?:vi3nr|make|python3? -m)\s[^`]*)`", text)
        for line in dict.fromkeys(" ".join(line.split()) for line in lines):
            if line and not line.startswith("#"):
                yield page.name, line


def words_of(line: str) -> list[str]:
    """A command's words, without what a shell takes for itself, and without brackets around what may be left out."""
    line = re.sub(r"[\[\]]", "", line) if line.startswith("python") else line
    words = shlex.split(line, comments=True)
    return words[: words.index(">")] if ">" in words else words


def parsed(words: list[str], command: click.Command | None = None) -> None:
    """Raise click's own error for words that ``vi3nr`` does not know."""
    command = typer.main.get_command(command_line) if command is None else command
    if set(words) <= {"--help", "--install-completion", "--show-completion"} and words:
        return  # typer's own, which act while they are parsed
    context = command.make_context("vi3nr", list(words))
    if isinstance(command, click.Group) and (rest := [*context.protected_args, *context.args]):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None, name
        parsed(rest, found)


@cache
def documented() -> dict[str, dict[str, object]]:
    """The API's paths, and the methods of each."""
    paths: dict[str, dict[str, object]] = create_app(Settings()).openapi()["paths"]
    return paths


def check_curl(words: list[str]) -> None:
    """Its address and method are in the API's document, and a JSON body is a request that the API takes."""
    bodies = [words[place + 1] for place, word in enumerate(words) if word == "-d"]
    (address,) = [word for word in words if re.match(r"(http://)?(localhost|127\.0\.0\.1):8000", word)]
    path = urlsplit(address if "://" in address else f"http://{address}").path
    paths = documented()
    pattern = {re.sub(r"\{[^}]*\}", "…", known): methods for known, methods in paths.items()}
    methods = pattern.get(path, {"get": None} if path in ("/readyz", "/healthz") else {})
    assert ("post" if bodies or "-F" in words else "get") in methods, path
    for body in bodies:
        StudyRequest.model_validate(json.loads(body) | {"dataset_id": "0" * 12})


def check_module(words: list[str]) -> None:
    """``python -m``: the module is there, and names every option."""
    spec = find_spec(words[0])
    assert spec is not None, words[0]
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    for word in words[1:]:
        assert not word.startswith("--") or f'"{word}"' in source, word


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_every_command_is_one_that_there_is(
    page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vi3nr's words by its own parser, modules and their options, targets of make, the API's addresses; what is left is
    listed above with its reason.
    """
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).touch()
    words = words_of(line.replace("...", "json"))
    tool = words[0].removeprefix(".venv/bin/")
    if tool == "vi3nr":
        parsed(words[1:])
    elif tool == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert words[1] in targets
    elif words[:2] in (["python", "-m"], ["python3", "-m"]):
        check_module(words[2:])
    elif tool == "curl":
        check_curl(words)
    else:
        assert tool in ELSEWHERE, f"{page}: {line!r} is run by no test: run it, or say here why not"


@pytest.mark.parametrize(
    "page", [page.name for page in PAGES if page.name not in RUN_ELSEWHERE and python_blocks(page)]
)
def test_the_snippets_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other in one namespace, beside the file that the demo leaves."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vi3nr-demo").mkdir()
    config = vi3nr_config(activation("sine"), (2, 8, 8, 3))
    (tmp_path / "vi3nr-demo" / "best-sine.json").write_text(config.to_json())
    names: dict[str, object] = {}
    for number, snippet in enumerate(python_blocks(next(path for path in PAGES if path.name == page))):
        exec(compile(snippet, f"{page}, snippet {number + 1}", "exec"), names)


def test_the_compose_commands_of_the_docs_are_services_and_words_of_ours() -> None:
    """``run``, ``exec``, ``stop``: the service is in the compose file; what the API's image runs parses."""
    import yaml

    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    seen = set()
    for _, line in commands():
        words = words_of(line)
        for verb in {"run", "exec", "stop"} & set(words) if words[:2] == ["docker", "compose"] else ():
            after = words[words.index(verb) + 1 :]
            while after[0].startswith("-"):
                after = after[2:] if after[0] in ("--entrypoint",) else after[1:]
            assert after[0] in services, line
            seen.add(verb)
            if after[0] == "api" and "--entrypoint" not in words:
                parsed(after[1:])
    assert seen == {"run", "exec", "stop"}


def test_links_lead_to_files() -> None:
    """Every relative link of README and docs."""
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
