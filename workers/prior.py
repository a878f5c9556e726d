"""What like studies have found before: their trials, and where to start from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from workers.storage import persistently

__all__ = ["known_trials", "start_with"]

TRIED_AGAIN = 2  # of the best known points, from new seeds: a lucky one shows itself


def known_trials(
    storage: RDBStorage, names: Sequence[str], distributions: Mapping[str, FloatDistribution]
) -> tuple[FrozenTrial, ...]:
    """The finished trials of these Optuna studies that searched the same axes; a study that is gone has none.

    Pruned trials are left out: what they would have come to is known only beside their own study's others.
    """
    found: list[FrozenTrial] = []
    for name in names:
        try:
            study = persistently(partial(optuna.load_study, study_name=name, storage=storage))
        except KeyError:
            continue
        trials = persistently(partial(study.get_trials, deepcopy=False, states=(TrialState.COMPLETE,)))
        found += [
            trial for trial in trials if trial.params.keys() == distributions.keys() and "note" not in trial.user_attrs
        ]
    return tuple(found)


def start_with(
    known: Sequence[FrozenTrial],
    start: Sequence[Mapping[str, float]],
    distributions: Mapping[str, FloatDistribution],
    usual_kept: int = 0,
) -> tuple[Mapping[str, float], ...]:
    """The best known points in front of the usual start points, which give way for them; as many as those, each once.

    A point that was tried several times counts with its mean. What lies outside the ranges of this search is not tried.
    So many of the usual ones are kept in any case.
    """
    tried: dict[str, list[FrozenTrial]] = {}
    for one in known:
        if one.value is not None and all(axis.low <= one.params[at] <= axis.high for at, axis in distributions.items()):
            tried.setdefault(_place(one.params, distributions), []).append(one)
    best = sorted(tried.values(), key=lambda alike: -fmean(one.value or 0.0 for one in alike))[:TRIED_AGAIN]
    points = {_place(alike[0].params, distributions): alike[0].params for alike in best}
    usual = (point for point in start if _place(point, distributions) not in points)
    return (*points.values(), *usual)[: max(len(start), len(best) + usual_kept)]


def _place(params: Mapping[str, float], distributions: Mapping[str, FloatDistribution]) -> str:
    """A point's name: equal points have the same one, whatever a database has made of their last digit."""
    return " ".join(f"{params[name]:.12g}" for name in distributions)
