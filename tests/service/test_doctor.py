"""``vi3nr doctor``: a sound installation has no fault; each thing that is broken here is named in a sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from live_service import LiveService
from sqlalchemy import text
from typer.testing import CliRunner

from service.commands import app
from service.database import VERSION_TABLE, opened
from service.doctor import software, surroundings
from service.doctor.findings import Finding, Level
from service.settings import Settings


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def told(finding: Finding, level: Level, *words: str) -> None:
    assert finding.level is level, finding
    for word in words:
        assert word in finding.sentence


def test_a_sound_installation_has_no_fault(tmp_path: Path) -> None:
    """Everything is looked at, nothing is made, and the exit status is 0."""
    words = ["doctor", "--data-dir", str(tmp_path / "data"), "--json"]
    words += ["--port", str(free_port()), "--dashboard-port", str(free_port())]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["ok"]
    subjects = [one["subject"] for one in answer["findings"]]
    expected = ["python", "packages", "threads", "gpu", "compiler", "home", "database", "disk"]
    assert set(expected) | {"data folder", "API port", "dashboard port"} == set(subjects)
    assert not list(tmp_path.iterdir())


def test_faults_are_told_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder that is a file, a port that is taken: two sentences, exit status 1."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(surroundings, "SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        words = ["doctor", "--data-dir", str(tmp_path / "file" / "data"), "--port", number, "--dashboard-port", "0"]
        done = CliRunner().invoke(app, words, env={"COLUMNS": "300"})
    assert done.exit_code == 1
    assert "is a file" in done.stdout
    assert (
        f"127.0.0.1:{number} cannot be listened on: Address already in use; choose another with --port" in done.stdout
    )
    assert done.stdout.endswith("2 faults\n")


def test_a_setting_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that holds it."""
    monkeypatch.setenv("VI3NR_MAX_WIDTH", "many")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 2
    assert "VI3NR_MAX_WIDTH" in done.stderr
    assert '"many"' in done.stderr


