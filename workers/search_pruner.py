"""When a trial is given up: within its first signal by its learning curve, after each further one by its mean so far.

Pruned trials count where they were: among the completed ones alone the median would rise with every trial that is
given up, until nothing passes but by luck of its seed. Every trial sees the signals in the same order, so trials are
compared over the same ones.
"""

from __future__ import annotations

import numpy as np
from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import wilcoxon

__all__ = ["SignalPruner"]

DOUBT = 0.1  # and after several signals unless the best trial is better on them beyond this doubt


class SignalPruner(BasePruner):
    """Prune what is below the median of the trials that came as far, or what the best trial beats signal by signal.

    Args:
        startup: completed trials before any is pruned.
        horizon: steps that a trial trains on each signal.
    """

    def __init__(self, startup: int, horizon: int) -> None:
        self._startup, self._horizon = startup, horizon

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should be given up at its last report."""
        step = trial.last_step
        if step is None:
            return False
        if step > self._horizon and step % self._horizon:
            return False
        ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        came = [one.intermediate_values[step] for one in ended if step in one.intermediate_values]
        known = [one for one in ended if one.state == TrialState.COMPLETE and step in one.intermediate_values]
        if len(known) < self._startup:
            return False
        if trial.intermediate_values[step] < float(np.median(came)):
            return True
        if step < self._horizon:
            return False
        best = max(known, key=lambda one: one.value or float("-inf"))
        return self._beaten(self._by_signal(trial, step), self._by_signal(best, step))

    @staticmethod
    def _beaten(mine: np.ndarray, best: np.ndarray) -> bool:
        """Wilcoxon's signed-rank test on the signals both have been trained on: one-sided, exact for few of them."""
        apart = mine - best
        if not apart.any():
            return False
        return float(wilcoxon(apart, alternative="less").pvalue) < DOUBT

    def _by_signal(self, trial: FrozenTrial, step: int) -> np.ndarray:
        """The score on each signal, from the means so far at their ends."""
        ends = range(self._horizon, step + 1, self._horizon)
        sums = [(k + 1) * trial.intermediate_values.get(end, np.nan) for k, end in enumerate(ends)]
        return np.asarray(np.nan_to_num(np.diff([0.0, *sums])))
