"""Members of the stacked executor that are as small as can be, and their training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from small_ensembles import a_signal

from vi3nr.activations import activation, family_of
from vi3nr.baselines import baseline_config
from vi3nr.ensemble.interface import Ensemble, Member, Progress, Recipe

WIDTHS = (2, 9, 12, 3)
FORMULA = "exp(-x**2/(2*a**2)) * cos(30*x)"
RECIPES = [Recipe(steps=40), Recipe(steps=40, batch_size=32, schedule="cosine")]
SIGNAL = a_signal(100, seed=2)


def a_member(family: str = "gaussian", key: str = "a", seed: int = 1, scale: float = 1.0, **options: object) -> Member:
    usual = 0.5 if family == "finer" else family_of(family).customary_sigma_a[0]  # at omega 30 it amplifies roundings
    sigma_a = scale * usual if family_of(family).has_scale else 1.0
    parameters = {"a": 0.5} if family == FORMULA else {}
    config = baseline_config("xavier", activation(family, sigma_a, **parameters), WIDTHS, **options)
    return Member(key, config, seed, 1e-3, 40)


def train(make: Callable[..., Ensemble], members: list[Member], recipe: Recipe, **options: object) -> list[Progress]:
    ensemble = make(
        SIGNAL, widths=WIDTHS, family=members[0].config.family, recipe=recipe, capacity=len(members), **options
    )
    for member in members:
        ensemble.admit(member)
    return ensemble.advance(40)


def numbers(progress: Progress) -> np.ndarray:
    assert progress.state is not None
    return progress.state.parameters
