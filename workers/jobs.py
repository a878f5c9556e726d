"""What a study hands to the engine for a free slot."""

from __future__ import annotations

from dataclasses import dataclass

from vi3nr.ensemble.interface import Member, Recipe
from workers.objective import Objective
from workers.pool import Group
from workers.scheduler import fewest_steps, segment_length

__all__ = ["MAX_ATTEMPTS", "Job", "Setting"]

MAX_ATTEMPTS = 3  # trainers that one trial or run may lose


@dataclass(frozen=True)
class Setting:
    """What all members of one family of one study share."""

    study_id: str
    family: str
    signal_keys: tuple[str, ...]  # those that the search trains on, then those that are held out
    fitted: int  # how many of them the search trains on
    widths: tuple[int, ...]
    recipe: Recipe
    objective: Objective
    points: int  # of the largest signal

    def segment(self, horizon: int) -> int:
        """Steps between the reports of a training of ``horizon`` steps."""
        return segment_length(horizon, self.fewest_steps)

    @property
    def fewest_steps(self) -> int:
        """Steps between two scores."""
        return fewest_steps(self.points, self.recipe.batch_size, self.recipe.held_out)


@dataclass(frozen=True)
class Job:
    """A member to train, with a report every ``segment`` steps and at its end.

    At the steps ``decisions`` its study may take it out of its slot.
    """

    group: Group
    member: Member
    segment: int
    fewest_steps: int  # of a turn and of a leg that do not end on that grid
    decisions: frozenset[int] = frozenset()

    @staticmethod
    def of(
        setting: Setting, member: Member, horizon: int, decisions: frozenset[int] = frozenset(), signal: int = 0
    ) -> Job:
        """The job of a member whose full way on this signal is ``horizon`` steps."""
        group = Group(setting.signal_keys[signal], setting.widths, setting.family, setting.recipe)
        return Job(group, member, setting.segment(horizon), setting.fewest_steps, decisions)
