"""The warning for a network that can hold its signal by heart. Pure; the API says it before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable

from vi3nr.activations import family_of
from vi3nr.ensemble.held_out import trained_points
from vi3nr.ensemble.slots import parameter_count
from workers.objective import Objective

__all__ = ["memorising_warning"]


def memorising_warning(
    widths: tuple[int, ...], families: Iterable[str], points: int, objective: Objective
) -> str | None:
    """What to say of a network with more parameters than points that it is trained on; None for any other.

    Args:
        widths: of the Linear layers, from the coordinates to the values.
        families: of the study; the one with the most parameters counts.
        points: of the smallest signal, those that the objective holds out included.
        objective: what the study maximises.
    """
    complex_weights = any(family_of(family).complex for family in families)
    parameters = parameter_count(widths)
    if complex_weights:  # two real numbers each, in all layers but the first
        parameters = 2 * parameters - parameter_count(widths[:2])
    trained = trained_points(points, objective.share)
    if parameters <= trained:
        return None
    counted = " (a complex one counts as two)" if complex_weights else ""
    told = f"The network has {parameters} parameters{counted} for the {trained} points that it is trained on: it can "
    if objective.name == "held_out":
        return f"{told}memorise them."
    return (
        f"{told}memorise them, and a high PSNR then says little about what lies between. The objective held_out scores "
        "points that it is not trained on."
    )
