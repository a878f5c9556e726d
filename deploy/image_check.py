"""Builds the images' stages without a Docker engine, and uses them: ``make image-check``. Root on Linux only.

Each stage is a copy-on-write view of this machine (an overlay in a mount namespace of its own) in which the
Dockerfile's instructions are carried out word for word; so a file, package or step that is missing shows. What does not
show: a system library that this machine has and the base image lacks. Then the API and a runner are started from their
images, as the images' own user, on one database; a study is sent to the API and has to be completed.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SPACE = "12g"  # of memory, for what the stages write


class Stage:
    """One stage: its root, and what its instructions have set."""

    def __init__(self, name: str, base: Stage | None, space: Path, arguments: dict[str, str]) -> None:
        self.name, self._given = name, arguments
        self.environment: dict[str, str] = dict(base.environment) if base else {}
        self.workdir, self.user = (base.workdir, base.user) if base else ("/", "0:0")
        self.settings: dict[str, str] = {}
        self._arguments: dict[str, str] = {}
        self.lower = [base.upper, *base.lower] if base else [Path("/")]
        self.upper, work, self.root = (space / part / name for part in ("upper", "work", "root"))
        for folder in (self.upper, work, self.root):
            folder.mkdir(parents=True)
        lower = ":".join(map(str, self.lower))
        _run(
            "mount",
            "-t",
            "overlay",
            "overlay",
            "-o",
            f"lowerdir={lower},upperdir={self.upper},workdir={work}",
            self.root,
        )
        self._imitate_kernel()
        if base is None:
            self._imitate_image()

    def _imitate_kernel(self) -> None:
        """Its own /proc and /dev: nothing of the machine's is within reach of what runs or cleans up here."""
        _run("mount", "-t", "proc", "proc", self.root / "proc")
        devices = self.root / "dev"
        _run("mount", "-t", "tmpfs", "tmpfs", devices)
        for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
            os.mknod(devices / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            (devices / name).chmod(0o666)
        (devices / "fd").symlink_to("/proc/self/fd")
        (devices / "shm").mkdir(mode=0o1777)
        (devices / "shm").chmod(0o1777)

    def _imitate_image(self) -> None:
        """What the base image has: Python and pip in /usr/local, for every user, and no file of this project."""
        (self.root / "root").chmod(0o755)
        local, here = self.root / "usr/local", Path(sys.base_prefix)
        version = f"python3.{sys.version_info.minor}"
        shutil.rmtree(local / "lib" / version, ignore_errors=True)
        shutil.copytree(here / "lib" / version, local / "lib" / version, symlinks=True, ignore=_but_pip)
        shutil.copy2(here / "bin" / version, local / "bin" / version)
        for name in ("python", "python3"):
            (local / "bin" / name).unlink(missing_ok=True)
            (local / "bin" / name).symlink_to(version)
        pip = local / "bin" / "pip"
        pip.unlink(missing_ok=True)
        pip.write_text('#!/bin/sh\nexec /usr/local/bin/python -m pip "$@"\n')
        pip.chmod(0o755)
        for folder in ("data", "src", "wheels", "opt/vi3nr", "home/vi3nr"):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def follow(self, word: str, rest: str, stages: dict[str, Stage]) -> None:
        """Carry out one instruction."""
        match word:
            case "ARG":
                name, _, default = rest.partition("=")
                self._arguments[name] = self._given.get(name, default)
            case "ENV":
                for pair in shlex.split(rest):
                    name, _, value = pair.partition("=")
                    self.environment[name] = value.replace(
                        "$PATH", self.environment.get("PATH", "/usr/local/bin:/usr/bin:/bin")
                    )
            case "WORKDIR":
                self.workdir = rest
                (self.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                self.user = rest
            case "RUN":
                self.run("/bin/sh", "-c", rest)
            case "COPY":
                self._copy(rest.split(), stages)
            case "VOLUME" | "EXPOSE" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                self.settings[word] = rest
            case _:
                raise ValueError(f"instruction {word!r} is not known here")

    def _copy(self, words: list[str], stages: dict[str, Stage]) -> None:
        source = ROOT
        if words[0].startswith("--from="):
            source = stages[words.pop(0).partition("=")[2]].root
        *names, target = words
        place = self.root / Path(self.workdir, target).relative_to("/")
        for name in names:
            found = source / name.lstrip("/")
            if source == ROOT and not _in_context(name):
                raise ValueError(f"COPY {name}: .dockerignore keeps it out of the build")
            if found.is_dir():
                shutil.copytree(
                    found, place, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy2(found, place / found.name if target.endswith("/") else place)

    def command(self, *words: str) -> list[str]:
        """What runs these words in the stage, with its user, folder and environment and nothing of ours but pip's."""
        kept = {
            name: value for name, value in os.environ.items() if re.match("PIP_|(HTTPS?|NO)_PROXY|https?_proxy", name)
        }
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": self._home()} | kept
        environment |= self._arguments | self.environment
        pairs = [f"{name}={value}" for name, value in environment.items()]
        inner = f"cd {shlex.quote(self.workdir)} && exec {shlex.join(words)}"
        return ["chroot", f"--userspec={self.user}", str(self.root), "env", "-i", *pairs, "/bin/sh", "-c", inner]

    def run(self, *words: str) -> str:
        """Run to the end. Raises CalledProcessError if it fails."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(
                f"{self.name}: {shlex.join(words)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
            )
        return done.stdout

    def default(self) -> list[str]:
        """Entry point and command."""
        return [*json.loads(self.settings["ENTRYPOINT"]), *json.loads(self.settings["CMD"])]

    def healthy(self) -> bool:
        """Whether the stage's own health check succeeds."""
        check = json.loads(self.settings["HEALTHCHECK"].partition("CMD ")[2])
        return subprocess.run(self.command(*check), capture_output=True, check=False).returncode == 0

    def _home(self) -> str:
        return "/root" if self.user == "0:0" else "/home/vi3nr"


def _but_pip(folder: str, names: list[str]) -> list[str]:
    """What is not copied: caches, and packages other than pip."""
    packages = Path(folder).name == "site-packages"
    return [name for name in names if name == "__pycache__" or (packages and not name.startswith("pip"))]


def _in_context(name: str) -> bool:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return any(fnmatch.fnmatch(name, line[1:]) for line in lines if line.startswith("!"))


def build(space: Path, arguments: dict[str, str]) -> dict[str, Stage]:
    """Every stage of the Dockerfile."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text())
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            image, _, name = rest.split()
            current = stages[name] = Stage(name, stages.get(image), space, arguments)
            print(f"stage {name}", flush=True)
        elif word and current is not None:
            current.follow(word, rest.strip(), stages)
    return stages


def use(stages: dict[str, Stage], space: Path) -> None:
    """A study from the API's image to the worker's: migrated, sent, run, answered."""
    api, worker = stages["api"], stages["worker"]
    data = space / "data"
    data.mkdir()
    for stage in (api, worker):
        stage.run("test", "-w", "/data")  # as the image's user
        _run("mount", "--bind", data, stage.root / "data")
    os.chown(data, 10001, 10001)
    foreign = api.run(
        "python", "-c", "import importlib.util as u; print([n for n in ('torch', 'ray', 'optuna') if u.find_spec(n)])"
    )
    assert foreign.strip() == "[]", foreign
    worker.run("vi3nr", "db", "upgrade")
    api.environment["VI3NR_REQUIRE_KEYS"] = "true"  # as docker-compose.yml has it: the image listens for others too
    key = api.run("vi3nr", "key", "create", "image-check", "--scope", "write").split()[-1]
    log = (space / "log").open("w")

    def start(stage: Stage) -> subprocess.Popen[bytes]:
        return subprocess.Popen(stage.command(*stage.default()), stdout=log, stderr=log)

    running = {stage.name: start(stage) for stage in (api, worker)}

    def completed(number: str) -> bool:
        """Whether the study is. A runner that has ended is started again, as Docker does by docker-compose.yml."""
        if running["worker"].poll() is not None:
            print("the runner has ended and is started again", flush=True)
            running["worker"] = start(worker)
        return bool(_ask(key, f"/v1/studies/{number}")["state"] == "completed")

    try:
        _until(api.healthy, "the API's health check")
        print("api: healthy as user", api.user, flush=True)
        dataset = _ask(key, "/v1/datasets", _picture(worker), "multipart/form-data; boundary=b")["id"]
        study = {
            "dataset_id": dataset,
            "activations": [{"family": "gaussian"}],
            "network": {"width": 16, "hidden_layers": 1},
            "training": {"steps": 50},
            "search": {"trials": 3},
            "confirm": {"finalists": 1, "seeds": 2},
        }
        number = _ask(key, "/v1/studies", json.dumps(study).encode(), "application/json")["id"]
        _until(lambda: completed(number), "the study")
        print("worker: the study is completed as user", worker.user, flush=True)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait(60)
        log.close()
        lines = (space / "log").read_text().splitlines()
        print(*[line for line in lines if "service.requests" not in line][-15:], sep="\n")


def _picture(worker: Stage) -> bytes:
    code = (
        "import sys; from PIL import Image; Image.linear_gradient('L').resize((24, 24)).save(sys.stdout.buffer, 'PNG')"
    )
    done = subprocess.run(worker.command("python", "-c", code), capture_output=True, check=True)
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="p.png"\r\nContent-Type: image/png\r\n\r\n'
    return head + done.stdout + b"\r\n--b--\r\n"


def _ask(key: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
    headers = {"Content-Type": kind, "Authorization": f"Bearer {key}"}
    asked = urllib.request.Request(f"http://127.0.0.1:8000{path}", body, headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read())


def _until(condition: Any, what: str, seconds: float = 900.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.5)


def _run(*words: Any) -> None:
    subprocess.run([str(word) for word in words], check=True)


def main() -> None:
    """In a mount namespace of its own, of which nothing is left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if not chosen.inside:
        space = Path(tempfile.mkdtemp(prefix="image-"))
        command = ["unshare", "--mount", "--fork", sys.executable, *sys.argv, "--inside", str(space)]
        status = subprocess.run(command, check=False).returncode
        space.rmdir()  # never a recursive removal: all mounts were in the namespace, and went with it
        sys.exit(status)
    space = Path(chosen.inside)
    _run("mount", "-t", "tmpfs", "-o", f"size={SPACE}", "tmpfs", space)
    stages = build(space, dict(pair.split("=", 1) for pair in chosen.build_arg))
    for name in ("api", "worker"):
        size = subprocess.run(
            ["du", "-sm", stages[name].root / "opt/vi3nr"], capture_output=True, text=True, check=True
        )
        print(f"{name}: /opt/vi3nr has {size.stdout.split()[0]} MB", flush=True)
    use(stages, space)


if __name__ == "__main__":
    main()
