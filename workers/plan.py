"""What a study asks for, as plain data: the request after validation, before it is resolved against the signal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vi3nr.ensemble.interface import Recipe

__all__ = ["Axis", "BiasChoice", "FamilyPlan", "Network", "Range", "StudyPlan"]


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
    """One family of a study. ``None`` leaves the choice to the search (ranges) or to custom (learning rate)."""

    family: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    sigma_a: Axis = None
    sigma_p: Axis = None
    sigma_p_first: Axis = None
    bias: BiasChoice | None = None
    bias_first: BiasChoice | None = None
    learning_rate: float | None = None


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
class StudyPlan:
    """One study. ``search_steps`` is the search horizon, ``recipe.steps`` the full one."""

    study_id: str
    families: tuple[FamilyPlan, ...]
    network: Network
    recipe: Recipe
    trials: int  # per family
    seed: int
    search_steps: int
    method: str  # analytic | quadrature | monte_carlo
    objective: str  # fit
    finalists: int  # per family
    seeds: int  # confirmation replicates for the winner and the best baseline of each family
    baselines: tuple[str, ...] | None  # names of usual rules; None: the customary ones of each family
