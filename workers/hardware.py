"""What a device is called by its maker, for people who read how a study was run."""

from __future__ import annotations

import platform
import re
from functools import cache
from pathlib import Path

__all__ = ["model_of"]


@cache
def model_of(kind: str) -> str:
    """The model of this process's first device of a kind ("cpu" or "cuda"); empty where nothing tells it."""
    if kind == "cuda":
        import torch

        return torch.cuda.get_device_name(0)
    try:
        told = re.search(r"^model name\s*:\s*(\S.*?)\s*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        told = None
    return told.group(1) if told else platform.processor() or platform.machine()
