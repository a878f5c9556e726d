"""From a trained member's parameters back to a network, and to what it makes of a signal. Needs torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from vi3nr.config import InitConfig
from vi3nr.metrics_table import Reconstruction
from vi3nr.networks import INR
from vi3nr.signals import Signal
from vi3nr.state_dicts import split_parameters

__all__ = ["network_of", "reconstruct", "values_at"]

TILE = 16_384  # points at a time
Surface = Callable[[Callable[[np.ndarray], np.ndarray]], np.ndarray]


def network_of(config: InitConfig, parameters: np.ndarray) -> INR:
    """The network that these parameters are of.

    Args:
        config: the init config that the training began with.
        parameters: flat, as ``MemberState.parameters`` holds them: weight (out, in) then bias (out) of each layer,
            complex numbers as pairs.

    Raises:
        ValueError: another number of parameters than the network has.
    """
    network = INR.from_config(config, seed=0)
    linears = [part for part in network.modules() if isinstance(part, nn.Linear)]
    with torch.no_grad():
        for linear, (weight, bias) in zip(linears, split_parameters(config, parameters), strict=True):
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
    return network


def values_at(network: nn.Module, coordinates: np.ndarray) -> np.ndarray:
    """The network's values ``(point, out)`` at coordinates ``(point, in)``, float32."""
    tiles = torch.split(torch.from_numpy(np.array(coordinates, np.float32)), TILE)
    with torch.no_grad():
        return np.asarray(torch.cat([network(tile) for tile in tiles]).numpy())


def reconstruct(signal: Signal, network: nn.Module, surface: Surface | None = None) -> Reconstruction:
    """What a trained network makes of its signal.

    Args:
        signal: what it was trained on.
        network: from coordinates to values.
        surface: of a shape: given a function from coordinates ``(point, 3)`` to signed distances ``(point,)``, points
            of the surface where they are 0. None: no Chamfer distance.
    """
    values = values_at(network, signal.coordinates)
    if "inside" not in signal.extras:
        return Reconstruction(values)
    from vi3nr.shapes import shape_grid

    def distances(points: np.ndarray) -> np.ndarray:
        return values_at(network, points)[:, 0]

    side = signal.extras["inside"].shape[0]
    inside = (distances(shape_grid(side)) < 0.0).reshape(signal.extras["inside"].shape)
    return Reconstruction(values, inside, None if surface is None else surface(distances))
