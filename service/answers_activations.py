"""What clients get to know of the activation families."""

from __future__ import annotations

from dataclasses import fields

from pydantic import BaseModel, Field

from vi3nr.activations import Activation

__all__ = ["ActivationAnswer", "Activations", "activation_answer"]


class Interval(BaseModel):
    """From low to high."""

    low: float
    high: float


class Parameter(BaseModel):
    """A parameter of a family besides its scale."""

    name: str
    default: float | None


class ActivationAnswer(BaseModel):
    """An activation family, and what is customary for it."""

    family: str
    label: str
    formula: str
    parameters: list[Parameter]
    customary: list[dict[str, float]] = Field(description="scales in use: sigma_a, for waves also omega")
    default_range: dict[str, Interval] | None = Field(description="of sigma_a, for waves also omega; null: no scale")
    learning_rate: float
    closed_form: list[str] = Field(description="moments with a closed form: mean, E f^2, E f'^2")
    other_names: dict[str, str] = Field(description="what else the scale is called, and what sigma_a then is")
    complex: bool = Field(description="whether its values, and the weights between, are complex")
    gradient: str = Field(description="exact, or detached: a factor is held constant in the backward pass")


class Activations(BaseModel):
    """The families there are."""

    items: list[ActivationAnswer]


def activation_answer(family: type[Activation]) -> ActivationAnswer:
    """A family as clients see it."""
    own = [item for item in fields(family) if item.name != "sigma_a"]
    low, high = family.sigma_a_range
    ranges = {"sigma_a": Interval(low=low, high=high)}
    for alias, constant in family.aliases.items():
        ranges[alias] = Interval(low=constant / high, high=constant / low)
    return ActivationAnswer(
        family=family.family,
        label=family.label,
        formula=family.formula,
        parameters=[
            Parameter(name=item.name, default=item.default if isinstance(item.default, int | float) else None)
            for item in own
        ],
        customary=[
            {"sigma_a": scale, **{alias: constant / scale for alias, constant in family.aliases.items()}}
            for scale in family.customary_sigma_a
        ],
        default_range=ranges if family.has_scale else None,
        learning_rate=family.learning_rate,
        closed_form=list(family.closed_form),
        other_names={
            name: f"{constant:.6g} / {name}" if power < 0 else name
            for name, (constant, power) in family.scale_names().items()
        },
        complex=family.complex,
        gradient=family.gradient,
    )
