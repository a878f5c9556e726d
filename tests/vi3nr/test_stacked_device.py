"""What a CUDA device does with a stack, on the CPU: shared compilations, and what cannot be recorded or compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from stacked_members import FORMULA, RECIPES, a_member, numbers, train
from torch import Tensor

from vi3nr.ensemble import stacked_device
from vi3nr.ensemble.cpu import one_thread
from vi3nr.ensemble.stacked import StackedEnsemble
from vi3nr.ensemble.stacked_device import CudaDevice, Step, device_for


@pytest.fixture(autouse=True, scope="module")
def _on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


def test_stacks_of_a_kind_share_their_compilations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their members are: for each function and shape at most one for the first number, and one for all others.

    The shapes: a minibatch and all points, in layers of 9 and of 12 units; no gradient is asked for at all points.
    """
    torch.compiler.reset()
    stacked_device._kernel.cache_clear()
    compiled = []

    def counting(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Tensor]:
        compiled.append(graph)
        return graph.forward

    monkeypatch.setattr(stacked_device, "_compile", partial(torch.compile, backend=counting))
    for count in (1, 2, 4):
        members = [replace(a_member(FORMULA, f"m{i}", i, 1.0 + i), until=3) for i in range(count)]
        got = train(StackedEnsemble, members, RECIPES[1], device=cuda_device(capture=lambda device, step: step))
        expected = train(StackedEnsemble, members, RECIPES[1])
        for mine, plain in zip(got, expected, strict=True):
            np.testing.assert_allclose(numbers(mine), numbers(plain), rtol=0, atol=1e-6)
    stacked_device._kernel.cache_clear()
    assert 6 <= len(compiled) <= 12


def cuda_device(**options: object) -> CudaDevice:
    """The code of a CUDA device on the CPU: what needs a GPU is replaced."""

    class Hosted(CudaDevice):
        products = 8

        def free_bytes(self, limit: int | None) -> int | None:
            return limit

        def reclaim(self) -> None:
            """There is no cache of a GPU's memory to give back."""

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
    stacked_device._kernel.cache_clear()
    plain = cuda_device(capture=lambda device, step: step)
    (got,) = train(StackedEnsemble, [a_member()], RECIPES[0], device=plain)
    (expected,) = train(StackedEnsemble, [a_member()], RECIPES[0])
    stacked_device._kernel.cache_clear()
    np.testing.assert_array_equal(numbers(got), numbers(expected))
    assert caplog.text.count("no compiler here") == 2  # one for the activation, one for its chain rule


def test_only_cpu_and_cuda_are_devices() -> None:
    """ValueError names another one."""
    assert isinstance(device_for("cuda:1"), CudaDevice)
    with pytest.raises(ValueError, match="'mps' is unknown"):
        device_for("mps")
