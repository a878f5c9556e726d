"""An activation of the user's own as a Python function of a torch tensor. Needs torch, also for its theory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from vi3nr.activations import activation, register_family
from vi3nr.families import Activation, UnitMoments

__all__ = ["custom_activation"]


@dataclass(frozen=True)
class _Custom(Activation):
    """f(x) = function(x / sigma_a)."""

    customary_sigma_a = (1.0,)
    sigma_a_range = (0.05, 5.0)
    learning_rate = 1e-3
    closed_form = ()
    function: ClassVar[Callable[[Tensor], Tensor]]
    function_slope: ClassVar[Callable[[Tensor], Tensor]]
    feature: ClassVar[float]

    @property
    def unit_feature(self) -> float:
        return self.feature

    def phi(self, u: Any, xp: ModuleType) -> Any:
        return _call(type(self).function, u, xp)

    def slope(self, u: Any, xp: ModuleType) -> Any:
        return _call(type(self).function_slope, u, xp)

    def unit_moments(self, rho: float) -> UnitMoments:
        return UnitMoments()


def custom_activation(
    value: Callable[[Tensor], Tensor],
    derivative: Callable[[Tensor], Tensor] | None = None,
    *,
    name: str | None = None,
    sigma_a: float = 1.0,
    kinks: tuple[float, ...] = (),
    feature: float = 1e-3,
) -> Activation:
    """An activation from a function of one's own: f(x) = value(x / sigma_a). Moments are computed by quadrature.

    The family is known by its name in this process from then on (``activation(name, sigma_a)``, and init configs that
    name it); a config read elsewhere needs the same call first.

    Args:
        value: maps a tensor to one of the same shape and dtype, elementwise; float64 on the CPU must work.
        derivative: its derivative, elementwise; None: by autograd.
        name: an identifier; None: the function's own name.
        sigma_a: the horizontal scale.
        kinks: where value or its derivative is not smooth, in units of its argument.
        feature: the width of its narrowest feature near 0 or a kink, in units of its argument.

    Raises:
        ValueError: a name that is taken or none (a lambda has none), or a value that is not elementwise.
    """
    name = getattr(value, "__name__", "") if name is None else name
    data = {
        "family": name,
        "label": name,
        "formula": f"{name}(x / sigma_a)",
        "unit_kinks": kinks,
        "feature": feature,
        "function": staticmethod(value),
        "function_slope": staticmethod(_autograd(value) if derivative is None else derivative),
        "__doc__": value.__doc__,
    }
    probe = torch.linspace(-2.0, 2.0, 6, dtype=torch.float64).reshape(2, 3)
    result = value(probe)
    if not isinstance(result, Tensor) or result.shape != probe.shape or result.dtype != probe.dtype:
        raise ValueError(f"value must map a tensor to one of the same shape and dtype, got {result!r} for {probe!r}")
    register_family(type("Custom", (_Custom,), data))
    return activation(name, sigma_a)


def _call(function: Callable[[Tensor], Tensor], u: Any, xp: ModuleType) -> Any:
    """The function on a tensor, or on a NumPy array by way of one."""
    if xp is torch:
        return function(u)
    return function(torch.from_numpy(np.array(u))).detach().numpy()


def _autograd(value: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def slope(u: Tensor) -> Tensor:
        with torch.enable_grad():
            x = u.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(value(x).sum(), x)
        return gradient

    return slope
