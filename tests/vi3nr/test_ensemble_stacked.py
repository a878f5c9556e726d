"""The stacked executor: every family, low precisions, memory that runs out, devices that cannot record or compile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_ensembles import a_signal
from torch import Tensor

from vi3nr.activations import activation, families, family_of
from vi3nr.baselines import baseline_config
from vi3nr.config import Encoding
from vi3nr.ensemble import stacked_device
from vi3nr.ensemble.cpu import CpuEnsemble, one_thread
from vi3nr.ensemble.interface import Ensemble, Member, Progress, Recipe
from vi3nr.ensemble.reference import ReferenceEnsemble
from vi3nr.ensemble.stacked import StackedEnsemble
from vi3nr.ensemble.stacked_device import CudaDevice, HostDevice, Step, device_for

WIDTHS = (2, 9, 12, 3)
FORMULA = "exp(-x**2/(2*a**2)) * cos(30*x)"
RECIPES = [Recipe(steps=40), Recipe(steps=40, batch_size=32, schedule="cosine")]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU"))]


@pytest.fixture(autouse=True, scope="module")
def _on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


SIGNAL = a_signal(100, seed=2)


def a_member(family: str = "gaussian", key: str = "a", seed: int = 1, scale: float = 1.0, **options: object) -> Member:
    usual = 0.5 if family == "finer" else family_of(family).customary_sigma_a[0]  # at omega 30 it amplifies roundings
    sigma_a = scale * usual if family_of(family).has_scale else 1.0
    parameters = {"a": 0.5} if family == FORMULA else {}
    config = baseline_config("xavier", activation(family, sigma_a, **parameters), WIDTHS, **options)
    return Member(key, config, seed, 1e-3, 40)


def train(make: Callable[..., Ensemble], members: list[Member], recipe: Recipe, **options: object) -> list[Progress]:
    ensemble = make(
        SIGNAL, widths=WIDTHS, family=members[0].config.family, recipe=recipe, capacity=len(members), **options
    )
    for member in members:
        ensemble.admit(member)
    return ensemble.advance(40)


def numbers(progress: Progress) -> np.ndarray:
    assert progress.state is not None
    return progress.state.parameters


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


def cuda_device(**options: object) -> CudaDevice:
    """The code of a CUDA device on the CPU: what needs a GPU is replaced."""

    class Hosted(CudaDevice):
        def free_bytes(self, limit: int | None) -> int | None:
            return limit

        def reclaim(self) -> None:
            pass

    return Hosted("cpu", **options)


def test_a_step_that_cannot_be_recorded_is_launched_plainly(caplog: pytest.LogCaptureFixture) -> None:
    """A failed capture says why in the log, and training gives what it would have given."""

    def capture(device: torch.device, step: Step) -> Step:
        step()  # a warm-up, which must leave no trace
        raise RuntimeError("this driver captures nothing")

    member = a_member()
    (got,) = train(StackedEnsemble, [member], RECIPES[0], device=cuda_device(compiled=False, capture=capture))
    (expected,) = train(StackedEnsemble, [member], RECIPES[0])
    np.testing.assert_array_equal(numbers(got), numbers(expected))
    assert "captures nothing" in caplog.text


def test_memory_that_runs_out_in_a_capture_is_lack_of_memory() -> None:
    """Even where the capture's own error hides it; the groups are halved then, and one member alone gives up."""

    def capture(device: torch.device, step: Step) -> Step:
        try:
            raise torch.OutOfMemoryError("no room")
        except torch.OutOfMemoryError as error:
            raise RuntimeError("capture ended") from error

    with pytest.raises(torch.OutOfMemoryError, match="does not fit"):
        train(StackedEnsemble, [a_member()], RECIPES[0], device=cuda_device(compiled=False, capture=capture))


def test_what_cannot_be_compiled_runs_plainly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A compiler that is not there is named in the log once, and training gives what it would have given."""

    def no_compiler(function: Callable[..., Tensor], **_: object) -> Callable[..., Tensor]:
        def fail(*tensors: Tensor) -> Tensor:
            raise RuntimeError("no compiler here")

        return fail

    monkeypatch.setattr(stacked_device, "_compile", no_compiler)
    plain = cuda_device(capture=lambda device, step: step)
    (got,) = train(StackedEnsemble, [a_member()], RECIPES[0], device=plain)
    (expected,) = train(StackedEnsemble, [a_member()], RECIPES[0])
    np.testing.assert_array_equal(numbers(got), numbers(expected))
    assert caplog.text.count("no compiler here") == 2  # one for the activation, one for its chain rule


def test_only_cpu_and_cuda_are_devices() -> None:
    """ValueError names another one."""
    assert isinstance(device_for("cuda:1"), CudaDevice)
    with pytest.raises(ValueError, match="'mps' is unknown"):
        device_for("mps")
