"""Points that are held out: no executor trains on them, and every executor scores just them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_ensembles import EXECUTORS, Executor, a_member, a_signal, an_ensemble

from vi3nr.ensemble.held_out import parted, trained_points
from vi3nr.ensemble.interface import Recipe
from vi3nr.networks import INR


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]


HELD_OUT = {"full": Recipe(30, held_out=0.3), "minibatch": Recipe(30, batch_size=32, held_out=0.3)}


@pytest.mark.parametrize("recipe", HELD_OUT)
def test_nothing_is_trained_on_points_that_are_held_out(executor: Executor, recipe: str) -> None:
    """Other values at these points change the score alone, and other values elsewhere change what is learned; the
    referee scores the network of the INR over just these points.
    """
    signal, member = a_signal(), a_member()
    seen, scored = parted(signal, 0.3)
    assert len(scored.values) == round(0.3 * len(signal.values))
    assert len(seen.values) == trained_points(len(signal.values), 0.3)
    assert len(seen.values) + len(scored.values) == len(signal.values)
    places = [np.flatnonzero((signal.coordinates == point).all(axis=1))[0] for point in scored.coordinates]
    outcomes = []
    for changed in ([], places, np.setdiff1d(np.arange(len(signal.values)), places)):
        values = signal.values.copy()
        values[changed] *= -0.5
        one = replace(signal, values=values)
        ensemble = an_ensemble(executor, HELD_OUT[recipe], signal=one)
        ensemble.admit(member)
        reports = [report for _ in range(3) for report in ensemble.advance(10)]
        outcomes.append(reports[-1])
        network = INR.from_config(member.config, dtype=torch.float64)
        flat = torch.tensor(reports[-1].state.parameters, dtype=torch.float64)
        torch.nn.utils.vector_to_parameters(flat, network.parameters())
        with torch.no_grad():
            error = network(torch.tensor(scored.coordinates, dtype=torch.float64)).numpy() - values[places]
        assert reports[-1].score == pytest.approx(10 * math.log10(4 / np.square(error).mean()), abs=0.02)
    as_given, other_scored, other_seen = outcomes
    assert np.array_equal(other_scored.state.parameters, as_given.state.parameters)
    assert abs(other_scored.score - as_given.score) > 0.1
    assert not np.allclose(other_seen.state.parameters, as_given.state.parameters)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_that_holds_out_nothing_or_all_is_refused(executor: Executor, share: float) -> None:
    """With the number that was given."""
    with pytest.raises(ValueError, match=str(share)):
        an_ensemble(executor, Recipe(30, held_out=share))
