"""What every executor of ``Ensemble`` promises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_ensembles import EXECUTORS, RECIPES, SIGMA_A, SIGNAL, WIDTHS, Executor, a_member, an_ensemble, train

from vi3nr.ensemble.batches import BatchOrder
from vi3nr.ensemble.cpu import one_thread
from vi3nr.ensemble.interface import WORST_SCORE, Progress, Recipe
from vi3nr.initialisers import draw_parameters, generator_for
from vi3nr.metrics import psnr


@pytest.fixture(autouse=True, scope="module")
def _on_one_thread() -> Iterator[None]:
    """Networks this small only wait for a second thread."""
    with one_thread():
        yield


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]


def assert_same(executor: Executor, got: Progress, expected: Progress) -> None:
    assert got.state is not None
    assert expected.state is not None
    assert got.step == expected.step
    assert got.score == pytest.approx(expected.score, abs=executor.drift)
    assert got.smoothed == pytest.approx(expected.smoothed, abs=max(executor.drift, 1e-9))
    for name in ("parameters", "first_moment", "second_moment"):
        np.testing.assert_allclose(getattr(got.state, name), getattr(expected.state, name), rtol=0, atol=executor.drift)


@pytest.mark.parametrize("family", SIGMA_A)
@pytest.mark.parametrize("recipe", RECIPES)
def test_it_trains_as_autograd_does_in_float64(executor: Executor, family: str, recipe: str) -> None:
    """After 30 steps of float64, parameters agree with the autograd reference to 1e-9 and scores to 1e-8 dB."""
    member = a_member(family=family)
    got = train(executor, member, RECIPES[recipe], dtype=torch.float64)
    expected = train(EXECUTORS["reference"], member, RECIPES[recipe], dtype=torch.float64)
    assert got.score == pytest.approx(expected.score, abs=1e-8)
    assert got.smoothed == pytest.approx(expected.smoothed, abs=1e-8)
    np.testing.assert_allclose(got.state.parameters, expected.state.parameters, rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", SIGMA_A)
@pytest.mark.parametrize("recipe", RECIPES)
def test_it_trains_as_autograd_does_in_float32(executor: Executor, family: str, recipe: str) -> None:
    """After 30 steps of float32, scores agree with the float64 reference to 0.001 dB."""
    member = a_member(family=family)
    got = train(executor, member, RECIPES[recipe])
    expected = train(EXECUTORS["reference"], member, RECIPES[recipe], dtype=torch.float64)
    assert got.score == pytest.approx(expected.score, abs=1e-3)
    assert got.state.parameters.dtype == np.float32


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_loop_is_the_one_that_people_write(executor: Executor, schedule: str) -> None:
    """Full batch training equals nn.Sequential, mse_loss, torch.optim.Adam and torch's own cosine schedule."""
    member = a_member(family="tanh", rate=3e-3)
    layers: list[torch.nn.Module] = []
    for weight, bias in draw_parameters(member.config, generator_for(member.seed)):
        linear = torch.nn.utils.skip_init(torch.nn.Linear, weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = weight.double(), bias.double()
        layers += [linear, _Call(lambda z: torch.tanh(z / SIGMA_A["tanh"]))]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=member.learning_rate)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)
    x, y = torch.tensor(SIGNAL.coordinates).double(), torch.tensor(SIGNAL.values).double()
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(x), y).backward()
        optimizer.step()
        if schedule == "cosine":
            cosine.step()
    got = train(executor, replace(member, until=20), Recipe(steps=30, schedule=schedule), dtype=torch.float64)
    expected = torch.cat([parameter.detach().reshape(-1) for parameter in network.parameters()])
    np.testing.assert_allclose(got.state.parameters, expected.numpy(), rtol=0, atol=1e-9)
    assert got.score == pytest.approx(psnr(network(x).detach().numpy(), y.numpy()), abs=1e-6)


