"""Variance-informed initialisation for implicit neural representations (after VI3NR, CVPR 2025).

    from vi3nr import INR, InitConfig
    config = InitConfig.from_json(open("best.json").read())
    network = INR.from_config(config, seed=0)

The theory half (activations, moments, theory, profile, baselines, config, signals, metrics) needs NumPy and SciPy and
never imports torch; the training half (initialisers, networks, ensemble) does. Names are imported on first use.

Axes, wherever they appear in comments:

    point      a coordinate and its value; images row by row
    in_dim     a coordinate's entries, (x, y) for images; out_dim: a value's, e.g. colour channels
    unit       a neuron of a layer; a weight is (fan_out, fan_in), as in torch
    member     one network of an ensemble
    function   several integrands computed at once; node, sample, panel: where they are evaluated

``sigma_a`` is an activation's scale, ``sigma_p`` the std of pre-activations at initialisation, ``rho`` their ratio
``sigma_p / sigma_a``; a layer's fan-in is M, its input's second moment E x^2.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vi3nr.activation_module import ActivationModule
    from vi3nr.activations import Activation, activation
    from vi3nr.baselines import baseline_config, baseline_label, customary_baselines
    from vi3nr.config import BiasRule, Encoding, InitConfig, LayerInit, Stability
    from vi3nr.diagnostics import diagnose
    from vi3nr.families_custom import custom_activation
    from vi3nr.initialisers import draw_parameters, generator_for, initialize_, vi3nr_normal_, vi3nr_uniform_
    from vi3nr.metrics import psnr, psnr_from_mse
    from vi3nr.network_files import load_safetensors, save_safetensors, siren_state_dict
    from vi3nr.networks import INR
    from vi3nr.profile import vi3nr_config
    from vi3nr.propagation import forecast, per_layer_gradient_factor
    from vi3nr.signals import Signal, image_signal
    from vi3nr.snippets import pytorch_script
    from vi3nr.theory import condition, gain_squared, stability_bias_variance, stable_sigma_p

__all__ = [
    "INR",
    "Activation",
    "ActivationModule",
    "BiasRule",
    "Encoding",
    "InitConfig",
    "LayerInit",
    "Signal",
    "Stability",
    "activation",
    "baseline_config",
    "baseline_label",
    "condition",
    "custom_activation",
    "customary_baselines",
    "diagnose",
    "draw_parameters",
    "forecast",
    "gain_squared",
    "generator_for",
    "image_signal",
    "initialize_",
    "load_safetensors",
    "per_layer_gradient_factor",
    "psnr",
    "psnr_from_mse",
    "pytorch_script",
    "save_safetensors",
    "siren_state_dict",
    "stability_bias_variance",
    "stable_sigma_p",
    "vi3nr_config",
    "vi3nr_normal_",
    "vi3nr_uniform_",
]

_HOMES = {
    "activation_module": ("ActivationModule",),
    "activations": ("Activation", "activation"),
    "baselines": ("baseline_config", "baseline_label", "customary_baselines"),
    "config": ("BiasRule", "Encoding", "InitConfig", "LayerInit", "Stability"),
    "diagnostics": ("diagnose",),
    "families_custom": ("custom_activation",),
    "initialisers": ("draw_parameters", "generator_for", "initialize_", "vi3nr_normal_", "vi3nr_uniform_"),
    "metrics": ("psnr", "psnr_from_mse"),
    "network_files": ("load_safetensors", "save_safetensors", "siren_state_dict"),
    "networks": ("INR",),
    "profile": ("vi3nr_config",),
    "propagation": ("forecast", "per_layer_gradient_factor"),
    "signals": ("Signal", "image_signal"),
    "snippets": ("pytorch_script",),
    "theory": ("condition", "gain_squared", "stability_bias_variance", "stable_sigma_p"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'vi3nr' has no attribute {name!r}")
    return getattr(import_module(f"vi3nr.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
