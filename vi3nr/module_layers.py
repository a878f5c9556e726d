"""Finding the Linear layers of a module that somebody else wrote, and saying what stands in the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from vi3nr.activation_module import ActivationModule, EncodingModule
from vi3nr.activations import activation as build_activation
from vi3nr.config import InitConfig, LayerInit
from vi3nr.families import Activation

__all__ = ["Declared", "check_layers", "linear_layers"]

Declared = Mapping[type[nn.Module], Callable[[Any], Activation]]
Leave = Collection[type[nn.Module] | str]

SAME = 1e-6  # relative: a scale written as omega 47.3 or as sigma_a 0.02114 in float32 is the same scale
SOFTPLUS_LINEAR_FROM = 20.0  # torch's default threshold, where softplus is x to 2e-9
PLAIN = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Identity, nn.Flatten, nn.Unflatten)  # change no number
TORCH_ACTIVATIONS: Mapping[type[nn.Module], Callable[[Any], Activation | None]] = {  # None: as nobody's family
    nn.ReLU: lambda _: build_activation("relu"),
    nn.LeakyReLU: lambda part: build_activation("leaky_relu", negative_slope=part.negative_slope),
    nn.Tanh: lambda _: build_activation("tanh", 1.0),
    nn.Sigmoid: lambda _: build_activation("sigmoid", 1.0),
    nn.Softplus: lambda part: (
        build_activation("softplus", 1.0) if part.beta == 1.0 and part.threshold >= SOFTPLUS_LINEAR_FROM else None
    ),
    nn.GELU: lambda part: build_activation("gelu", 1.0) if part.approximate == "none" else None,
    nn.SiLU: lambda _: build_activation("silu", 1.0),
}


def linear_layers(
    module: nn.Module, config: InitConfig, activations: Declared, leave: Leave
) -> list[tuple[str, nn.Linear]]:
    """The Linear layers with their names, in the order of registration, after a look at everything else.

    Raises:
        ValueError: a part that no rule places; the sentence names it. See ``vi3nr.initialize_``.
    """
    names = {name for name, _ in (*module.named_modules(), *module.named_parameters(remove_duplicate=False))}
    for name in leave:
        if isinstance(name, str) and name not in names:
            raise ValueError(f"leave names the module or parameter {name!r}, which is not there")
    expected = build_activation(config.family, config.sigma_a, **config.parameters)
    linears: list[tuple[str, nn.Linear]] = []
    owners: dict[tuple[torch.device, int], str] = {}  # of the memory seen so far
    for name, part in _walk(module, "", leave, set()):
        where = f"module {name!r}" if name else "the module itself"
        where = f"{where} ({type(part).__name__})"
        if isinstance(part, nn.Linear):
            _check_tensors(name, part, owners)
            linears.append((name, part))
        declared = next((read for cls, read in activations.items() if isinstance(part, cls)), None)
        if declared is not None:
            _require_same(where, declared(part), expected)
            continue
        _check_own_parameters(where, name, part, leave)
        if isinstance(part, ActivationModule):
            _require_same(where, part.activation, expected)
        elif isinstance(part, EncodingModule):
            if part.encoding != config.encoding:
                raise ValueError(f"{where} is {part.encoding!r}, the config has {config.encoding!r}")
        elif not isinstance(part, nn.Linear):
            _check_torchs_own(where, part, expected)
    return linears


def _walk(part: nn.Module, name: str, leave: Leave, seen: set[int]) -> Iterator[tuple[str, nn.Module]]:
    """The module and its descendants, each once, without those to leave and what these contain."""
    if id(part) in seen or name in leave or any(isinstance(part, cls) for cls in leave if not isinstance(cls, str)):
        return
    seen.add(id(part))
    yield name, part
    for child, inner in part.named_children():
        yield from _walk(inner, f"{name}.{child}" if name else child, leave, seen)


def _check_own_parameters(where: str, name: str, part: nn.Module, leave: Leave) -> None:
    """Raise ValueError for parameters that are no Linear layer's weight or bias and are not named in ``leave``."""
    own = (f"{name}.{one}" if name else one for one, _ in part.named_parameters(recurse=False))
    placed = {f"{name}.{one}" if name else one for one in ("weight", "bias")} if isinstance(part, nn.Linear) else set()
    over = [one for one in own if one not in leave and one not in placed]
    if not over:
        return
    if any(isinstance(inner, nn.Linear) for inner in part.modules()):
        raise ValueError(
            f"{where} has parameters beside those of Linear layers ({', '.join(map(repr, over))}); name them in leave "
            "to keep them, or declare its class in activations if they belong to the activation"
        )
    raise ValueError(f"{where} has parameters but is not a Linear layer; name it or its type in leave to keep it")


