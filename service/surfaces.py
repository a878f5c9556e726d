"""A study's response surface: its trials as the database has them -> what ``workers.response`` makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from service.objectives import decibel, objective_of
from service.plans import asked_scale
from service.records import Study
from service.schemas import ActivationRequest
from service.store import Store
from vi3nr.activations import activation, family_of
from vi3nr.theory import stable_sigma_p
from workers.plan import Range
from workers.response import Theory, response_surface
from workers.response_data import AxisRange, Observation, ResponseSurface

__all__ = [
    "FamilySurface",
    "Learned",
    "Learning",
    "Own",
    "SurfaceAnswer",
    "fixed_sigma_a",
    "learn",
    "own_sigma_p",
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


def learn(store: Store, study: Study, family: str) -> Learned:
    """Fitted to the trials that have finished by now: seconds of work with hundreds of them."""
    axes, trials = store.observed(study, family)
    surface = response_surface(
        axes, trials, decibel=decibel(study), theory=theory_of(study, family), sigma_a=fixed_sigma_a(study, family)
    )
    return Learned(axes, trials, surface)


@dataclass(frozen=True)
class Own:
    """The theory's own sigma_p at one scale, None where it has none, and what kind of answer that is."""

    sigma_a: float
    sigma_p: float | None
    kind: str


def own_sigma_p(study: Study, family: str, sigma_a: float | None = None) -> Own:
    """At this scale; None: at the one that the study fixes, or a customary one."""
    cls = family_of(family)
    scale = sigma_a or fixed_sigma_a(study, family) or cls.customary_sigma_a[0]
    parameters = _asked(study, family).get("parameters", {})
    rest = {name: value for name, value in parameters.items() if name not in cls.scale_names()}
    try:
        stable = stable_sigma_p(activation(family, scale, **rest))
    except ArithmeticError:
        return Own(scale, None, "unknown")  # a formula without moments
    return Own(scale, stable.sigma_p, stable.kind)


def theory_of(study: Study, family: str) -> Theory:
    """The stable sigma_p at a scale and its kind; None where there is none, or a formula has no moments."""

    def at(sigma_a: float) -> tuple[float, str] | None:
        own = own_sigma_p(study, family, sigma_a)
        return None if own.sigma_p is None else (own.sigma_p, own.kind)

    return at


def fixed_sigma_a(study: Study, family: str) -> float | None:
    """The scale that a study asked for as one number, by whatever name, or that of a family that has none to choose;
    None where it is searched.
    """
    asked, cls = ActivationRequest.model_validate(_asked(study, family)), family_of(family)
    scale = asked_scale(asked)
    named = scale is not None or any(name in asked.parameters for name in cls.scale_names())
    if isinstance(scale, Range) or (cls.has_scale and not named):
        return None
    return activation(family, scale, **asked.parameters).sigma_a


def _asked(study: Study, family: str) -> Mapping[str, Any]:
    """The study's request for one family."""
    families: Iterable[Mapping[str, Any]] = study.request.get("activations", ())
    return next((one for one in families if one["family"] == family), {"family": family})