class _Call(torch.nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.function(z)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(data=st.data())
@pytest.mark.parametrize("name", EXECUTORS)
def test_a_member_trains_as_it_would_alone(name: str, data: st.DataObject) -> None:
    """Whatever its slot, the capacity, its neighbours, the order of arrival and the lengths of the segments."""
    executor = EXECUTORS[name]
    recipe = RECIPES[data.draw(st.sampled_from(sorted(RECIPES)), "recipe")]
    capacity = data.draw(st.integers(1, 3), "capacity")
    members = [
        a_member(f"m{i}", seed=i, rate=rate, until=until)
        for i, (rate, until) in enumerate(
            data.draw(
                st.lists(st.tuples(st.sampled_from([1e-3, 1e-2, 1e30]), st.integers(1, 9)), min_size=2, max_size=4)
            )
        )
    ]
    ensemble = an_ensemble(executor, recipe, capacity=capacity)
    waiting = data.draw(st.permutations(members), "arrival")
    finished: dict[str, Progress] = {}
    while len(finished) < len(members):
        while waiting and ensemble.free_slots and (data.draw(st.booleans()) or ensemble.free_slots == capacity):
            ensemble.admit(waiting.pop())
        for progress in ensemble.advance(data.draw(st.integers(1, 5), "steps")):
            if progress.finished:
                finished[progress.key] = progress
    for member in members:
        alone = train(executor, member, recipe)
        assert finished[member.key].diverged == alone.diverged
        if not alone.diverged:
            assert_same(executor, finished[member.key], alone)


def test_refilling_a_slot_leaves_no_trace(executor: Executor) -> None:
    """The second tenant of a slot trains as in a fresh ensemble, after a tenant that finished, one that was evicted
    on its way and one that diverged.
    """
    ensemble = an_ensemble(executor)
    ensemble.admit(a_member("finished", seed=7, until=3))
    ensemble.advance(3)
    ensemble.admit(a_member("evicted", seed=8))
    ensemble.advance(2)
    ensemble.evict(["evicted", "never seen"])
    ensemble.admit(a_member("diverged", seed=9, rate=1e30))
    assert ensemble.advance(30)[0].diverged
    ensemble.admit(a_member("tenant"))
    assert_same(executor, ensemble.advance(30)[0], train(executor, a_member("tenant")))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_going_on_from_a_state_equals_never_stopping(executor: Executor, recipe: str, dtype: torch.dtype) -> None:
    """A member that is continued from its state at step 13 ends as one that went on, in another ensemble too."""
    whole = train(executor, a_member(), RECIPES[recipe], dtype=dtype)
    half = train(executor, a_member(until=13), RECIPES[recipe], dtype=dtype)
    assert half.finished
    assert half.state is not None
    continued = train(executor, replace(a_member("again"), start=half.state), RECIPES[recipe], dtype=dtype)
    assert_same(executor, continued, whole)


def test_a_state_is_the_members_own(executor: Executor) -> None:
    """The arrays of a finished member do not change when others train afterwards."""
    ensemble = an_ensemble(executor, capacity=2)
    ensemble.admit(a_member("short", until=2))
    ensemble.admit(a_member("long", seed=4))
    state = next(progress.state for progress in ensemble.advance(2) if progress.key == "short")
    before = state.parameters.copy(), state.first_moment.copy(), state.second_moment.copy()
    ensemble.admit(replace(a_member("next"), start=state))
    ensemble.advance(5)
    for kept, now in zip(before, (state.parameters, state.first_moment, state.second_moment), strict=True):
        np.testing.assert_array_equal(kept, now)


def test_divergence_is_a_value(executor: Executor) -> None:
    """A member that blows up is reported once, finished, with the worst score and no state, and its slot is free."""
    ensemble = an_ensemble(executor, family="relu", capacity=2)
    ensemble.admit(a_member("wild", family="relu", rate=1e30))
    ensemble.admit(a_member("calm", family="relu"))
    reports = {progress.key: progress for progress in ensemble.advance(10)}
    wild = reports["wild"]
    assert (wild.diverged, wild.finished, wild.score, wild.state) == (True, True, WORST_SCORE, None)
    assert wild.smoothed == WORST_SCORE
    assert wild.best_score >= WORST_SCORE
    assert not reports["calm"].diverged
    assert ensemble.free_slots == 1
    assert [progress.key for progress in ensemble.advance(1)] == ["calm"]


def test_a_member_stops_at_its_end(executor: Executor) -> None:
    """A segment that is longer than what a member has left trains it to ``until`` and no further."""
    ensemble = an_ensemble(executor, capacity=2)
    ensemble.admit(a_member("short", until=4))
    ensemble.admit(a_member("long", seed=2, until=30))
    short, long = ensemble.advance(6)
    assert (short.step, short.finished) == (4, True)
    assert (long.step, long.finished, long.state) == (6, False, None)
    assert_same(executor, short, train(executor, a_member("short", until=4)))


def test_the_best_score_remembers_when_it_was(executor: Executor) -> None:
    """best_score is the highest of the reported scores, also of those before a continuation, and best_step its step."""
    recipe = Recipe(steps=60)
    ensemble = an_ensemble(executor, recipe)
    ensemble.admit(a_member(rate=0.3, until=8))
    reports = [ensemble.advance(1)[0] for _ in range(8)]
    assert reports[-1].state is not None
    ensemble.admit(replace(a_member(rate=0.3, until=16), start=reports[-1].state))
    reports += [ensemble.advance(1)[0] for _ in range(8)]
    for end in range(1, 17):
        best = max(reports[:end], key=lambda progress: progress.score)
        assert (reports[end - 1].best_score, reports[end - 1].best_step) == (best.score, best.step)
    assert [progress.step for progress in reports] == list(range(1, 17))


def test_the_same_points_are_not_seen_twice_in_an_epoch() -> None:
    """Batches of an epoch are disjoint, all of one size, differ between epochs and seeds, and depend on no past."""
    order, other = BatchOrder(100, 30, seed=4), BatchOrder(100, 30, seed=5)
    epochs = [np.concatenate([order.indices(step) for step in range(first, first + 3)]) for first in (0, 3)]
    assert [len(np.unique(epoch)) for epoch in epochs] == [90, 90]
    assert not np.array_equal(*epochs)
    assert not np.array_equal(other.indices(0), order.indices(0))
    np.testing.assert_array_equal(BatchOrder(100, 30, seed=4).indices(4), order.indices(4))


def test_a_layout_is_weight_then_bias_of_each_layer(executor: Executor) -> None:
    """``MemberState.parameters`` rebuilds the network that the score is about."""
    progress = train(executor, a_member(family="sine"))
    x, offset = SIGNAL.coordinates.astype(np.float64), 0
    for index, (fan_in, fan_out) in enumerate(pairwise(WIDTHS)):
        weight = progress.state.parameters[offset : offset + fan_in * fan_out].reshape(fan_out, fan_in)
        offset += fan_in * fan_out
        x = x @ weight.T.astype(np.float64) + progress.state.parameters[offset : offset + fan_out]
        offset += fan_out
        x = x if index == len(WIDTHS) - 2 else np.sin(x / SIGMA_A["sine"])
    assert offset == progress.state.parameters.size
    assert progress.score == pytest.approx(psnr(x, SIGNAL.values), abs=1e-4)
    assert math.isfinite(progress.seconds)