def _require_same(where: str, found: Activation, expected: Activation) -> None:
    mine, theirs = ({"sigma_a": phi.sigma_a, **phi.parameters} for phi in (found, expected))
    same = type(found) is type(expected) and all(math.isclose(mine[n], theirs[n], rel_tol=SAME) for n in mine)
    if not same:
        raise ValueError(f"{where} applies {found!r}, the config is for {expected!r}")


def _check_torchs_own(where: str, part: nn.Module, expected: Activation) -> None:
    """torch.nn's modules without parameters are known; others are taken as containers, on their author's word."""
    if type(part) in TORCH_ACTIVATIONS:
        found = TORCH_ACTIVATIONS[type(part)](part)
        if found is None:
            raise ValueError(
                f"{where} is {part!r}, which is none of the library's families; the config is for {expected!r}. "
                "Declare its class in activations if it is near enough"
            )
        _require_same(where, found, expected)
    elif isinstance(part, nn.modules.dropout._DropoutNd):
        if part.p > 0.0:
            raise ValueError(
                f"{where} drops with p {part.p}, which raises the variance of what it passes on while training; "
                "name it or its type in leave to keep it"
            )
    elif type(part).__module__.startswith("torch.nn.modules.") and not isinstance(part, PLAIN):
        raise ValueError(
            f"{where} is neither a Linear layer nor the activation {expected!r}, so the config cannot say what it does "
            "to the variance; name it or its type in leave to keep it"
        )


def check_layers(linears: list[tuple[str, nn.Linear]], config: InitConfig) -> None:
    """Raise ValueError unless each Linear layer can hold what the config draws for it; the sentence names the layer."""
    for (name, linear), layer in zip(linears, config.layers, strict=False):
        _check_shape(name, linear, layer)
    if len(linears) != len(config.layers):
        found = ", ".join(repr(name) for name, _ in linears) or "none"
        raise ValueError(
            f"the module has {len(linears)} Linear layers ({found}), the config has {len(config.layers)} layers"
        )
    for index, (name, linear) in enumerate(linears):
        is_complex = config.complex_weights and index > 0
        if linear.weight.is_complex() != is_complex:
            raise ValueError(
                f"Linear layer {name!r} has {linear.weight.dtype} weights, the config draws "
                f"{'complex' if is_complex else 'real'} ones for layer {index}"
            )


def _check_tensors(name: str, linear: nn.Linear, owners: dict[tuple[torch.device, int], str]) -> None:
    """Raise ValueError unless what is written to the layer's own weight and bias stays there."""
    own = dict(linear.named_parameters(recurse=False))
    for which in ("weight",) if linear.bias is None else ("weight", "bias"):
        if which not in own:
            raise ValueError(
                f"the {which} of Linear layer {name!r} is computed from other parameters (a norm, a mask), so it "
                "cannot be set; initialise first, then add the norm"
            )
        tensor = own[which]
        if isinstance(tensor, UninitializedParameter):
            raise ValueError(f"Linear layer {name!r} is lazy and has no shape yet; run the module once first")
        if tensor.device == torch.device("meta"):
            raise ValueError(f"Linear layer {name!r} is on the meta device and has no memory; call to_empty first")
        if not (tensor.is_floating_point() or tensor.is_complex()):
            raise ValueError(
                f"the {which} of Linear layer {name!r} must hold floating-point numbers, got {tensor.dtype}"
            )
        if any(step == 0 and size > 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True)):
            raise ValueError(
                f"the {which} of Linear layer {name!r} is expanded: several of its entries are one number in memory "
                f"(strides {tensor.stride()}), so they cannot be drawn apart; make it contiguous first"
            )
        owner = owners.setdefault((tensor.device, tensor.data_ptr()), name) if tensor.numel() else name
        if owner != name:
            raise ValueError(
                f"Linear layers {owner!r} and {name!r} share a parameter, so the second draw would overwrite the "
                "first; use one module in both places, or name one of them in leave"
            )


def _check_shape(name: str, linear: nn.Linear, layer: LayerInit) -> None:
    shape = tuple(linear.weight.shape)
    if shape != (layer.fan_out, layer.fan_in):
        raise ValueError(f"Linear layer {name!r} has weight {shape}, the config has {(layer.fan_out, layer.fan_in)}")
    if linear.bias is not None and linear.bias.shape != (layer.fan_out,):
        raise ValueError(
            f"Linear layer {name!r} has bias {tuple(linear.bias.shape)}, the config has {(layer.fan_out,)}"
        )
    if linear.bias is None and layer.bias_std > 0.0:
        raise ValueError(f"Linear layer {name!r} has no bias, the config draws one with std {layer.bias_std!r}")
