"""Every command and snippet of README.md and docs/ works, or stands in a list with the reason why not."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import typer.main
from documents import PAGES, ROOT, answers_beside, blocks, commands, files_beside, inline_commands
from live_service import LiveService
from typer.testing import CliRunner

from service.commands import app

# Blocks of other languages are shown, not run.
SHOWN = {"": "output, a table or a configuration's part"}
# By the first words, options before a subcommand left out. What is not here is run, and must succeed.
NOT_RUN = {
    "docker compose build": "there is no Docker engine here; deploy/image_check.py does the Dockerfile's steps",
    "docker compose up": "no Docker engine; make cluster runs the same services as processes",
    "docker compose run": "no Docker engine; make image-check runs the images' commands",
    "docker compose exec": "no Docker engine; test_backup.py runs the same PostgreSQL tools",
    "docker compose stop": "no Docker engine",
    "docker swarm": "no Docker engine",
    "docker network": "no Docker engine",
    "kubectl": "there is no Kubernetes here; test_kubernetes.py checks the manifest",
    "helm": "there is no Kubernetes here",
    "git pull": "it would change this checkout",
    ". .venv/bin/activate": "it changes the shell alone",
    "vi3nr serve": "it runs until it is stopped; test_main_job.py starts what it starts",
    "export": "it sets a variable of the shell alone",
    "curl http://127.0.0.1:8000/readyz": "it waits for compose to be up; test_api_process.py asks /readyz",
}
SLOW = os.environ.get("VI3NR_DOCS") == "all"  # by `make docs-test`: also what takes more than some seconds
SMALLER = {"search": shlex.split("--steps 20 --trials 2 --width 8 --layers 1 --finalists 1 --seeds 2")}
QUICKER = {  # what makes a Python block short, unless all is asked for
    "networks=16": "networks=1",
    '"search": {"trials": 8}': '"search": {"trials": 2}, "network": {"width": 8}, "training": {"steps": 30}',
}
PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]
SHELL = [page for page in PAGES if any(block.language == "sh" for block in blocks(page))]
OWN = ["library.md"]  # run by tests/vi3nr/test_library_page.py, with the service's packages made unimportable


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def study(live: LiveService) -> str:
    """A completed study of the picture that stands in for photo.png."""
    return live.completed("sine")


@pytest.fixture
def folder(live: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with the files that the pages name."""
    monkeypatch.chdir(tmp_path)
    files_beside(tmp_path)
    (tmp_path / ".curlrc").write_text(f'header = "Authorization: Bearer {live.key}"\n')
    environment = {"CURL_HOME": tmp_path, "VI3NR_URL": live.url, "VI3NR_API_KEY": live.key}
    for variable, value in environment.items():
        monkeypatch.setenv(variable, str(value))
    return tmp_path


@contextmanager
def nothing_queued(live: LiveService) -> Iterator[None]:
    """What the block leaves waiting is cancelled: a runner of a later test would work on it."""
    try:
        yield
    finally:
        with live.client() as client:
            for item in list(client.studies(state="queued")):
                client.cancel(item.id)


@pytest.mark.parametrize("page", [page for page in PYTHON if page.name not in OWN], ids=name)
def test_python_blocks_run_in_order(page: Path, live: LiveService, study: str, folder: Path) -> None:
    """In one namespace for the page, beside the files that commands of the pages would have made."""
    answers_beside(folder)
    names: dict[str, Any] = {"__name__": page.stem}
    code = [block.text for block in blocks(page) if block.language == "python"]
    with nothing_queued(live), live.runner():
        for number, text in enumerate(code):
            text = text.replace("http://localhost:8000", live.url).replace("key=None", f"key={live.key!r}")
            if not SLOW:
                for long, short in QUICKER.items():
                    text = text.replace(long, short)
            exec(compile(text, f"{name(page)}, block {number + 1}", "exec"), names)


@pytest.mark.parametrize("page", SHELL, ids=name)
def test_shell_blocks_run_in_order(page: Path, live: LiveService, study: str, folder: Path) -> None:
    """Against a real service, whose address and key are filled in; every exit status is 0."""
    with nothing_queued(live):
        for block in blocks(page):
            if block.language == "sh":
                for line in commands(block.text):
                    execute(line, live, study, folder)


def execute(line: str, live: LiveService, study: str, folder: Path) -> None:
    """Run a command, or check it."""
    words = shlex.split(line)
    words[0] = words[0].removeprefix(".venv/bin/")
    if left_out(words):
        return
    if words[0] == "make":
        make(words)
    elif words[1:2] == ["-m"] and words[2].startswith("benchmarks."):
        parse(words[2], words[3:])
    elif words[1:3] == ["-m", "service.secret_files"]:
        done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    elif words[:2] == ["vi3nr", "search"] and not SLOW:
        known(words[1:])
    elif words[0] == "vi3nr":
        vi3nr(words[1:], live, study)
    elif words[0] == "curl":
        curl(words[1:], live, study)
    else:
        pytest.fail(f"nobody says how to check {line!r}: run it here or give a reason in NOT_RUN")


def left_out(words: list[str]) -> bool:
    """Whether NOT_RUN has the command."""
    plain = " ".join(word for at, word in enumerate(words) if not is_option(words, at))
    return any(plain == known or plain.startswith(known + " ") for known in NOT_RUN)


