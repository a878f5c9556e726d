"""A smoothed score is what one would find who asked for the score after every step, whatever the executor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from small_ensembles import EXECUTORS, RECIPES, Executor, a_member, an_ensemble, train

from vi3nr.ensemble import slots, stacked_bench
from vi3nr.ensemble.cpu import one_thread
from vi3nr.ensemble.interface import Recipe


@pytest.fixture(autouse=True, scope="module")
def _on_one_thread() -> Iterator[None]:
    """Networks this small only wait for a second thread."""
    with one_thread():
        yield


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]


def test_a_smoothed_score_is_the_mean_over_the_last_tenth_of_the_steps(executor: Executor) -> None:
    """As one would find it who asked for the score after every step; whatever the lengths of the segments."""
    rate, recipe = 0.03, Recipe(steps=60)  # shaking
    ensemble = an_ensemble(executor, recipe)
    ensemble.admit(a_member(rate=rate, until=60))
    scores = [ensemble.advance(1)[0].score for _ in range(60)]
    ensemble.admit(a_member(rate=rate, until=60))
    reports = [ensemble.advance(steps)[0] for steps in (4, 3, 13, 1, 19, 20)]
    for report in reports:
        latest = scores[report.step - max(round(0.1 * report.step), 1) : report.step]
        assert report.smoothed == pytest.approx(np.mean(latest), abs=max(executor.drift, 1e-3)), report.step
    assert abs(reports[-1].smoothed - reports[-1].score) > 0.01  # they do differ


def test_a_smoothed_score_reaches_back_so_far_and_no_further(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of a long training is cut to a number of steps that fits beside a GPU's members; nor do the steps of a
    slot's former tenant count.
    """
    for module in (slots, stacked_bench):
        monkeypatch.setattr(module, "MOST_SMOOTHED", 3)
    ensemble = an_ensemble(executor, Recipe(steps=60))
    ensemble.admit(a_member("bad", seed=7, rate=0.3, until=60))
    ensemble.advance(60)
    ensemble.admit(a_member(until=60))
    scores = [ensemble.advance(1)[0].score for _ in range(60)]
    ensemble.admit(a_member(until=60))
    (report,) = ensemble.advance(60)
    assert report.smoothed == pytest.approx(np.mean(scores[-3:]), abs=max(executor.drift, 1e-3))
    ensemble.admit(a_member(until=2))
    assert ensemble.advance(2)[0].smoothed == pytest.approx(scores[1], abs=max(executor.drift, 1e-3))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_smoothed_score_does_not_depend_on_where_a_training_was_cut(executor: Executor, recipe: str) -> None:
    """Cut into legs, each of which goes on from the state of the one before, it is that of one that went on."""
    whole = train(executor, a_member(rate=0.03, until=60), RECIPES[recipe])
    ensemble, state = an_ensemble(executor, RECIPES[recipe]), None
    for until in (7, 50, 52, 57, 60):
        ensemble.admit(replace(a_member(rate=0.03, until=until), start=state))
        (leg,) = ensemble.advance(60)
        state = leg.state
    assert leg.smoothed == pytest.approx(whole.smoothed, abs=max(executor.drift, 1e-9))


@pytest.mark.parametrize("batch_size", [149, 50, 10, 1])
def test_a_smoothed_score_of_minibatches_has_no_bias(executor: Executor, batch_size: int) -> None:
    """Batches lie about the error of all points in either direction, and the logarithm of their mean is taken, not the
    mean of their logarithms, which one point that fits by chance would lift by a hundred dB.
    """
    steps = 400
    ensemble = an_ensemble(executor, Recipe(steps, batch_size=batch_size))
    ensemble.admit(a_member(until=steps))
    scores = [report.score for _ in range(steps // 10) for report in ensemble.advance(10)]
    ensemble.admit(a_member(until=steps))
    smoothed = ensemble.advance(steps)[0].smoothed
    assert smoothed == pytest.approx(np.mean(scores[-4:]), abs=1.5 if batch_size == 1 else 0.6)
    assert smoothed != scores[-1]


def test_what_no_step_knows_is_not_smoothed(executor: Executor) -> None:
    """Where points are held out the score is that of the last step over these points."""
    ensemble = an_ensemble(executor, Recipe(steps=60, held_out=0.3))
    ensemble.admit(a_member(rate=0.03, until=60))
    for report in (ensemble.advance(30)[0], ensemble.advance(30)[0]):
        assert report.smoothed == report.score
