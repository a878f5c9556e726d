"""Every executor of ``Ensemble``, and a signal and members as small as can be. A new executor joins by a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Ensemble, Member, Progress, Recipe
from vi3nr.ensemble.reference import ReferenceEnsemble
from vi3nr.ensemble.stacked import StackedEnsemble
from vi3nr.signals import Signal

WIDTHS = (2, 12, 10, 11, 3)
SIGMA_A = {"gaussian": 0.3, "sine": 0.1, "sinc": 0.2, "tanh": 0.5, "sigmoid": 0.3, "relu": 1.0}
SIGMA_A |= {"gelu": 0.5, "gabor": 0.3, "finer": 1.0, "exp(-x**2) * cos(3*x)": 0.5}  # the last has no compiled loop
RECIPES = {
    "full batch": Recipe(steps=30),
    "minibatch": Recipe(steps=30, batch_size=64),
    "full batch, cosine": Recipe(steps=30, schedule="cosine"),
    "minibatch, cosine": Recipe(steps=30, batch_size=64, schedule="cosine"),
}


@dataclass(frozen=True)
class Executor:
    """How to make one, and how far a member's numbers may move with its slot and neighbours (0: not one bit)."""

    make: Callable[..., Ensemble]
    drift: float


EXECUTORS = {
    "reference": Executor(ReferenceEnsemble, 0.0),
    "cpu": Executor(CpuEnsemble, 0.0),
    "stacked": Executor(StackedEnsemble, 2e-5),  # products of other sizes add up in another order
}
if torch.cuda.is_available():
    EXECUTORS["cuda"] = Executor(partial(StackedEnsemble, device="cuda"), 2e-5)


def a_signal(points: int = 150, seed: int = 5) -> Signal:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (points, 2)).astype(np.float32)
    y = np.stack([np.sin(3 * x[:, 0]), np.cos(2 * x[:, 1]), x[:, 0] * x[:, 1]], axis=1).astype(np.float32)
    return Signal(x, y, "image", (points,))


SIGNAL = a_signal()


def a_member(key: str = "a", family: str = "gaussian", seed: int = 1, rate: float = 1e-3, until: int = 30) -> Member:
    config = baseline_config("xavier", activation(family, SIGMA_A[family]), WIDTHS)
    return Member(key, config, seed, rate, until)


def an_ensemble(
    executor: Executor, recipe: Recipe = RECIPES["minibatch"], *, signal: Signal = SIGNAL, capacity: int = 1, **options
) -> Ensemble:
    options = {"widths": WIDTHS, "family": "gaussian"} | options
    return executor.make(signal, recipe=recipe, capacity=capacity, **options)


def train(executor: Executor, member: Member, recipe: Recipe = RECIPES["minibatch"], **options) -> Progress:
    ensemble = an_ensemble(executor, recipe, family=member.config.family, **options)
    ensemble.admit(member)
    (progress,) = ensemble.advance(member.until)
    return progress
