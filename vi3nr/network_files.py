"""Networks as safetensors files, and as state dicts of modules that people have. Needs torch.

A file carries its config, so it is enough to get the network back; the package safetensors is an extra
(``pip install 'vi3nr[safetensors]'``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from torch import Tensor, nn

from vi3nr.config import InitConfig
from vi3nr.module_layers import check_layers, linear_layers
from vi3nr.networks import INR
from vi3nr.state_dicts import CONFIG_KEY, FORM_KEY, parameter_names, weights_metadata

__all__ = ["load_safetensors", "save_safetensors", "siren_state_dict"]


def siren_state_dict(network: nn.Module, config: InitConfig) -> dict[str, Tensor]:
    """The parameters under the names that SIREN's published code gives its modules.

    ``net.0.linear.weight``, ..., ``net.L.weight`` for the Linear layer at the end. A module whose layers compute
    ``sin(omega_0 * linear(x))`` with ``omega_0 = 1 / config.sigma_a`` in every layer, the first one too, is the same
    function then; with another ``omega_0`` it is another one.

    Args:
        network: an ``INR``, or another module that ``initialize_`` takes.
        config: the network's.

    Returns:
        Tensors that share no memory with the network.

    Raises:
        ValueError: a family without such layers, a config with an encoding, or a network that is not the config's.
    """
    return _named(network, config, "siren")


def save_safetensors(
    path: str | Path,
    network: nn.Module,
    config: InitConfig,
    *,
    form: str = "inr",
    about: Mapping[str, str] | None = None,
) -> None:
    """Write a network's parameters, as they are now, with its config.

    Args:
        path: of the file.
        network: an ``INR``, or another module that ``initialize_`` takes.
        config: the network's.
        form: ``inr``, the names of ``INR``; or ``siren``, those of ``siren_state_dict``.
        about: more for the file's metadata.

    Raises:
        ValueError: as ``siren_state_dict``; or numbers that a file cannot hold (complex128).
        ModuleNotFoundError: the package safetensors is not installed; the sentence says how it is.
    """
    tensors = _named(network, config, form)
    for name, tensor in tensors.items():
        if tensor.is_complex() and tensor.element_size() != 8:
            raise ValueError(f"{name} is {tensor.dtype}; a safetensors file holds complex64 alone")
    _safetensors().torch.save_file(tensors, Path(path), weights_metadata(config, form, about))


def load_safetensors(path: str | Path) -> INR:
    """The network that ``save_safetensors`` wrote, in either form, or that a service exported.

    Raises:
        ValueError: the file is none of these.
        OSError: it cannot be read.
        ModuleNotFoundError: the package safetensors is not installed; the sentence says how it is.
    """
    library = _safetensors()
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    try:
        with library.safe_open(Path(path), framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- it is no mapping
    except library.SafetensorError as error:
        raise ValueError(f"{str(path)!r} is no safetensors file: {error}") from None
    if CONFIG_KEY not in about:
        raise ValueError(f"{str(path)!r} holds no init config: it was not written by vi3nr")
    config = InitConfig.from_json(about[CONFIG_KEY])
    theirs, ours = (parameter_names(config, form) for form in (about.get(FORM_KEY, "inr"), "inr"))
    renamed = {new: tensors.get(old) for pair in zip(theirs, ours, strict=True) for old, new in zip(*pair, strict=True)}
    state = {name: tensor for name, tensor in renamed.items() if tensor is not None}
    if len(state) != len(renamed):
        missing = ", ".join(sorted(renamed.keys() - state.keys()))
        raise ValueError(f"{str(path)!r} lacks {missing}")
    first = state[ours[0][0]]
    network = INR.from_config(config, seed=0, dtype=first.dtype)
    network.load_state_dict(state)
    return network


def _named(network: nn.Module, config: InitConfig, form: str) -> dict[str, Tensor]:
    names = parameter_names(config, form)
    linears = linear_layers(network, config, {}, ())
    check_layers(linears, config)
    found = {}
    for (weight, bias), (_, linear) in zip(names, linears, strict=True):
        found[weight] = linear.weight.detach().clone()
        if linear.bias is not None:
            found[bias] = linear.bias.detach().clone()
    return found


def _safetensors() -> ModuleType:
    try:
        import safetensors
        import safetensors.torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "files of weights need the package safetensors: pip install 'vi3nr[safetensors]'", name=error.name
        ) from None
    return safetensors
