"""One search, whatever trains: a strategy asks, a trainer answers with learning curves, the best few go on to the end.

``ours`` is the service's own sampler, pruner, start points and horizon (``workers.search_policy``), turned by this loop
instead of the engine's; a test holds both to the same proposals. The others are Optuna's samplers with the same
horizon, the same finalists and the same confirmation, without start points and pruning: what a user of Optuna would
write. The confirmation is the service's (``workers.confirm``): two fresh seeds for each finalist, five for whoever
leads.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import optuna
from optuna.distributions import FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from workers.confirm import leading_arm, missing_runs
from workers.scheduler import segment_length
from workers.search_policy import make_pruner, make_sampler, pruning_steps
from workers.seeds import confirmation_seed, sampler_seed, trial_seed

__all__ = ["OURS", "STRATEGIES", "Found", "Strategy", "Training", "own_seed", "search", "sized"]

Params = Mapping[str, float]


class Training(Protocol):
    """One training of one config from one seed."""

    def to(self, step: int) -> float:
        """Train on to a step; the PSNR there in dB."""


@dataclass(frozen=True)
class Strategy:
    """What a search is made of. ``sampler``: ours, tpe, gp or random."""

    name: str
    sampler: str = "ours"
    start: bool = True  # whether the start points are tried first
    prune: bool = True
    trials: int = 24
    horizon: float = 0.4  # share of the steps
    finalists: int = 3
    seeds: int = 5  # fresh ones that the answer is confirmed with; 0: the best continuation is the answer
    random_first: int = 10  # trials before TPE and GPSampler learn: Optuna's own number


@dataclass(frozen=True)
class Found:
    """The config that was chosen, the member steps of the search with its continuation, and of the confirmation."""

    params: Params
    steps: int
    confirm_steps: int
    trials: int
    pruned: int


OURS = Strategy("ours")
STRATEGIES = (
    OURS,
    *(Strategy(name, sampler=name, start=False, prune=False) for name in ("tpe", "gp", "random")),
)


def sized(strategy: Strategy, trials: int) -> Strategy:
    """The strategy with another number of trials, and with that number in its name.

    TPE and GPSampler get as large a share of random trials first: at ten of a dozen they would be nothing else.
    """
    if trials == strategy.trials:
        return strategy
    random_first = round(strategy.random_first * trials / strategy.trials)
    return replace(strategy, name=f"{strategy.name} {trials}", trials=trials, random_first=random_first)


def own_seed(name: str, family: str, seed: int) -> int:
    """Another one for each row: random points of one seed would be lucky or unlucky in all rows together."""
    return zlib.crc32(f"{name} {family} {seed}".encode())


def search(
    strategy: Strategy,
    family: str,
    space: Mapping[str, FloatDistribution],
    start: Sequence[Params],
    train: Callable[[Params, int], Training],
    *,
    steps: int,
    seed: int,
    most_steps: float = float("inf"),
    snap: Callable[[Params], Params] | None = None,
) -> Found:
    """Run a strategy; ``most_steps`` ends it early enough for the finalists' continuation to fit in. ``snap`` moves a
    proposal to where there is an answer, before it is trained and recorded.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    horizon = round(strategy.horizon * steps)
    start = start if strategy.start else ()
    pruner = make_pruner(len(start), horizon) if strategy.prune else optuna.pruners.NopPruner()
    study = optuna.create_study(direction="maximize", pruner=pruner, sampler=_sampler(strategy, seed))
    segment, checkpoints = segment_length(horizon), pruning_steps(horizon)
    finished: list[tuple[float, int, Params, Training]] = []
    spent = pruned = order = 0
    while order < strategy.trials or most_steps < float("inf"):
        if spent + horizon + strategy.finalists * (steps - horizon) > most_steps:
            break
        if strategy.sampler == "ours":
            study.sampler = make_sampler(space, sampler_seed(seed, family, order), start=start)
        if order < len(start):
            study.enqueue_trial(dict(start[order]))
        trial = study.ask(dict(space))
        if snap is not None:
            study.enqueue_trial(dict(snap(trial.params)))
            study.tell(trial, state=optuna.trial.TrialState.FAIL)  # samplers leave it out
            trial = study.ask(dict(space))
        training = train(trial.params, trial_seed(seed, order))
        order += 1
        for step in range(segment, horizon + 1, segment):
            score = training.to(step)
            trial.report(score, step)
            if strategy.prune and step in checkpoints and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                pruned += 1
                break
        else:
            study.tell(trial, score)
            finished.append((score, order, trial.params, training))
        spent += step
    finished.sort(key=lambda one: (-one[0], one[1]))
    finals = [(training.to(steps), params) for _, _, params, training in finished[: strategy.finalists]]
    spent += len(finals) * (steps - horizon)
    finals.sort(key=lambda one: -one[0])
    if not strategy.seeds:
        return Found(finals[0][1], spent, 0, order, pruned)
    chosen, trainings = _confirmed([params for _, params in finals], train, strategy.seeds, steps, seed)
    return Found(chosen, spent, trainings * steps, order, pruned)


@dataclass(frozen=True)
class _Finalist:
    name: str
    params: Params
    kind: str = "finalist"


def _confirmed(
    ranked: Sequence[Params], train: Callable[[Params, int], Training], seeds: int, steps: int, seed: int
) -> tuple[Params, int]:
    """The winner of the confirmation, the first of equals, and how many trainings it took."""
    arms = [_Finalist(str(place), params) for place, params in enumerate(ranked)]
    scores: dict[tuple[str, int], float] = {}
    while missing := missing_runs(arms, scores, seeds, settled=True):
        for arm, replicate in missing:
            scores[arm.name, replicate] = train(arm.params, confirmation_seed(seed, replicate)).to(steps)
    winner = leading_arm(arms, scores, "finalist", seeds)
    assert winner is not None
    return winner.params, len(scores)


def _sampler(strategy: Strategy, seed: int) -> BaseSampler:
    match strategy.sampler:
        case "tpe":
            return TPESampler(seed=seed, n_startup_trials=strategy.random_first)
        case "gp":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return GPSampler(seed=seed, n_startup_trials=strategy.random_first)
        case _:
            return RandomSampler(seed=seed)
