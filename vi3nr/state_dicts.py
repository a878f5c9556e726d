"""A network's parameters by name, as state dicts have them, and as a safetensors file. NumPy alone.

Two forms. ``inr``: the names of ``vi3nr.INR``. ``siren``: those of the modules that people have from SIREN's published
code, ``net`` with layers that compute ``sin(omega_0 * linear(x))`` and a Linear layer at the end; the same numbers,
since a config's weights are for ``f(z)`` with ``z`` the Linear layer's output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vi3nr.config import InitConfig

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "CONFIG_KEY",
    "FORMS",
    "FORM_KEY",
    "OMEGA_INSIDE",
    "parameter_names",
    "safetensors_bytes",
    "split_parameters",
    "weights_metadata",
]

FORMS = ("inr", "siren")
OMEGA_INSIDE = ("sine", "finer")  # families whose published layers are f(omega_0 * linear(x)) with the config's f
CONFIG_KEY, FORM_KEY = "vi3nr_config", "vi3nr_form"  # in a file's metadata


def parameter_names(config: InitConfig, form: str = "inr") -> tuple[tuple[str, str], ...]:
    """Names of weight and bias of each Linear layer, in a state dict of this form.

    Raises:
        ValueError: an unknown form; ``siren`` of another family than ``OMEGA_INSIDE``, or of a config with an encoding.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    last = len(config.layers) - 1
    if form == "inr":
        places = [f"layers.{2 * index}" for index in range(last + 1)]
    else:
        _require_siren(config)
        places = [f"net.{index}.linear" if index < last else f"net.{index}" for index in range(last + 1)]
    return tuple((f"{place}.weight", f"{place}.bias") for place in places)


def _require_siren(config: InitConfig) -> None:
    if config.family not in OMEGA_INSIDE:
        raise ValueError(
            f"the form siren is for layers that compute f(omega_0 * linear(x)), those of the families "
            f"{', '.join(OMEGA_INSIDE)}; {config.family!r} has no such layer"
        )
    if config.encoding is not None:
        raise ValueError(f"the form siren has no place for an encoding, and the config has {config.encoding.kind!r}")


def weights_metadata(config: InitConfig, form: str = "inr", about: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a file of weights says of itself: config and form, and in the form ``siren`` the modules' ``omega_0``."""
    found = {"format": "pt", CONFIG_KEY: config.to_json(), FORM_KEY: form, **(about or {})}
    if form == "siren":
        found["omega_0"] = repr(1.0 / config.sigma_a)
    return found


def split_parameters(config: InitConfig, flat: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Weight ``(fan_out, fan_in)`` and bias ``(fan_out,)`` of each layer, float32 or complex64.

    Args:
        config: of the network.
        flat: as ``MemberState.parameters`` holds them: weight then bias of each layer, complex numbers as pairs.

    Raises:
        ValueError: another number of parameters than the network has.
    """
    import numpy as np

    flat = np.array(flat, np.float32)  # a copy: what is given may be read-only
    pairs = [2 if config.complex_weights and index > 0 else 1 for index in range(len(config.layers))]
    sizes = [n * layer.fan_out * (layer.fan_in + 1) for n, layer in zip(pairs, config.layers, strict=True)]
    if flat.shape != (sum(sizes),):
        raise ValueError(f"the network has {sum(sizes)} parameters, got an array of shape {tuple(flat.shape)}")
    found, begin = [], 0
    for pair, size, layer in zip(pairs, sizes, config.layers, strict=True):
        part = flat[begin : begin + size]
        numbers = part.view(np.complex64) if pair == 2 else part
        weight, bias = np.split(numbers, [layer.fan_out * layer.fan_in])
        found.append((weight.reshape(layer.fan_out, layer.fan_in), bias))
        begin += size
    return tuple(found)


def safetensors_bytes(
    config: InitConfig,
    layers: Sequence[tuple[np.ndarray, np.ndarray]],
    form: str = "inr",
    about: Mapping[str, str] | None = None,
) -> bytes:
    """The parameters as a safetensors file, with the config in its metadata. Needs the package safetensors.

    Args:
        config: of the network.
        layers: weight ``(fan_out, fan_in)`` and bias ``(fan_out,)`` of each layer, as ``split_parameters`` gives them.
        form: whose names the tensors have, see ``FORMS``.
        about: more metadata.

    Raises:
        ValueError: a form that has no meaning for the config.
    """
    names = parameter_names(config, form)
    from safetensors.numpy import save

    tensors = {
        name: part for pair, parts in zip(names, layers, strict=True) for name, part in zip(pair, parts, strict=True)
    }
    return bytes(save(tensors, weights_metadata(config, form, about)))
