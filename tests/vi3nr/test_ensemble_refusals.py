"""What every executor of ``Ensemble`` refuses, and when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_ensembles import EXECUTORS, Executor, a_member, an_ensemble

from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.ensemble.interface import Member, MemberState, Recipe


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]


def _state(count: int) -> MemberState:
    zeros = np.zeros(count, dtype=np.float32)
    return MemberState(3, zeros, zeros, zeros, 0.0, 3)


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (a_member("b", family="sine"), "family 'sine'"),
        (replace(a_member("b"), config=baseline_config("xavier", activation("gaussian", 0.1), (2, 5, 5, 3))), "widths"),
        (replace(a_member("b"), start=_state(7)), "parameters"),
        (a_member("a"), "a slot already"),
    ],
)
def test_a_member_that_does_not_fit_is_refused(executor: Executor, member: Member, sentence: str) -> None:
    """Another family, other widths, a start of the wrong size or a key that is seated raise ValueError, and nothing
    changes.
    """
    ensemble = an_ensemble(executor, capacity=2)
    ensemble.admit(a_member("a"))
    with pytest.raises(ValueError, match=sentence):
        ensemble.admit(member)
    assert ensemble.free_slots == 1


def test_a_full_ensemble_admits_nobody(executor: Executor) -> None:
    """ValueError names the member that finds no slot."""
    ensemble = an_ensemble(executor)
    ensemble.admit(a_member("a"))
    with pytest.raises(ValueError, match="'b' finds no free slot"):
        ensemble.admit(a_member("b"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"widths": (3, 8, 3)}, "do not fit a signal from 2 to 3"),
        ({"recipe": Recipe(10, optimizer="sgd")}, "sgd"),
        ({"recipe": Recipe(10, schedule="linear")}, "linear"),
        ({"recipe": Recipe(10, batch_size=0)}, "batch_size .* got 0"),
        ({"capacity": 0}, "capacity .* got 0"),
    ],
)
def test_what_no_executor_can_do_is_refused_at_once(executor: Executor, change: dict, sentence: str) -> None:
    """ValueError when the ensemble is made, not when it trains."""
    with pytest.raises(ValueError, match=sentence):
        an_ensemble(executor, **change)