def test_packages_that_are_missing_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is missing, also inside another, and what the broken one says."""
    (tmp_path / "broken_one.py").write_text("raise OSError('libcuda.so.1: cannot open')")
    (tmp_path / "needs_more.py").write_text("import not_there_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    good, broken, missing, inside = software.packages(("json", "broken_one", "nowhere_to_be_found", "needs_more"))
    told(good, Level.OK, "json")
    told(broken, Level.FAULT, "OSError: libcuda.so.1", "install it again")
    told(missing, Level.FAULT, "nowhere_to_be_found is not installed", "pip install")
    told(inside, Level.FAULT, "not_there_at_all is not installed")


def test_a_version_outside_the_range_is_a_fault() -> None:
    """What is installed is named, what is needed, and how to get it; what vi3nr asks for is all there."""
    (wrong,) = software.packages(["numpy>=99,<100"])
    told(wrong, Level.FAULT, np.__version__, ">=99", "pip install 'numpy>=99,<100'")
    names = {re.match(r"[\w.-]+", one)[0] for one in software._required()}  # type: ignore[index]
    assert {"numpy", "torch", "fastapi", "soundfile", "uvicorn", "ray", "optuna-dashboard"} <= names
    assert not {"pytest", "mkdocs", "vi3nr"} & names


@pytest.mark.parametrize("name", ["numpy", "pydantic"])
def test_a_broken_package_is_told_without_a_traceback(name: str, tmp_path: Path) -> None:
    """Also where the command line itself, or a part of the doctor, cannot be imported without it."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise ImportError('libbroken.so.1: cannot open')")
    places = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    code = f"from service.doctor import software; software._required = lambda: [{name!r}];"
    done = subprocess.run(
        [sys.executable, "-c", f"{code} from service.cli import main; main()", "doctor", "--json"],
        capture_output=True, text=True, timeout=120, cwd=tmp_path, env=os.environ | {"PYTHONPATH": places},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "libbroken.so.1" in done.stdout + done.stderr
    assert name in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault names the version needed."""
    told(software.python(), Level.OK)
    monkeypatch.setattr(software, "OLDEST", (99, 0))
    told(software.python(), Level.FAULT, "99.0 or newer is needed")


def test_a_compiler_that_is_not_there_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For torch.compile alone needs one; CXX is believed as torch believes it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    told(software.compiler(), Level.NOTE, "none of c++, g++, clang++", "torch.compile")
    monkeypatch.setenv("CXX", "nvc++")
    told(software.compiler(), Level.NOTE, "'nvc++', which is not there")
    (tmp_path / "nvc++").write_text("#!/bin/sh\n")
    (tmp_path / "nvc++").chmod(0o755)
    told(software.compiler(), Level.OK, "nvc++")


def test_threads_and_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """More threads than cores, a driver without a torch that can use it: notes that say what to do."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(999)
    try:
        told(software.torch_threads(), Level.NOTE, "OMP_NUM_THREADS")
    finally:
        torch.set_num_threads(before)
    if torch.cuda.is_available():
        pytest.skip("there is a GPU, and torch uses it")
    (tmp_path / "version").write_text("")
    monkeypatch.setattr(software, "DRIVER", tmp_path / "version")
    monkeypatch.setattr(torch.version, "cuda", None)
    told(software.gpu(), Level.NOTE, "CPU build")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    told(software.gpu(), Level.FAULT, "CUDA 12.8", "driver")
    monkeypatch.setattr(software, "DRIVER", tmp_path / "none")
    told(software.gpu(), Level.OK, "CPU")


def test_a_home_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A local Ray would fail; a cluster's Ray does not care."""
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    told(software.home_folder(Settings()), Level.FAULT, "cannot be written", "set HOME")
    told(software.home_folder(Settings(ray_address="head:6379")), Level.OK)


def test_databases(tmp_path: Path, upgraded: Path) -> None:
    """One that is ready, a newer one, a file that is none, a server that is away, a kind that is unknown."""
    shutil.copy(upgraded, tmp_path / "vi3nr.db")
    settings = Settings(data_dir=tmp_path)
    told(surroundings.database(settings), Level.OK, "schema version")
    with opened(settings.url) as engine, engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    told(surroundings.database(settings), Level.FAULT, "'9999'", "upgrade the service")
    (tmp_path / "vi3nr.db").write_text("not a database, but long enough to be looked at as one" * 50)
    told(surroundings.database(settings), Level.FAULT, "not a database")
    away = Settings(database_url=f"postgresql+psycopg://ann:secret@/none?host={tmp_path}")
    told(surroundings.database(away), Level.FAULT, "cannot be reached")
    assert "secret" not in surroundings.database(away).sentence
    told(surroundings.database(Settings(database_url="mysql://x/y")), Level.FAULT, "sqlite:/// or postgresql")


def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Less than uploads need is a fault, little is a note."""
    settings = Settings(data_dir=tmp_path)
    for free, level in ((10**6, Level.FAULT), (5 * 10**8, Level.NOTE), (10**11, Level.OK)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(10**12, 0, free))
        told(surroundings.disk(settings), level, "GB free")


def test_ports(live: LiveService) -> None:
    """A service of ours on the port is no fault; another host without keys is."""
    host, number = live.url.removeprefix("http://").split(":")
    told(surroundings.port(Settings(), "API", host, int(number)), Level.OK, "a service of this kind answers")
    told(surroundings.port(Settings(), "dashboard", host, int(number)), Level.FAULT, "--dashboard-port")
    told(surroundings.port(Settings(), "API", "0.0.0.0", 0), Level.FAULT, "API keys are off")
    told(surroundings.port(Settings(), "API", host, 70000), Level.FAULT, "not at 70000")


def test_a_cluster_that_is_away() -> None:
    """The fault names its address; a local Ray has nothing to reach."""
    assert surroundings.ray_cluster(Settings()) == []
    address = f"127.0.0.1:{free_port()}"
    (finding,) = surroundings.ray_cluster(Settings(ray_address=address))
    told(finding, Level.FAULT, address)
    (finding,) = surroundings.ray_cluster(Settings(ray_address="head"))
    told(finding, Level.FAULT, "head")
