"""The library from its wheel: ``make wheel``. What ``pip install vi3nr`` would give, tried out in an empty environment.

Builds the sdist, from it the wheel, and installs that in a new environment that holds the base dependencies of the one
in use and nothing else: each is linked, so nothing is downloaded, and pip itself says whether one is missing. There,
outside the repository, every module of the library is imported and every snippet of docs/library.md is run.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from email import message_from_bytes
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("vi3nr", "workers", "service")
ALONE = """
import importlib, pkgutil, re, sys
import vi3nr

assert "site-packages" in vi3nr.__file__, vi3nr.__file__
for found in pkgutil.walk_packages(vi3nr.__path__, "vi3nr."):
    importlib.import_module(found.name)
names = {"__name__": "library_page"}
for snippet in re.findall(r"```python\\n(.*?)```", open(sys.argv[1], encoding="utf-8").read(), flags=re.DOTALL):
    exec(compile(snippet, "library.md", "exec"), names)
with open("best.json", "w", encoding="utf-8") as file:
    file.write(names["config"].to_json())
network = vi3nr.INR.from_config(vi3nr.InitConfig.from_json(open("best.json").read()), seed=0)
absent = [name for name in sys.argv[2:] if importlib.util.find_spec(name) is None]
assert absent == sys.argv[2:], set(sys.argv[2:]) - set(absent)
print("modules and snippets run;", ", ".join(absent), "are not there")
"""
NOT_THERE = (
    "ray",
    "optuna",
    "fastapi",
    "pydantic",
    "sqlalchemy",
    "PIL",
    "skimage",
    "uvicorn",
    "typer",
    "trimesh",
    "soundfile",
    "safetensors",
)


def run(*command: str | Path, at: Path = ROOT) -> str:
    done = subprocess.run([str(part) for part in command], cwd=at, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(to: Path) -> tuple[Path, Path]:
    """The sdist of the tracked files, and the wheel that is built from the sdist."""
    source = to / "source"
    source.mkdir()
    for name in run("git", "ls-files").splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    make = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    run(sys.executable, "-c", make, to, at=source)
    (sdist,) = to.glob("*.tar.gz")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", to, sdist)
    (wheel,) = to.glob("*.whl")
    return sdist, wheel


def check_contents(sdist: Path, wheel: Path) -> None:
    """All tracked files of the packages are in both, and no tests or benchmarks in the wheel."""
    expected = set(run("git", "ls-files", *SHIPPED).splitlines())
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    assert in_wheel == expected, f"wheel and repository differ in {sorted(in_wheel ^ expected)}"
    assert expected <= in_sdist, f"the sdist lacks {sorted(expected - in_sdist)}"
    assert {"vi3nr/py.typed", "vi3nr/ensemble/__init__.py"} <= in_wheel


def base_dependencies(wheel: Path) -> dict[str, Distribution]:
    """What an install of the wheel without extras brings, with all that these need, as installed here."""
    found: dict[str, Distribution] = {}
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = message_from_bytes(archive.read(metadata))
    waiting = [Requirement(line) for line in told.get_all("Requires-Dist", [])]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[name] = distribution(name)
        waiting += [Requirement(line) for line in found[name].requires or []]
    return found


def link(installed: Distribution, to: Path) -> None:
    """Every top-level file and folder of a distribution, its metadata among them."""
    for top in {Path(file).parts[0] for file in installed.files or () if ".." not in Path(file).parts}:
        place = to / top
        if not place.exists() and top != "__pycache__":
            place.symlink_to(Path(str(installed.locate_file(top))).resolve())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        sdist, wheel = build(there)
        check_contents(sdist, wheel)
        venv.create(there / "venv", with_pip=True)
        python = there / "venv" / "bin" / "python"
        packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        linked = base_dependencies(wheel)
        for installed in linked.values():
            link(installed, packages)
        run(python, "-m", "pip", "install", "--quiet", "--no-index", wheel)
        said = run(python, "-W", "error", "-c", ALONE, ROOT / "docs" / "library.md", *NOT_THERE, at=there)
        print(f"{sdist.name}, {wheel.name}: {wheel.stat().st_size / 1e3:.0f} kB; with {', '.join(sorted(linked))}")
        print(said.splitlines()[-1])
        command = subprocess.run([there / "venv/bin/vi3nr", "--help"], capture_output=True, text=True, check=False)
        assert "pip install 'vi3nr[service]'" in command.stderr, command.stderr


if __name__ == "__main__":
    main()
