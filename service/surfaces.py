"""A study's response surface: its trials as the database has them -> what ``workers.response`` makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from service.records import Study
from service.store import Store
from vi3nr.activations import activation, family_of
from vi3nr.theory import stable_sigma_p
from workers.objective import Objective
from workers.response import response_surface
from workers.response_data import AxisRange, Observation, ResponseSurface

__all__ = [
    "FamilySurface",
    "Learned",
    "Learning",
    "SurfaceAnswer",
    "decibel",
    "learn",
    "objective_of",
    "surface_answer",
    "theory_of",
]


@dataclass(frozen=True, eq=False)
class Learned:
    """One family's search: the axes, the finished trials, and the surface through them. Equal to itself alone."""

    axes: tuple[AxisRange, ...]
    trials: tuple[Observation, ...]
    surface: ResponseSurface | None


Learning = Callable[[Study, str], Learned]


class FamilySurface(BaseModel):
    """One family's surface."""

    family: str
    surface: ResponseSurface | None = Field(description="null with fewer than three finished trials, or no axis")


class SurfaceAnswer(BaseModel):
    """What the search has learned besides its winner. Scores are those at the search horizon."""

    study_id: str
    unit: str = Field(description="of scores: dB or steps")
    families: list[FamilySurface]


def surface_answer(learned: Learning, study: Study) -> SurfaceAnswer:
    """Of all its families."""
    families = [FamilySurface(family=family, surface=learned(study, family).surface) for family in study.families]
    return SurfaceAnswer(study_id=study.id, unit=objective_of(study).unit, families=families)


def learn(store: Store, study: Study, family: str, *, theory_plane: bool = False) -> Learned:
    """Fitted to the trials that have finished by now: seconds of work with hundreds of them. ``theory_plane`` as
    ``response_surface`` has it.
    """
    axes, trials = store.observed(study, family)
    surface = response_surface(
        axes, trials, decibel=decibel(study), theory=theory_of(study, family), theory_plane=theory_plane
    )
    return Learned(axes, trials, surface)


def objective_of(study: Study) -> Objective:
    """What a study maximises, as far as units need it."""
    asked = study.request.get("objective", "fit")
    name = asked["name"] if isinstance(asked, Mapping) else asked
    return Objective(name, target=asked["target"]) if name == "steps_to_target" else Objective()


def decibel(study: Study) -> float:
    """What 1 dB is in units of the study's score."""
    return objective_of(study).in_units(1.0, study.request.get("training", {}).get("steps", 1))


def theory_of(study: Study, family: str) -> tuple[float, str] | None:
    """The theory's rho = sigma_p / sigma_a and its kind; None where it has none or the family has no scale."""
    cls = family_of(family)
    asked = {one["family"]: one.get("parameters", {}) for one in study.request.get("activations", ())}
    parameters: Mapping[str, Any] = asked.get(family, {})
    rest = {name: value for name, value in parameters.items() if name not in cls.scale_names()}
    try:
        phi = activation(family, cls.customary_sigma_a[0], **rest)
        stable = stable_sigma_p(phi)
    except ArithmeticError:  # a formula without moments
        return None
    return None if stable.sigma_p is None else (stable.sigma_p / phi.sigma_a, stable.kind)
