"""The arms of a confirmation: finalists of the search and usual initialisations, as configs with names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vi3nr.activations import activation, family_of
from vi3nr.baselines import baseline_config, baseline_label, customary_baselines
from vi3nr.config import InitConfig

__all__ = ["ArmSpec", "bias_label", "customary_arms", "finalist_arm", "same_scale_arms"]

ONE_FAMILY_ONLY = {"siren": "sine"}
CUSTOMARY_SCALE_ONLY = ("normal",)  # its rho is in the hundreds at any sigma_a that wins: no second try


@dataclass(frozen=True)
class ArmSpec:
    """An init config to confirm. ``trial`` is the number of the trial that proposed it."""

    name: str
    kind: str  # "finalist" or "baseline"
    config: InitConfig
    trial: int | None = None


def finalist_arm(family: str, number: int, config: InitConfig) -> ArmSpec:
    """The arm of a trial that was found to be among the best."""
    return ArmSpec(f"{family} trial {number}", "finalist", config, number)


def customary_arms(
    family: str, parameters: Mapping[str, float], widths: Sequence[int], rules: Sequence[str] | None
) -> tuple[ArmSpec, ...]:
    """The usual initialisations at their customary ``sigma_a``.

    Args:
        family: the activation family.
        parameters: its parameters besides the scale.
        widths: layer widths from the coordinates to the values.
        rules: names of usual rules, or None for the customary ones. Rules made for another family are left out.
    """
    usual = customary_baselines(family)
    if rules is not None:
        scale = family_of(family).customary_sigma_a[0]
        usual = tuple(
            pair
            for rule in rules
            if ONE_FAMILY_ONLY.get(rule, family) == family
            for pair in ([pair for pair in usual if pair[0] == rule] or [(rule, scale)])
        )
    return _distinct(_baseline(family, parameters, widths, rule, sigma_a) for rule, sigma_a in usual)


def same_scale_arms(customary: Sequence[ArmSpec], sigma_a: float, widths: Sequence[int]) -> tuple[ArmSpec, ...]:
    """The same rules at the winner's ``sigma_a``, so that a better scale alone is not taken for a better init."""
    again: list[ArmSpec] = []
    for arm in customary:
        config = arm.config
        if family_of(config.family).has_scale and config.rule not in CUSTOMARY_SCALE_ONLY:
            again.append(_baseline(config.family, config.parameters, widths, config.rule, sigma_a))
    return tuple(arm for arm in _distinct(again) if arm.name not in {known.name for known in customary})


def bias_label(config: InitConfig) -> str:
    """The first layer's bias rule, with the share when it is one: ``share 0.6``."""
    rule = config.bias_first
    return rule.rule if rule.share is None else f"share {rule.share:.3g}"


def _baseline(
    family: str, parameters: Mapping[str, float], widths: Sequence[int], rule: str, sigma_a: float
) -> ArmSpec:
    phi = activation(family, sigma_a, **parameters)
    return ArmSpec(f"{family} {baseline_label(rule, phi)}", "baseline", baseline_config(rule, phi, widths))


def _distinct(arms: Iterable[ArmSpec]) -> tuple[ArmSpec, ...]:
    """Arms with names of their own, the first of each."""
    return tuple({arm.name: arm for arm in reversed(list(arms))}.values())[::-1]
