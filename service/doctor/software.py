"""Python, the packages, the GPU, the compiler. Needs the standard library alone: any package may be the broken one."""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import sys
import warnings
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from service.doctor.findings import Finding, fault, fine, note

if TYPE_CHECKING:
    from service.settings import Settings

__all__ = ["compiler", "gpu", "home_folder", "packages", "python", "torch_threads"]

OLDEST = (3, 11)  # as pyproject.toml has it
NAME, EXTRA = re.compile(r"[\w.-]+"), re.compile(r"extra == .(\w+)")  # of a requirement
MODULES = {"pillow": "PIL", "scikit-image": "skimage"}  # that are not called as their distribution
COMPILERS = ("c++", "g++", "clang++")
DRIVER = Path("/proc/driver/nvidia/version")


def python() -> Finding:
    """Its version."""
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST:
        return fault("python", f"{found}: {OLDEST[0]}.{OLDEST[1]} or newer is needed; make a new environment with that")
    return fine("python", found)


def packages(required: Iterable[str] | None = None) -> list[Finding]:
    """Each is imported: one that is installed and broken shows here, and not in the middle of a study.

    Args:
        required: as in ``pyproject.toml``; None: what vi3nr says that it requires, with the extra ``service``.
    """
    found, wrong = [], []
    try:
        asked = _required() if required is None else list(required)
    except PackageNotFoundError:
        return [fault("packages", "vi3nr itself is not installed: pip install 'vi3nr[service]'")]
    for text in asked:
        name = NAME.match(text)[0]  # type: ignore[index]  # a requirement begins with a name
        version = _version(name)
        if sentence := _broken(MODULES.get(name, name.replace("-", "_"))) or _outside(text, version):
            wrong.append(fault(name, sentence))
        else:
            found.append(f"{name} {version}".strip())
    return [fine("packages", ", ".join(found)), *wrong] if found else wrong


def _required() -> list[str]:
    """Of the library, the API and the service."""
    kept = []
    for text in requires("vi3nr") or ():
        requirement, _, marker = text.partition(";")
        extras = set(EXTRA.findall(marker))
        if (not extras or extras & {"api", "service"}) and not requirement.startswith("vi3nr["):
            kept.append(requirement.strip())
    return kept


def _broken(module: str) -> str | None:
    """What happens when it is imported, as a sentence; None if all is well."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what packages have to say to each other
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        return f"{error.name or module} is not installed: pip install 'vi3nr[service]'"
    except Exception as error:  # whatever a broken package throws, it is the answer
        words = " ".join(str(error).split())[:200]
        return f"cannot be imported ({type(error).__name__}: {words}); install it again"
    return None


def _outside(text: str, version: str) -> str | None:
    """Which versions are needed, where this is none of them."""
    try:
        from packaging.requirements import Requirement
    except ImportError:  # pip has one of its own
        return None
    asked = Requirement(text)
    if not version or asked.specifier.contains(version, prereleases=True):
        return None
    return f"{version} is installed, and {asked.specifier} is needed: pip install {text!r}"


def torch_threads() -> Finding:
    """How many threads torch takes, on how many cores."""
    torch = _torch()
    if torch is None:
        return fault("threads", "torch cannot be imported, so nothing can be trained")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    told = f"torch takes {threads} on {cores} cores"
    if threads > cores:
        return note("threads", f"{told}: they will wait for each other; set OMP_NUM_THREADS={cores}")
    return fine("threads", f"{told}; each trainer takes one")


def gpu() -> Finding:
    """Whether torch sees one."""
    torch = _torch()
    if torch is None:
        return fault("gpu", "torch cannot be imported")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
        return fine("gpu", ", ".join(names))
    if not DRIVER.exists():
        return fine("gpu", "none: networks are trained on the CPU")
    if torch.version.cuda is None:
        return note(
            "gpu", f"there is one, but torch {torch.__version__} is the CPU build; install the CUDA build to use it"
        )
    return fault(
        "gpu", f"there is one, but torch, built for CUDA {torch.version.cuda}, cannot use it; is the driver too old?"
    )


def compiler() -> Finding:
    """What torch.compile calls: used where a GPU trains."""
    wanted = os.environ.get("CXX")
    found = shutil.which(wanted) if wanted else next(filter(None, map(shutil.which, COMPILERS)), None)
    if found:
        return fine("compiler", found)
    named = f"CXX names {wanted!r}, which is not there" if wanted else f"there is none of {', '.join(COMPILERS)}"
    return note("compiler", f"{named}: torch.compile, which speeds up training on a GPU, is left out; install g++")


def home_folder(settings: Settings) -> Finding:
    """A local Ray needs a home that can be written: its token lies there."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 -- Path.home raises where there is none
    if settings.ray_address:
        return fine("home", f"{home}; Ray is a cluster's")
    if not home.is_dir() or not os.access(home, os.W_OK):
        return fault(
            "home", f"{home} cannot be written, and a local Ray keeps its token there: set HOME to another folder"
        )
    return fine("home", str(home))


def _torch() -> ModuleType | None:
    try:
        return importlib.import_module("torch")
    except Exception:  # ``packages`` tells of it
        return None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
