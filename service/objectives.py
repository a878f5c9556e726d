"""The unit of a study's scores, from what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workers.objective import Objective

if TYPE_CHECKING:
    from service.records import Study

__all__ = ["decibel", "objective_of"]


def objective_of(study: Study) -> Objective:
    """What a study maximises, as far as units need it."""
    asked = study.request.get("objective", "fit")
    name = asked["name"] if isinstance(asked, Mapping) else asked
    return Objective(name, target=asked["target"]) if name == "steps_to_target" else Objective()


def decibel(study: Study) -> float:
    """What 1 dB is in units of the study's score."""
    return objective_of(study).in_units(1.0, study.request.get("training", {}).get("steps", 1))
