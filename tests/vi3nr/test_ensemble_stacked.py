"""The stacked executor: every family, low precisions, memory that runs out, sums in parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_ensembles import a_signal
from stacked_members import FORMULA, RECIPES, SIGNAL, WIDTHS, a_member, numbers, train

from vi3nr.activations import families, family_of
from vi3nr.config import Encoding
from vi3nr.ensemble.cpu import CpuEnsemble, one_thread
from vi3nr.ensemble.interface import Progress, Recipe
from vi3nr.ensemble.reference import ReferenceEnsemble
from vi3nr.ensemble.stacked import StackedEnsemble
from vi3nr.ensemble.stacked_device import HostDevice, Step

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU"))]


@pytest.fixture(autouse=True, scope="module")
def _on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("recipe", RECIPES, ids=["full", "minibatch"])
@pytest.mark.parametrize("family", [*families(), FORMULA])
def test_every_family_trains_as_autograd_does(family: str, recipe: Recipe, device: str) -> None:
    """Three members of a family with scales of their own, side by side in float64: parameters within 1e-9 of autograd's
    after 40 steps, scores within 1e-7 dB. In float32 scores within 0.01 dB. The tiled executor keeps the same promise.
    """
    members = [a_member(family, f"m{i}", i, 1.0 + i if family_of(family).has_scale else 1.0) for i in range(3)]
    expected = train(ReferenceEnsemble, members, recipe, dtype=torch.float64)
    makers = [(StackedEnsemble, {"device": device})] + ([] if family_of(family).complex else [(CpuEnsemble, {})])
    for make, options in makers:
        for got, truth in zip(train(make, members, recipe, dtype=torch.float64, **options), expected, strict=True):
            np.testing.assert_allclose(numbers(got), numbers(truth), rtol=0, atol=1e-9)
            assert got.score == pytest.approx(truth.score, abs=1e-7)
        for got, truth in zip(train(make, members, recipe, **options), expected, strict=True):
            assert got.score == pytest.approx(truth.score, abs=1e-2)


@pytest.mark.parametrize(
    ("family", "precision", "tolerance"),
    [
        ("gaussian", "tf32", 0.02),
        ("relu", "tf32", 0.02),
        ("sine", "tf32", 0.1),  # at omega 30 a rounding moves the angle
        ("gaussian", "bfloat16", 0.15),
        ("relu", "bfloat16", 0.15),
    ],
)
def test_low_precisions_move_scores_by_little(family: str, precision: str, tolerance: float) -> None:
    """After 40 steps, by less than the stated tolerance in dB; and they do move numbers."""
    member = a_member(family)
    (exact,) = train(StackedEnsemble, [member], RECIPES[0])
    (rounded,) = train(StackedEnsemble, [member], RECIPES[0], precision=precision)
    assert not np.array_equal(numbers(exact), numbers(rounded))
    assert rounded.score == pytest.approx(exact.score, abs=tolerance)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"precision": "float16"}, "'float16' is unknown"),
        ({"precision": "tf32", "dtype": torch.float64}, "for float32"),
        ({"device": "tpu"}, "'tpu' is unknown"),
    ],
)
def test_unknown_choices_are_refused(options: dict[str, object], sentence: str) -> None:
    """ValueError names what was asked for."""
    with pytest.raises(ValueError, match=sentence):
        train(StackedEnsemble, [a_member()], RECIPES[0], **options)


def test_members_of_different_encodings_share_an_ensemble() -> None:
    """Each trains as alone, whatever the encodings beside it."""
    encodings = [None, Encoding("fourier", 2, 3, True), None, Encoding("fourier", 2, 3, True)]
    members = [a_member("relu", f"m{i}", i, encoding=encoding) for i, encoding in enumerate(encodings)]
    together = train(StackedEnsemble, members, RECIPES[0], dtype=torch.float64)
    assert [progress.key for progress in together] == [member.key for member in members]
    for got, member in zip(together, members, strict=True):
        (alone,) = train(ReferenceEnsemble, [member], RECIPES[0], dtype=torch.float64)
        np.testing.assert_allclose(numbers(got), numbers(alone), rtol=0, atol=1e-9)


class SmallDevice(HostDevice):
    """A CPU on which a step of more than ``room`` bytes runs out of memory, when it is made or when it runs."""

    def __init__(self, room: int, *, late: bool) -> None:
        self.room, self.late, self.reclaimed, self.steps = room, late, 0, 0

    def record(self, step: Step, needs: int) -> Step:
        def fail() -> None:
            self.steps += 1
            if needs > self.room and self.steps % 7 == 0:  # in the middle of a segment
                raise torch.OutOfMemoryError("no room")
            step()

        if needs > self.room and not self.late:
            raise torch.OutOfMemoryError("no room")
        return fail

    def reclaim(self) -> None:
        self.reclaimed += 1


@pytest.mark.parametrize("late", [False, True])
def test_no_member_is_lost_when_memory_runs_out(late: bool) -> None:
    """Half as many step together from then on; every member ends where it would have ended with room enough."""
    members = [a_member("sine", f"m{i}", i) for i in range(7)]
    expected = train(StackedEnsemble, members, RECIPES[1], dtype=torch.float64)
    device = SmallDevice(60_000, late=late)
    ensemble = StackedEnsemble(
        SIGNAL, widths=WIDTHS, family="sine", recipe=RECIPES[1], capacity=7, dtype=torch.float64, device=device
    )
    for member in members:
        ensemble.admit(member)
    reports: list[Progress] = []
    for _ in range(4):
        reports = ensemble.advance(10)
    assert device.reclaimed > 0
    assert 1 <= ensemble.together < 7
    for got, truth in zip(reports, expected, strict=True):
        assert got.finished
        np.testing.assert_allclose(numbers(got), numbers(truth), rtol=0, atol=1e-12)


def test_a_member_that_does_not_fit_alone_is_an_error() -> None:
    """Memory that is too small for one network is reported, not tried for ever."""
    with pytest.raises(torch.OutOfMemoryError):
        train(StackedEnsemble, [a_member(), a_member(key="b")], RECIPES[0], device=SmallDevice(10, late=False))


@pytest.mark.parametrize("recipe", [Recipe(steps=6), Recipe(steps=6, batch_size=3000)], ids=["full", "minibatch"])
def test_memory_is_bounded_by_its_setting(recipe: Recipe) -> None:
    """With little memory points are taken in chunks and fewer members step together; what comes out is the same."""
    signal = a_signal(5000, seed=2)
    members = [replace(a_member("sine", f"m{i}", i), until=6) for i in range(4)]
    ends = {}
    for memory in (None, 6_000_000):
        needs: list[int] = []

        class Watched(HostDevice):
            def record(self, step: Step, needs_: int, seen: list[int] = needs) -> Step:
                seen.append(needs_)
                return step

        ensemble = StackedEnsemble(
            signal, widths=WIDTHS, family="sine", recipe=recipe, capacity=4, dtype=torch.float64, device=Watched(),
            memory=memory,
        )  # fmt: skip
        for member in members:
            ensemble.admit(member)
        ends[memory] = [numbers(progress) for progress in ensemble.advance(6)]
        if memory is not None:
            assert max(needs) <= memory
    np.testing.assert_allclose(ends[None], ends[6_000_000], rtol=0, atol=1e-10)


class WideDevice(HostDevice):
    """A CPU that wants many small products at once, as a GPU does."""

    products = 10


@pytest.mark.parametrize("family", ["sine", "wire"])
@pytest.mark.parametrize("points", [1500, 1511])  # the second is prime
def test_a_gradient_summed_in_parts_is_the_gradient(family: str, points: int) -> None:
    """Sums over the points of three members, in parts where the points can be parted: the same to 1e-9."""
    signal = a_signal(points, seed=3)
    members = [replace(a_member(family, f"m{i}", i), until=5) for i in range(3)]
    ends = []
    for device in ("cpu", WideDevice()):
        ensemble = StackedEnsemble(
            signal, widths=WIDTHS, family=family, recipe=Recipe(40), capacity=3, dtype=torch.float64, device=device
        )
        for member in members:
            ensemble.admit(member)
        ends.append([numbers(progress) for progress in ensemble.advance(40)])
    np.testing.assert_allclose(ends[1], ends[0], rtol=0, atol=1e-9)
