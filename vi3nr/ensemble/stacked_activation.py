"""One activation for a whole stack: the family's own value and derivative, with each member's own parameters.

The families are written for Python numbers; here their parameters are tensors ``(member, 1, 1)``, so that a slot gets
another ``sigma_a`` by a copy into a tensor that compiled or captured code reads. What is no number (the constants of a
formula, which are worked into its tree) must be the same for all members of a stack: ``shared_part`` is that part.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import fields
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from vi3nr.families import Activation

__all__ = ["StackedActivation", "shared_part"]


def shared_part(activation: Activation) -> tuple[object, ...]:
    """What members must have in common to share a stack: the parameters that are no single numbers."""
    return tuple(getattr(activation, name) for name in _names(activation, numbers=False))


def _names(activation: Activation, *, numbers: bool) -> list[str]:
    values = {item.name: getattr(activation, item.name) for item in fields(activation)}
    return [name for name, value in values.items() if isinstance(value, int | float) == numbers]


class _PerMember(Activation):
    """A family whose parameters are tensors. Its constructor, which checks numbers, is never called."""

    inverse: Tensor  # 1 / sigma_a, rounded once, as the family itself rounds it

    def derivative(self, x: Any, xp: ModuleType) -> Any:
        """The same as the family's, without asking whether sigma_a is 1: members differ."""
        slope = self.slope(self._unit(x), xp)
        return slope * self.inverse if self.has_scale else slope

    def _unit(self, x: Any) -> Any:
        return x * self.inverse if self.has_scale else x


@lru_cache(maxsize=64)
def _per_member(cls: type[Activation]) -> type[_PerMember]:
    return type(f"Stacked{cls.__name__}", (_PerMember, cls), {})


class StackedActivation:
    """The activation of ``members`` members, all of the family of ``example``; its tensors are filled by ``set_``."""

    def __init__(self, example: Activation, members: int, dtype: torch.dtype, device: torch.device) -> None:
        names = _names(example, numbers=True)
        blend = object.__new__(_per_member(type(example)))
        for name in _names(example, numbers=False):
            object.__setattr__(blend, name, getattr(example, name))
        self._rows = [torch.ones(members, 1, 1, dtype=dtype, device=device) for _ in [*names, "inverse"]]
        for name, row in zip([*names, "inverse"], self._rows, strict=True):
            object.__setattr__(blend, name, row)
        self._names, self._blend, self._shared = names, blend, shared_part(example)

    @property
    def kind(self) -> Hashable:
        """Stacks of equal kind differ in their tensors only, so that one compilation serves them all."""
        return type(self._blend), self._shared

    def set_(self, activations: Sequence[Activation]) -> None:
        """Give the first members of the stack these activations; the others keep what they have."""
        values = [[float(getattr(each, name)) for each in activations] for name in self._names]
        values.append([1.0 / each.sigma_a for each in activations])
        for row, numbers in zip(self._rows, values, strict=True):
            row[: len(activations), 0, 0].copy_(torch.tensor(numbers, dtype=torch.float64))

    def forward(self, z: Tensor, bias: Tensor) -> Tensor:
        """f(z + bias) for ``z`` ``(member, point, unit)`` and ``bias`` ``(member, 1, unit)``."""
        value: Tensor = self._blend.value(z + bias, torch)
        return value

    def backward(self, g: Tensor, z: Tensor, bias: Tensor) -> Tensor:
        """The gradient at ``z + bias``, given that at its activation.

        Complex gradients are dL/dRe + i dL/dIm, as in torch: ``conj(df/dx) g + df/dconj(x) conj(g)``, and the real part
        of the first term for a real argument, as the first layer's is.
        """
        x = z + bias
        slope: Tensor = self._blend.derivative(x, torch)
        if not slope.is_complex():
            return g * slope
        if not x.is_complex():
            return (g * slope.conj()).real
        conjugate: Tensor = self._blend.conjugate_derivative(x, torch)
        return g * slope.conj() + g.conj() * conjugate
