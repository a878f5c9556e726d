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
from vi3nr.scalars import finite_number, positive_number

__all__ = ["custom_activation"]


@dataclass(frozen=True, repr=False)
class _Custom(Activation):
    """f(x) = function(x / sigma_a). It is pickled by its name, as a function may be a lambda."""

    customary_sigma_a = (1.0,)
    sigma_a_range = (0.05, 5.0)
    learning_rate = 1e-3
    closed_form = ()
    function: ClassVar[Callable[[Tensor], Tensor]]
    function_slope: ClassVar[Callable[[Tensor], Tensor]]
    feature: ClassVar[float]

    def __repr__(self) -> str:
        return f"activation({self.family!r}, {self.sigma_a!r})"

    def __reduce__(self) -> tuple[Callable[..., Activation], tuple[str, float]]:
        return _by_name, (self.family, self.sigma_a)

    def __deepcopy__(self, memo: dict[int, object]) -> _Custom:
        return self  # it does not change

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
    name it), until another call with the name replaces it. A config or a pickled network read elsewhere needs the same
    call first.

    Args:
        value: maps a tensor to one of the same shape and dtype, elementwise; float64 on the CPU must work, and values
            must be finite near 0. It is tried on numbers from -2 to 2.
        derivative: its derivative, elementwise; None: by autograd.
        name: an identifier; None: the function's own name.
        sigma_a: the horizontal scale.
        kinks: where value or its derivative is not smooth, in units of its argument.
        feature: the width of its narrowest feature near 0 or a kink, in units of its argument.

    Raises:
        ValueError: the name of a built-in family, or no name (a lambda has none); a value of another shape or dtype,
            that is not elementwise or not finite where it is tried, or a derivative that is not; kinks that are no
            finite numbers, or a feature that is not positive.
    """
    name = getattr(value, "__name__", "") if name is None else name
    data = {
        "family": name,
        "label": name,
        "formula": f"{name}(x / sigma_a)",
        "unit_kinks": _finite(kinks),
        "feature": positive_number("feature", feature),
        "function": staticmethod(value),
        "function_slope": staticmethod(_autograd(value) if derivative is None else derivative),
        "__doc__": value.__doc__,
    }
    _try("value", value)
    if derivative is not None:
        _try("derivative", derivative)
    register_family(type("Custom", (_Custom,), data))
    return activation(name, sigma_a)


def _try(which: str, function: Callable[[Tensor], Tensor]) -> None:
    """Raise ValueError unless the function is elementwise and finite on a few numbers from -2 to 2, 0 among them."""
    probe = torch.tensor([[-2.0, -1.2, -0.4, 0.0], [0.4, 1.2, 1.7, 2.0]], dtype=torch.float64)
    result = function(probe.clone())
    if not isinstance(result, Tensor) or result.shape != probe.shape or result.dtype != probe.dtype:
        raise ValueError(f"{which} must map a tensor to one of the same shape and dtype, got {result!r} for {probe!r}")
    if not result.isfinite().all():
        raise ValueError(f"{which} must be finite near 0, got {result.tolist()} at {probe.tolist()}")
    alone = torch.stack([function(number.reshape(1))[0] for number in probe.flatten()]).reshape(probe.shape)
    if not torch.allclose(alone, result, rtol=1e-9, atol=1e-12):
        raise ValueError(
            f"{which} must be elementwise: at {probe.tolist()} it is {result.tolist()}, "
            f"number by number {alone.tolist()}"
        )


def _finite(kinks: tuple[float, ...]) -> tuple[float, ...]:
    numbers = [finite_number(kink) for kink in kinks]
    found = tuple(number for number in numbers if number is not None)
    if len(found) < len(numbers):
        raise ValueError(f"kinks must be finite numbers, got {kinks!r}")
    return found


def _by_name(name: str, sigma_a: float) -> Activation:
    try:
        return activation(name, sigma_a)
    except ValueError as error:
        raise ValueError(f"the activation {name!r} needs the custom_activation that made it first: {error}") from None


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
