"""Which runs a confirmation still needs: a pure function of the arms and of the scores recorded so far.

Every arm gets the first two replicates. Then one finalist and one baseline, those with the highest mean over these two,
get the remaining ones. The answer is the arm with the highest mean among those with all replicates: an arm that stopped
at two cannot win on a lucky pair, and the interval of the answer always rests on all seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workers.arms import ArmSpec

__all__ = ["FIRST_REPLICATES", "Scores", "best_arm", "full_arms", "missing_runs"]

FIRST_REPLICATES = 2

Scores = Mapping[tuple[str, int], float]  # (arm's name, replicate) -> PSNR in dB at the full horizon


def missing_runs(arms: Sequence[ArmSpec], scores: Scores, seeds: int, *, settled: bool) -> list[tuple[ArmSpec, int]]:
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
    chosen = [best for kind in ("finalist", "baseline") if (best := best_arm(arms, scores, kind, seeds)) is not None]
    rest = range(len(first), seeds)
    return [(arm, replicate) for replicate in rest for arm in chosen if (arm.name, replicate) not in scores]


def best_arm(arms: Sequence[ArmSpec], scores: Scores, kind: str, seeds: int) -> ArmSpec | None:
    """The arm of a kind with the highest mean over the first replicates; None if there is none of that kind."""
    first = range(min(FIRST_REPLICATES, seeds))
    candidates = [arm for arm in arms if arm.kind == kind]
    return max(candidates, key=lambda arm: sum(scores[arm.name, r] for r in first), default=None)


def full_arms(arms: Sequence[ArmSpec], scores: Scores, seeds: int) -> list[ArmSpec]:
    """The arms with every replicate."""
    return [arm for arm in arms if all((arm.name, replicate) in scores for replicate in range(seeds))]
