"""Which runs a confirmation still needs: a pure function of the arms and of the scores recorded so far.

Every arm gets the first two replicates. Then the leading finalist and the leading baseline get the remaining ones, and
the theory's own arm where it leads them both; if another arm leads after that, it gets them too, until each kind is led
by an arm with all replicates. So no arm wins, and no usual initialisation is passed over, on a lucky or unlucky pair of
seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

__all__ = ["FIRST_REPLICATES", "Contender", "Scores", "full_arms", "leading_arm", "leading_finalists", "missing_runs"]

FIRST_REPLICATES = 2

Scores = Mapping[tuple[str, int], float]  # (arm's name, replicate) -> score at the full horizon


class Contender(Protocol):
    """What the rule looks at: an arm's name and whether it is a finalist, a baseline or the theory's own."""

    @property
    def name(self) -> str:
        """Unique among the arms."""

    @property
    def kind(self) -> str:
        """finalist, baseline or theory."""


AnArm = TypeVar("AnArm", bound=Contender)


def missing_runs(arms: Sequence[AnArm], scores: Scores, seeds: int, *, settled: bool) -> list[tuple[AnArm, int]]:
    """The runs that may start now, in order; empty with ``settled`` means that the confirmation is complete.

    Args:
        arms: the arms known so far.
        scores: of the runs recorded so far.
        seeds: replicates of the winner and of the best baseline.
        settled: whether all arms are known; until then only the first replicates are wanted.
    """
    first = range(min(FIRST_REPLICATES, seeds))
    missing = [(arm, replicate) for replicate in first for arm in arms if (arm.name, replicate) not in scores]
    if missing or not settled:
        return missing
    leaders = [arm for kind in ("finalist", "baseline") if (arm := leading_arm(arms, scores, kind, seeds)) is not None]
    theory = leading_arm(arms, scores, "theory", seeds)
    if theory is not None and all(_mean(theory, scores, seeds) > _mean(arm, scores, seeds) for arm in leaders):
        leaders.append(theory)
    return [(arm, replicate) for replicate in range(seeds) for arm in leaders if (arm.name, replicate) not in scores]


def leading_arm(arms: Sequence[AnArm], scores: Scores, kind: str, seeds: int) -> AnArm | None:
    """The arm of a kind with the highest mean; None if there is no arm of that kind."""
    return max((arm for arm in arms if arm.kind == kind), key=lambda arm: _mean(arm, scores, seeds), default=None)


def leading_finalists(finalists: Sequence[AnArm], scores: Scores, seeds: int) -> list[AnArm]:
    """The finalists that have all replicates, hence have led, and the one that leads now; none before all began.

    Where the first replicates are all, every finalist has them: then only the leader counts.
    """
    if any(
        (arm.name, replicate) not in scores for arm in finalists for replicate in range(min(FIRST_REPLICATES, seeds))
    ):
        return []
    leader = leading_arm(finalists, scores, "finalist", seeds)
    led = full_arms(finalists, scores, seeds) if seeds > FIRST_REPLICATES else []
    return [*led, *([] if leader is None else [leader])]


def _mean(arm: Contender, scores: Scores, seeds: int) -> float:
    """Over all replicates where the arm has them, else over the first ones: those between are left out, so that the
    leader does not change while it gets them.
    """
    count = seeds if full_arms([arm], scores, seeds) else min(FIRST_REPLICATES, seeds)
    return sum(scores[arm.name, replicate] for replicate in range(count)) / count


def full_arms(arms: Sequence[AnArm], scores: Scores, seeds: int) -> list[AnArm]:
    """The arms with every replicate."""
    return [arm for arm in arms if all((arm.name, replicate) in scores for replicate in range(seeds))]
