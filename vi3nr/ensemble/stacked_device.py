# ruff: noqa: D102 - what the methods do is said once, by the base class
"""What a stack needs of the machine: products of a precision, fused arithmetic, a step recorded once, its memory.

``HostDevice`` runs plain torch on the CPU. ``CudaDevice`` compiles the elementwise part and records a step in a CUDA
graph; where either fails it says why in the log and goes on with plain launches. An ensemble takes any of them.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import count
from types import FunctionType
from typing import TypeVar

import torch
from torch import Tensor

__all__ = ["PRECISIONS", "CudaDevice", "Elementwise", "HostDevice", "Product", "StackDevice", "device_for", "matmul_in"]

log = logging.getLogger(__name__)

PRECISIONS = ("float32", "tf32", "bfloat16")  # of the factors in products between hidden layers
TF32_DROPPED_BITS = 13  # of float32's 23 stored mantissa bits, tf32 keeps 10
PRODUCTS_PER_CORE = 4  # of a GPU's multiprocessors
WARM_UP_STEPS = 3  # before a capture, as torch's notes on CUDA graphs do

Function = TypeVar("Function", bound=Callable[..., Tensor])
Step = Callable[[], None]
Product = Callable[[Tensor, Tensor], Tensor]  # (member, a, b) x (member, b, c)
Elementwise = Callable[[Hashable, Callable[..., Tensor]], Callable[..., Tensor]]


class StackDevice(ABC):
    """Where a stack lives."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Of the tensors."""

    @abstractmethod
    def product(self, precision: str) -> Product:
        """The batched matrix product whose factors have this precision; sums have that of the tensors."""

    @property
    def products(self) -> int:
        """How many small products side by side keep it busy."""
        return 1

    @abstractmethod
    def elementwise(self, kind: Hashable, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The same method, as few kernels as can be; ``kind``: objects of equal kind differ in their tensors only."""

    @abstractmethod
    def record(self, step: Step, needs: int) -> Step:
        """What repeats ``step``, which always reads and writes the same tensors and reads no number back.

        ``step`` may be called here to warm up; it must then change nothing. ``needs`` is the estimate of its memory in
        bytes. Raises torch.OutOfMemoryError, here or when it is repeated, where it does not fit.
        """

    @abstractmethod
    def free_bytes(self, limit: int | None) -> int | None:
        """Memory that may be used now, given the most that this process may use; None: unknown, so all of it."""

    @abstractmethod
    def reclaim(self) -> None:
        """Give memory that no tensor uses any more back to the device."""


class HostDevice(StackDevice):
    """The CPU. Low precisions are imitated by rounding the factors, so that their effect can be measured."""

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def product(self, precision: str) -> Product:
        rounded = {"float32": None, "tf32": _to_tf32, "bfloat16": _to_bfloat16}[precision]
        if rounded is None:
            return torch.bmm
        return lambda a, b: torch.bmm(rounded(a), rounded(b))

    def elementwise(self, kind: Hashable, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return method

    def record(self, step: Step, needs: int) -> Step:
        return step

    def free_bytes(self, limit: int | None) -> int | None:
        return limit

    def reclaim(self) -> None:
        pass


def _to_tf32(x: Tensor) -> Tensor:
    """To 10 mantissa bits, to nearest and ties away from zero; float32, or complex numbers of it."""
    if x.is_complex():
        return torch.view_as_complex(_to_tf32(torch.view_as_real(x.resolve_conj())))
    bits = x.contiguous().view(torch.int32)
    rounded = (bits + (1 << (TF32_DROPPED_BITS - 1))) & -(1 << TF32_DROPPED_BITS)
    return torch.where(torch.isfinite(x), rounded.view(torch.float32), x)


def _to_bfloat16(x: Tensor) -> Tensor:
    return x.bfloat16().to(x.dtype)


class CudaDevice(StackDevice):
    """A CUDA device.

    Args:
        name: "cuda" or "cuda:1" and so on.
        compiled: whether the elementwise part goes through torch.compile.
        capture: records a step; an argument so that what follows a failure can be tried without a GPU.
    """

    def __init__(
        self, name: str = "cuda", *, compiled: bool = True, capture: Callable[[torch.device, Step], Step] | None = None
    ) -> None:
        self._device = torch.device(name)
        self._compiled = compiled
        self._capture = capture or _capture

    @property
    def device(self) -> torch.device:
        return self._device

    def product(self, precision: str) -> Product:
        if precision == "bfloat16":
            return _bfloat16_product
        setting = "tf32" if precision == "tf32" else "ieee"

        def product(a: Tensor, b: Tensor) -> Tensor:
            with matmul_in(setting):
                return torch.bmm(a, b)

        return product

    @property
    def products(self) -> int:
        return PRODUCTS_PER_CORE * torch.cuda.get_device_properties(self._device).multi_processor_count

    def elementwise(self, kind: Hashable, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        if not self._compiled:
            return method
        owner, function = method.__self__, method.__func__  # type: ignore[attr-defined]
        return partial(_kernel(kind, function), owner)

    def record(self, step: Step, needs: int) -> Step:
        try:
            return self._capture(self._device, step)
        except RuntimeError as error:
            if _is_out_of_memory(error):
                raise torch.OutOfMemoryError(f"a stack of about {needs} bytes does not fit") from error
            log.warning("a step could not be captured as a CUDA graph and is launched kernel by kernel: %s", error)
            return step

    def free_bytes(self, limit: int | None) -> int | None:
        free, _ = torch.cuda.mem_get_info(self._device)
        allocated = torch.cuda.memory_allocated(self._device)
        free += torch.cuda.memory_reserved(self._device) - allocated  # held by torch for tensors to come
        return free if limit is None else min(free, limit - allocated)

    def reclaim(self) -> None:
        torch.cuda.empty_cache()


def device_for(name: str) -> StackDevice:
    """The device of this name. Raises ValueError for other names than cpu, cuda and cuda:0 and so on."""
    kind = name.split(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device {name!r} is unknown; choose cpu or cuda")
    return HostDevice() if kind == "cpu" else CudaDevice(name)


@contextmanager
def matmul_in(setting: str) -> Iterator[None]:
    """CUDA's float32 matrix products in "ieee" or "tf32" within, as before afterwards.

    Torch has this switch for the whole process only. Compiled code must not be entered within: it asks for the switch
    by its older name, and torch refuses to answer while the two differ.
    """
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = setting
    try:
        yield
    finally:
        matmul.fp32_precision = before


def _bfloat16_product(a: Tensor, b: Tensor) -> Tensor:
    """Factors in bfloat16, the sum in float32: only CUDA has this product."""
    product: Tensor = torch.ops.aten.bmm.dtype(a.bfloat16(), b.bfloat16(), torch.float32)
    return product


_compile = torch.compile
_numbers = count()


class _Compiled:
    """A compiled function of an object and tensors (member, point, unit). It becomes the plain one, with a line in the
    log, if it cannot be compiled.

    Each shape (point, unit) has a compilation of its own, in which only the number of members is left open: were the
    others too, each number of a kernel would be found by divisions, which made a step a quarter longer.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._plain = function
        self._by_shape: dict[torch.Size, Callable[..., Tensor]] = {}
        self._fails = False

    def __call__(self, owner: object, *tensors: Tensor) -> Tensor:
        if self._fails or any(tensor.is_complex() for tensor in tensors):
            return self._plain(owner, *tensors)  # inductor has no kernels for complex numbers
        try:
            shape = tensors[0].shape[1:]
            if shape not in self._by_shape:
                self._by_shape[shape] = self._compile()
            return self._by_shape[shape](owner, *map(_whole, tensors))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a compiler that is not there, or does not know an operation
            log.warning("%s is not compiled: %s", self._plain.__qualname__, error)
            self._fails = True
            return self._plain(owner, *tensors)

    def _compile(self) -> Callable[..., Tensor]:
        """Over the whole process torch counts compilations by code object, and stops at eight, and learns by name which
        sizes change: what it gets has a code object and a name of its own.
        """
        code = self._plain.__code__.replace(co_name=f"{self._plain.__name__}_{next(_numbers)}")
        found: Callable[..., Tensor] = _compile(FunctionType(code, self._plain.__globals__))
        return found


def _whole(tensor: Tensor) -> Tensor:
    """A copy of what is a part of another tensor, as biases are: where it begins would be compiled in."""
    if tensor.storage_offset() == 0 and tensor.is_contiguous():
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


@lru_cache(maxsize=256)
def _kernel(kind: Hashable, function: Callable[..., Tensor]) -> _Compiled:  # noqa: ARG001 - a kind has its own
    """One for all stacks of a kind in this process: a compilation takes seconds."""
    return _Compiled(function)


def _capture(device: torch.device, step: Step) -> Step:
    """Record a step in a CUDA graph, after a warm-up on the stream that it is recorded on."""
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            step()
    return graph.replay


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether a lack of memory is the cause, be it under the error that ended the capture."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, torch.OutOfMemoryError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
