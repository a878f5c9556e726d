"""What a study asks for, as plain data: the request after validation, before it is resolved against the signal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from vi3nr.ensemble.interface import Recipe
from workers.objective import Objective

__all__ = ["Axis", "BiasChoice", "Budget", "FamilyPlan", "Network", "Range", "StudyPlan"]


@dataclass(frozen=True)
class Range:
    """A closed interval to search, ``low < high``: scales on a logarithmic axis, shares on a linear one."""

    low: float
    high: float


Axis = Range | float | None  # searched, fixed, or the default range


@dataclass(frozen=True)
class BiasChoice:
    """A bias rule asked for; with the rule ``share`` the share may be a range (searched)."""

    rule: str
    share: Range | float | None = None


@dataclass(frozen=True)
class FamilyPlan:
    """One family of a study. ``None`` leaves the choice to the search (the scales and the first layer's biases) or to
    custom: the family's learning rate, zero hidden biases, an ``output_scale`` and a ``sigma_p_growth`` of 1.
    """

    family: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    sigma_a: Axis = None
    sigma_p: Axis = None
    sigma_p_first: Axis | Literal["same"] = None  # "same": that of the hidden layers, whatever it is
    bias: BiasChoice | None = None
    bias_first: BiasChoice | None = None
    learning_rate: Axis = None
    output_scale: Axis = None  # sigma_p of the output over that of the hidden layers
    sigma_p_growth: Axis = None  # of the hidden layers' sigma_p, from one to the next
    prior: tuple[str, ...] = ()  # studies whose trials of this family, with the same axes, are known from the start
    hint: str | None = None  # a study whose best points are tried first, though its scores say nothing here


@dataclass(frozen=True)
class Network:
    """Linear(in, width), ``hidden_layers`` x Linear(width, width) with the activation after each, Linear(width, out).

    ``hidden_layers = 3`` has five Linear layers, four of them followed by the activation, as in SIREN's code.
    """

    width: int
    hidden_layers: int

    def widths(self, in_dim: int, out_dim: int) -> tuple[int, ...]:
        """All layer widths from the coordinates to the values."""
        return (in_dim, *([self.width] * (self.hidden_layers + 1)), out_dim)


@dataclass(frozen=True)
class Budget:
    """How long the search goes on: until the first of these is spent; None: no limit.

    The search ends early enough for the confirmation, which always takes place, to fit into the seconds as well: by the
    pace so far. A family has at least one trial whatever the limits are.
    """

    trials: int  # per family that has something to search, in the mean
    seconds: float | None = None  # by the clock, since the study began
    compute_seconds: float | None = None  # of all devices together


@dataclass(frozen=True)
class StudyPlan:
    """One study. ``search_steps`` is the search horizon, ``recipe.steps`` the full one.

    With ``race`` the families share the trials: half of them equally, the others where improvement is expected.
    """

    study_id: str
    families: tuple[FamilyPlan, ...]
    network: Network
    recipe: Recipe
    budget: Budget
    seed: int
    search_steps: int
    method: str  # analytic | quadrature | monte_carlo
    objective: Objective
    finalists: int  # per family
    seeds: int  # confirmation replicates for the winner and the best baseline of each family
    baselines: tuple[str, ...] | None  # names of usual rules; None: the customary ones of each family
    race: bool = True
    held_out_signals: int = (
        0  # the last ones of the dataset: nothing is searched on them, every arm is confirmed on them
    )

    @property
    def training(self) -> Recipe:
        """The recipe of every training, without the points that the objective holds out."""
        return replace(self.recipe, held_out=self.objective.share)
