"""Which family gets the next trial, and whether the search is over. Pure: it knows neither torch nor optuna.

Every family first gets half of its share; the other half of all trials goes where the score is expected to improve
most on the best that any family has shown. A family far behind gets no more; families that are level share.
Both answers are functions of the record, but for the seconds on the clock: the caller writes that verdict down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workers.plan import Budget

__all__ = ["BY_CLOCK", "Contender", "Spent", "exhausted", "next_family"]

BY_CLOCK = ("seconds", "compute_seconds")  # verdicts that the record alone would not give again

LEVEL = 1e-3  # of the score's unit: improvements smaller than this are none, and the family with fewest trials goes on


@dataclass(frozen=True)
class Contender:
    """A family in the race. ``asked`` counts its finished and running trials."""

    asked: int
    equal_share: int  # trials before the families are compared
    promise: Callable[[float], float]  # expected improvement on a given score
    best: Callable[[], float]  # the score that its surface expects of its best point
    busy: bool = False  # its next trial has to wait for a running one
    closed: bool = False  # it has nothing to search: the one trial that it takes is there


@dataclass(frozen=True)
class Spent:
    """What a study has used up so far, and what it will still take if no further trial begins."""

    trials: int  # finished or running, all families
    seconds: float
    compute_seconds: float
    compute_ahead: float  # device seconds of the running trials to their end, and of the runs that are still to come


def next_family(contenders: Sequence[Contender]) -> int | None:
    """The index of the family to try next, the first of equals. None where all are busy, or the one is from which most
    is expected: nobody else gets what it would be given.
    """
    if all(one.busy or one.closed for one in contenders):
        return None
    places = [place for place, one in enumerate(contenders) if not one.closed]
    behind = [place for place in places if contenders[place].asked < contenders[place].equal_share]
    if behind or len(places) <= 1:
        places = [place for place in behind or places if not contenders[place].busy]
    else:
        best = max(one.best() for one in contenders)
        gains = {place: contenders[place].promise(best) for place in places}
        places = [place for place in places if gains[place] >= max(gains.values()) - LEVEL]
    chosen = min(places, key=lambda place: contenders[place].asked, default=None)
    return None if chosen is None or contenders[chosen].busy else chosen


def exhausted(budget: Budget, trials: int, spent: Spent, *, begun: bool) -> str | None:
    """The limit that ends the search (``trials``, ``seconds`` or ``compute_seconds``); None: it goes on.

    ``trials`` of all families together. ``begun``: whether every family has finished a trial; before, no clock ends the
    search.
    """
    if spent.trials >= trials:
        return "trials"
    if not begun:
        return None
    if budget.compute_seconds is not None and spent.compute_seconds + spent.compute_ahead >= budget.compute_seconds:
        return "compute_seconds"
    if budget.seconds is not None:
        devices = max(1.0, spent.compute_seconds / spent.seconds) if spent.seconds > 0.0 else 1.0
        if spent.seconds + spent.compute_ahead / devices >= budget.seconds:
            return "seconds"
    return None
