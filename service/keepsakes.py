"""What a study keeps for its report besides the answer, as one blob: pictures, trained weights, layers, versions."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from workers.exhibits import Exhibit, LayerVariance

__all__ = ["Keepsake", "pack", "unpack", "versions"]

PACKAGES = ("vi3nr", "torch", "numpy", "scipy", "optuna", "ray")


@dataclass(frozen=True)
class Keepsake:
    """The exhibits, and where they were made: the runner's versions by package, its trainers' devices."""

    exhibits: tuple[Exhibit, ...]
    versions: dict[str, str]
    devices: tuple[str, ...]


def versions() -> dict[str, str]:
    """Of Python and of what computes, in this process's installation."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def pack(exhibits: Sequence[Exhibit], devices: Sequence[str]) -> bytes:
    """The keepsake of this process's versions as bytes: an ``.npz`` archive without pickle, its words as JSON."""
    words = {
        "versions": versions(),
        "devices": list(devices),
        "exhibits": [
            {
                "family": one.family, "arm": one.arm, "kind": one.kind, "seed": one.seed, "stride": one.stride,
                "layers": [asdict(layer) for layer in one.layers], "signal": one.signal, "metrics": dict(one.metrics),
            }
            for one in exhibits
        ],
    }  # fmt: skip
    arrays = {"words": np.array(json.dumps(words))}
    for place, one in enumerate(exhibits):
        arrays |= {f"values {place}": one.values, f"parameters {place}": one.parameters}
        if one.distances is not None:
            arrays[f"distances {place}"] = one.distances
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for options
    return buffer.getvalue()


def unpack(data: bytes) -> Keepsake:
    """The inverse of ``pack``."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        words = json.loads(str(archive["words"]))
        exhibits = tuple(
            Exhibit(
                **{**told, "layers": tuple(LayerVariance(**layer) for layer in told["layers"])},
                values=archive[f"values {place}"],
                parameters=archive[f"parameters {place}"],
                distances=archive.get(f"distances {place}"),
            )
            for place, told in enumerate(words["exhibits"])
        )
    return Keepsake(exhibits, words["versions"], tuple(words["devices"]))
