"""What a study hands to the engine for a free slot."""

from __future__ import annotations

from dataclasses import dataclass

from vi3nr.ensemble.interface import Member, Recipe
from workers.objective import Objective
from workers.pool import Group
from workers.scheduler import segment_length

__all__ = ["MAX_ATTEMPTS", "Job", "Setting"]

MAX_ATTEMPTS = 3  # trainers that one trial or run may lose


@dataclass(frozen=True)
class Setting:
    """What all members of one family of one study share."""

    study_id: str
    family: str
    signal_key: str
    widths: tuple[int, ...]
    recipe: Recipe
    objective: Objective


@dataclass(frozen=True)
class Job:
    """A member to train, with a report every ``segment`` steps and at its end.

    At the steps ``decisions`` its study may take it out of its slot.
    """

    group: Group
    member: Member
    segment: int
    decisions: frozenset[int] = frozenset()

    @staticmethod
    def of(setting: Setting, member: Member, horizon: int, decisions: frozenset[int] = frozenset()) -> Job:
        """The job of a member whose full way is ``horizon`` steps."""
        group = Group(setting.signal_key, setting.widths, setting.family, setting.recipe)
        return Job(group, member, segment_length(horizon), decisions)