def is_option(words: list[str], at: int) -> bool:
    """Whether the word is --profile, --file or what follows them."""
    return words[at] in ("--profile", "--file") or (at > 0 and words[at - 1] in ("--profile", "--file"))


def make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert words[1] in targets, f"there is no target {words[1]}"


class ParsedError(Exception):
    """The arguments were accepted."""


def parse(module: str, arguments: list[str]) -> None:
    """The benchmark's own parser takes the arguments; it is not run."""
    read = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser, *given: Any, **more: Any) -> None:
        read(parser, *given, **more)
        raise ParsedError

    main = importlib.import_module(module).main
    with (
        mock.patch.object(sys, "argv", [module, *arguments]),
        mock.patch.object(argparse.ArgumentParser, "parse_args", parse_args),
        pytest.raises(ParsedError),
    ):
        main()


def vi3nr(words: list[str], live: LiveService, study: str) -> None:
    """The command line; ID and DATASET are those that the page means."""
    words = [*words, *SMALLER.get(words[0], [])]
    filled = [stand_in(word, words, live, study) for word in words]
    local = words[0] in ("key", "db") or (words[0] in ("export", "report", "doctor") and "--url" not in words)
    place = {"VI3NR_DATA_DIR": str(live.settings.data_dir if local else Path.cwd() / "data")}
    with mock.patch.dict(os.environ, place):
        if local:
            os.environ.pop("VI3NR_URL", None)
        if words[0] == "search":  # a Ray of its own, of which a process has one sort only
            ended = subprocess.run(
                [sys.executable, "-m", "service", *filled], capture_output=True, text=True, timeout=600, check=False,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            assert ended.returncode == 0, f"{shlex.join(filled)}: {ended.stderr}"
            return
        done = CliRunner().invoke(app, filled)
    assert done.exit_code == 0, f"{shlex.join(filled)}: {done.output} {done.exception!r}"


def stand_in(word: str, words: list[str], live: LiveService, study: str) -> str:
    if word == "DATASET":
        with live.client() as client:
            return next(client.datasets()).id
    if word != "ID":
        return word
    with live.client() as client:
        if words[:2] == ["studies", "cancel"]:
            return next(client.studies(state="queued")).id
        if words[:2] == ["studies", "delete"]:
            return next(client.studies(state="cancelled")).id
    if words[:2] == ["key", "revoke"]:
        from service.database import opened
        from service.keys import KeyRing

        with opened(live.settings.url) as engine:
            return next(key.id for key in KeyRing(engine).list() if key.name == "anna")
    return study


def curl(words: list[str], live: LiveService, study: str) -> None:
    """A real curl; the address is the live service's, and an ellipsis the id that belongs there."""
    address = live.url.removeprefix("http://")
    with live.client() as client:
        dataset = client.upload("photo.png").id
    filled = [
        word.replace("localhost:8000", address)
        .replace('"dataset_id": "…"', f'"dataset_id": "{dataset}"')
        .replace("…", study)
        for word in words
    ]
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    command = [program, "--silent", "--show-error", "--fail-with-body", *filled]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}: {done.stdout} {done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_the_text_exist(page: Path) -> None:
    """A target, a command of vi3nr with its options, arguments that the benchmark's parser takes."""
    for line in inline_commands(page):
        words = line.split()
        if words[0] == "make":
            make(words)
        elif words[0] == "vi3nr":
            known(words[1:])
        elif words[2].startswith("benchmarks."):
            parse(words[2], words[3:])
        else:
            assert (ROOT / words[2].replace(".", "/")).with_suffix(".py").exists(), line


def known(words: list[str]) -> None:
    """The command is there, and takes the options that are named."""
    command: Any = typer.main.get_command(app)
    while getattr(command, "commands", None) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"vi3nr has no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    taken = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= taken, words


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_has_a_language_that_is_run_or_shown(page: Path) -> None:
    """A new kind of block is not passed over; code that is only indented would be."""
    assert {block.language for block in blocks(page)} <= {"python", "sh", *SHOWN}
    indented = re.findall(
        r"\n\n((?:    )(?:python|make|curl|vi3nr|docker|from|import) .*)", page.read_text(encoding="utf-8")
    )
    assert not indented


def test_reasons_are_of_commands_that_are_there() -> None:
    """NOT_RUN does not outlive what it excuses."""
    texts = [block.text for page in SHELL for block in blocks(page) if block.language == "sh"]
    excused = [" ".join(words) for text in texts for words in map(shlex.split, commands(text)) if left_out(words)]
    plain = [re.sub("--(profile|file) [^ ]+ ", "", line).removeprefix(".venv/bin/") for line in excused]
    assert [known for known in NOT_RUN if not any(line.startswith(known) for line in plain)] == []


def test_a_new_command_is_not_passed_over(live: LiveService, study: str, folder: Path) -> None:
    """A command that is neither run nor excused fails."""
    with pytest.raises(pytest.fail.Exception, match="nobody says"):
        execute("rsync here there", live, study, folder)
    assert commands("# only a remark\n\nmake \\\n  demo\n") == ["make demo"]
