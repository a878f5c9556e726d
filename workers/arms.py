"""The arms of a confirmation: finalists of the search and usual initialisations, as configs with names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vi3nr.activations import activation, family_of
from vi3nr.baselines import ONE_FAMILY_ONLY, baseline_config, baseline_label, customary_baselines, scale_label
from vi3nr.config import InitConfig
from vi3nr.profile import vi3nr_config

__all__ = ["ArmSpec", "as_found_arms", "bias_label", "customary_arms", "finalist_arm", "theory_arm"]

CUSTOMARY_SCALE_ONLY = ("normal",)  # its rho is in the hundreds at any sigma_a that wins: no second try


@dataclass(frozen=True)
class ArmSpec:
    """An init config to confirm, and the rate that it is trained at. ``trial`` is the number of the one that proposed
    it.
    """

    name: str
    kind: str  # "finalist", "baseline" or "theory"
    config: InitConfig
    learning_rate: float
    trial: int | None = None


def finalist_arm(family: str, number: int, config: InitConfig, learning_rate: float) -> ArmSpec:
    """The arm of a trial that was found to be among the best."""
    return ArmSpec(f"{family} trial {number}", "finalist", config, learning_rate, number)


def customary_arms(
    family: str,
    parameters: Mapping[str, float],
    widths: Sequence[int],
    rules: Sequence[str] | None,
    learning_rate: float,
) -> tuple[ArmSpec, ...]:
    """The usual initialisations at their customary ``sigma_a``.

    Args:
        family: the activation family.
        parameters: its parameters besides the scale.
        widths: layer widths from the coordinates to the values.
        rules: names of usual rules, or None for the customary ones. Rules made for another family are left out.
        learning_rate: of the study, or what is customary where the study searches it.
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
    return _distinct(_baseline(family, parameters, widths, rule, sigma_a, learning_rate) for rule, sigma_a in usual)


def theory_arm(
    family: str, parameters: Mapping[str, float], widths: Sequence[int], moment: float, learning_rate: float
) -> ArmSpec:
    """VI3NR as published: the theory's own sigma_p in every layer, at the customary ``sigma_a``. No usual rule, and
    nothing that was searched: it says what the theory is worth by itself. ``moment`` is E x^2 of the coordinates.
    """
    phi = activation(family, family_of(family).customary_sigma_a[0], **parameters)
    config = vi3nr_config(phi, widths, input_second_moment=moment)
    return ArmSpec(f"{family} VI3NR by theory{scale_label(phi)}", "theory", config, learning_rate)


def as_found_arms(customary: Sequence[ArmSpec], found: ArmSpec, widths: Sequence[int]) -> tuple[ArmSpec, ...]:
    """The usual rules again, at the found arm's ``sigma_a`` and at its learning rate where that was searched: so that a
    better scale or a better rate alone is not taken for a better init.
    """
    again: list[ArmSpec] = []
    for arm in customary:
        config, rates = arm.config, dict.fromkeys((arm.learning_rate, found.learning_rate))
        scaled = family_of(config.family).has_scale and config.rule not in CUSTOMARY_SCALE_ONLY
        scales = dict.fromkeys((config.sigma_a, found.config.sigma_a if scaled else config.sigma_a))
        for sigma_a in scales:
            for rate in rates:
                one = _baseline(config.family, config.parameters, widths, config.rule, sigma_a, rate)
                again.append(one if rate == arm.learning_rate else replace(one, name=f"{one.name}, rate {rate:.2g}"))
    return tuple(arm for arm in _distinct(again) if arm.name not in {known.name for known in customary})


def bias_label(config: InitConfig) -> str:
    """The first layer's bias rule, with the share when it is one: ``share 0.6``."""
    rule = config.bias_first
    return rule.rule if rule.share is None else f"share {rule.share:.3g}"


def _baseline(
    family: str, parameters: Mapping[str, float], widths: Sequence[int], rule: str, sigma_a: float, rate: float
) -> ArmSpec:
    phi = activation(family, sigma_a, **parameters)
    return ArmSpec(f"{family} {baseline_label(rule, phi)}", "baseline", baseline_config(rule, phi, widths), rate)


def _distinct(arms: Iterable[ArmSpec]) -> tuple[ArmSpec, ...]:
    """Arms with names of their own, the first of each."""
    return tuple({arm.name: arm for arm in reversed(list(arms))}.values())[::-1]
