"""Writes the lock of each image: the part of requirements.lock that its role needs, found by following what the
installed packages say they require. It needs no network. Usage: ``python deploy/locks.py [--check]``.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "numba")  # dependencies of the library's training half


def pins() -> dict[str, str]:
    """The lines of requirements.lock by canonical name."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {canonicalize_name(line.partition("==")[0]): line for line in lines if "==" in line and line[0] != "#"}


def needed(roots: Iterable[str]) -> set[str]:
    """Canonical names of these requirements and of all that they require on this machine.

    Raises:
        RuntimeError: a package is not installed, so that nobody knows what it requires.
    """
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    waiting, seen = [Requirement(root) for root in roots], set()
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        for extra in ("", *sorted(one.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            if name == "vi3nr":
                waiting += [Requirement(text) for text in extras.get(extra, ())]
                continue
            try:
                found = [Requirement(text) for text in requires(name) or ()]
            except PackageNotFoundError:
                raise RuntimeError(f"{name} is not installed: install requirements.lock first") from None
            waiting += [other for other in found if other.marker is None or other.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen} - {"vi3nr"}


def locks() -> dict[str, str]:
    """The contents of each lock by file name."""
    library = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    light = [text for text in library if Requirement(text).name not in HEAVY]
    return {
        "requirements-api.lock": _lock("the API needs", [*light, "vi3nr[api]"]),
        "requirements-worker.lock": _lock("Ray nodes, runner and dashboard need", [*library, "vi3nr[service]"]),
    }


def _lock(role: str, roots: Iterable[str]) -> str:
    pinned = pins()
    names = needed(roots)
    system = {name for name in names - pinned.keys() if name.startswith(("nvidia-", "cuda-", "triton"))}
    if missing := names - pinned.keys() - system:
        raise RuntimeError(f"requirements.lock has no pin for {', '.join(sorted(missing))}: run 'make lock'")
    lines = [pinned[name] for name in sorted(names - system)]
    return f"# The part of requirements.lock that {role}. Written by 'make locks'.\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Write, or with --check compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not what it should be")
    check = parser.parse_args().check
    for name, text in locks().items():
        path = ROOT / name
        if check and (not path.exists() or path.read_text() != text):
            sys.exit(f"{name} does not follow requirements.lock and pyproject.toml: run 'make locks'")
        if not check:
            path.write_text(text)


if __name__ == "__main__":
    main()
