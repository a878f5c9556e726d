"""The axes of one family's search: which numbers are searched, between which bounds, and what is fixed.

The names of the axes are what people read on the dashboard. Two are ratios unless absolute bounds were asked for:
``sigma_p / sigma_a`` and ``first-layer bandwidth = sigma_p_first sqrt(1 - share) / sigma_a``, the std of the first
layer's weighted sum in units of ``sigma_a``: the good region is a box in the ratios and a ridge in absolute numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vi3nr.activations import activation, family_of
from vi3nr.config import BiasRule, InitConfig
from vi3nr.guess import Point, Ranges, default_ranges, one_sigma_p_points, start_points
from vi3nr.profile import vi3nr_config
from vi3nr.signals import Signal
from vi3nr.theory import stable_sigma_p
from workers.axes import (
    BANDWIDTH,
    GROWTH,
    LINEAR,
    OUTPUT,
    RATE,
    RATIO,
    SHARE_FIRST,
    SHARE_HIDDEN,
    SIGMA_A,
    SIGMA_P,
    SIGMA_P_FIRST,
)
from workers.plan import Axis, BiasChoice, FamilyPlan, Range

if TYPE_CHECKING:
    from optuna.distributions import FloatDistribution

__all__ = ["SearchSpace"]

LARGEST_SHARE = 0.999  # a share of 1 would leave the weights nothing


@dataclass(frozen=True)
class SearchSpace:
    """One number (fixed) or interval (searched) per axis; points go in and out as the searched numbers by name."""

    plan: FamilyPlan
    axes: Mapping[str, Range | float]
    bias_rule: str
    bias_first_rule: str

    @staticmethod
    def for_family(plan: FamilyPlan, signal: Signal | Sequence[Signal]) -> SearchSpace:
        """The space that a plan asks for; what it leaves open gets the family's default ranges for these signals.

        Raises ValueError for bounds that are not ``0 < low < high`` (shares: ``0 <= low < high < 1``).
        """
        plan = _with_scale(plan)
        one = isinstance(plan.sigma_p_first, str)
        ranges = default_ranges(plan.family, signal, plan.parameters, one_sigma_p=one)
        axes: dict[str, Range | float] = {SIGMA_A: _axis(plan.sigma_a, ranges.sigma_a)}
        if plan.sigma_p is None:
            axes[RATIO] = _axis(None, ranges.rho)
        else:
            axes[SIGMA_P] = plan.sigma_p
        if plan.sigma_p_first is None:
            axes[BANDWIDTH] = _axis(None, ranges.bandwidth)
        elif not isinstance(plan.sigma_p_first, str):
            axes[SIGMA_P_FIRST] = plan.sigma_p_first
        axes[SHARE_FIRST] = _share_first(plan.bias_first, ranges)
        axes[SHARE_HIDDEN] = _share_hidden(plan.bias)
        axes[OUTPUT] = _axis(plan.output_scale, (1.0, 1.0))
        axes[GROWTH] = _axis(plan.sigma_p_growth, (1.0, 1.0))
        customary = family_of(plan.family).learning_rate
        axes[RATE] = _axis(plan.learning_rate, (customary, customary))
        for name, axis in axes.items():
            _check(plan.family, name, axis)
        first = "share" if plan.bias_first is None else plan.bias_first.rule
        return SearchSpace(plan, axes, "zero" if plan.bias is None else plan.bias.rule, first)

    def distributions(self) -> dict[str, FloatDistribution]:
        """What Optuna samples: the searched axes, logarithmic but for the shares."""
        from optuna.distributions import FloatDistribution  # the API builds start configs, and has no Optuna

        return {
            name: FloatDistribution(axis.low, axis.high, log=name not in LINEAR)
            for name, axis in self.axes.items()
            if isinstance(axis, Range)
        }

    def start(self, signal: Signal | Sequence[Signal]) -> list[dict[str, float]]:
        """What to try first, the best guess first; each point once, where what is fixed makes several the same."""
        family, parameters = self.plan.family, self.plan.parameters
        if {BANDWIDTH, SIGMA_P_FIRST} & self.axes.keys():
            points = start_points(family, signal, parameters)
        else:
            points = one_sigma_p_points(family, signal, parameters, along_scale=self.searches(SIGMA_A))
        found = [self.to_params(point) for point in points]
        return [params for place, params in enumerate(found) if params not in found[:place]]

    def to_params(self, point: Point) -> dict[str, float]:
        """A point as the searched numbers, clipped into their bounds; what is fixed takes its fixed number first.

        What a point does not have starts in the middle of its range (the hidden bias share) or at what is customary.
        """
        sigma_a = self._clip(SIGMA_A, point.sigma_a)
        share = self._clip(SHARE_FIRST, point.share_first)
        bandwidth = point.sigma_p_first * math.sqrt(1 - point.share_first) / point.sigma_a
        hidden = self.axes[SHARE_HIDDEN]
        ratio = point.sigma_p / point.sigma_a
        if not {BANDWIDTH, SIGMA_P_FIRST} & self.axes.keys():
            ratio = math.sqrt(ratio * bandwidth)  # one sigma_p has to serve the first layer as well
        wishes = {
            SIGMA_A: sigma_a,
            RATIO: ratio,
            SIGMA_P: ratio * sigma_a,
            BANDWIDTH: bandwidth,
            SIGMA_P_FIRST: bandwidth * sigma_a / math.sqrt(1 - share),
            SHARE_FIRST: share,
            SHARE_HIDDEN: (hidden.low + hidden.high) / 2 if isinstance(hidden, Range) else hidden,
            OUTPUT: 1.0,
            GROWTH: 1.0,
            RATE: family_of(self.plan.family).learning_rate,
        }
        return {name: self._clip(name, wishes[name]) for name in self.axes if self.searches(name)}

    def to_point(self, params: Mapping[str, float]) -> Point:
        """The point that the searched numbers and the fixed ones make together."""
        sigma_a, share = self._number(SIGMA_A, params), self._number(SHARE_FIRST, params)
        sigma_p = self._number(RATIO, params) * sigma_a if RATIO in self.axes else self._number(SIGMA_P, params)
        if BANDWIDTH in self.axes:
            first = self._number(BANDWIDTH, params) * sigma_a / math.sqrt(1 - share)
        else:
            first = self._number(SIGMA_P_FIRST, params) if SIGMA_P_FIRST in self.axes else sigma_p
        return Point(sigma_a, sigma_p, first, share)

    def learning_rate(self, params: Mapping[str, float]) -> float:
        """The rate that these numbers are trained at."""
        return self._number(RATE, params)

    def searches(self, name: str) -> bool:
        """Whether an axis is searched, not fixed."""
        return isinstance(self.axes.get(name), Range)

    def config(
        self,
        params: Mapping[str, float],
        widths: tuple[int, ...],
        *,
        input_second_moment: float,
        method: str,
        seed: int,
    ) -> InitConfig:
        """The init config of these numbers; ``seed`` is what Monte Carlo moments are drawn from.

        Raises ValueError where the biases asked for would leave the weights no variance, and ArithmeticError for an
        activation whose moments cannot be computed, or that passes no gradient.
        """
        point = self.to_point(params)
        output = self._number(OUTPUT, params)
        phi = activation(self.plan.family, point.sigma_a, **self.plan.parameters)
        config = vi3nr_config(
            phi,
            widths,
            sigma_p=point.sigma_p,
            sigma_p_first=point.sigma_p_first,
            sigma_p_growth=self._number(GROWTH, params),
            input_second_moment=input_second_moment,
            bias=_rule(self.bias_rule, self._number(SHARE_HIDDEN, params)),
            bias_first=_rule(self.bias_first_rule, point.share_first),
            output="same_sigma_p" if output == 1.0 else "sigma_p_output",
            sigma_p_output=None if output == 1.0 else point.sigma_p * output,
            method=method,
            generator=np.random.default_rng(seed),
        )
        if config.stability is None:  # it could be drawn, but a search over what the theory cannot follow is no use
            stable_sigma_p(phi)  # raises, and says why
        return config

    def _number(self, name: str, params: Mapping[str, float]) -> float:
        axis = self.axes[name]
        return params[name] if isinstance(axis, Range) else axis

    def _clip(self, name: str, value: float) -> float:
        axis = self.axes[name]
        return min(max(value, axis.low), axis.high) if isinstance(axis, Range) else axis


def _with_scale(plan: FamilyPlan) -> FamilyPlan:
    """The plan with another name of the scale (sine: ``omega``) turned into a fixed ``sigma_a``."""
    names = [name for name in family_of(plan.family).scale_names() if name in plan.parameters]
    if not names:
        return plan
    if plan.sigma_a is not None:
        raise ValueError(
            f"{plan.family} got both sigma_a {plan.sigma_a!r} and {names[0]} {plan.parameters[names[0]]!r}"
        )
    phi = activation(plan.family, None, **plan.parameters)
    rest = {name: value for name, value in plan.parameters.items() if name not in names}
    return replace(plan, parameters=rest, sigma_a=phi.sigma_a)


def _axis(asked: Axis, default: tuple[float, float]) -> Range | float:
    if asked is not None:
        return asked
    return Range(*default) if default[0] < default[1] else default[0]


def _share_first(choice: BiasChoice | None, ranges: Ranges) -> Range | float:
    """The first layer's bias share; 0 for the rules that have none (their bandwidth counts the whole layer)."""
    if choice is not None and choice.rule != "share":
        return 0.0
    return _axis(None if choice is None else choice.share, ranges.share_first)


def _share_hidden(choice: BiasChoice | None) -> Range | float:
    if choice is None or choice.rule != "share":
        return 0.0
    return _axis(choice.share, (0.0, 0.9))


def _rule(rule: str, share: float) -> BiasRule:
    if rule != "share":
        return BiasRule(rule)
    return BiasRule("share", share) if share > 0.0 else BiasRule("zero")


def _check(family: str, name: str, axis: Range | float) -> None:
    low, high = (axis.low, axis.high) if isinstance(axis, Range) else (axis, axis)
    share = name in LINEAR
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{name} of {family} must be finite, got {low!r} to {high!r}")
    if low > high or (isinstance(axis, Range) and low == high):
        raise ValueError(f"{name} of {family} must have low < high, got {low!r} to {high!r}")
    if (share and not 0.0 <= low <= high <= LARGEST_SHARE) or (not share and low <= 0.0):
        limits = f"lie in [0, {LARGEST_SHARE}]" if share else "be positive"
        raise ValueError(f"{name} of {family} must {limits}, got {low!r} to {high!r}")
