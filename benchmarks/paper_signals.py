"""The supplement's comparisons, small: images, the gap as sigma_a shrinks, sound, and the best sigma_p against depth.

Every cell is one training with Adam by the CPU executor; its value is the PSNR over all points at the last step.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import torch
from scipy.stats import t as student

from benchmarks.paper_data import names, signal_of
from benchmarks.paper_store import Row, Store
from vi3nr.activations import Activation, activation
from vi3nr.baselines import baseline_config
from vi3nr.config import BiasRule, InitConfig
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Member, Recipe
from vi3nr.profile import vi3nr_config
from vi3nr.signals import Signal
from vi3nr.spectrum import spectral_extent
from vi3nr.theory import stable_sigma_p

WIDTH, HIDDEN = 64, 3
STEPS, LEARNING_RATE = 250, 1e-3
QUICK_STEPS = 3
SEEDS = (0, 1, 2)
SIGMA_A = 0.05
SHRINKING = (0.1, 0.05, 0.025, 0.0125)
GAP_ARMS = ("N(0, 1)", "PyTorch default", "closed form, zero")
GAP_SEEDS = (0, 1)
WIDE_RHO, WIDE_SHARE = 12.0, 0.6  # a first layer of its own, as docs/search-constants.md has it for photographs
BASELINES = {"N(0, 1)": "normal", "PyTorch default": "pytorch_default"}
IMAGE_ARMS = (
    "N(0, 1)",
    "PyTorch default",
    "closed form, zero",
    "Monte Carlo, zero",
    "closed form, like_weights",
    "closed form, share 0.3",
    "closed form, torch_default (hidden)",
    "closed form, nn.Linear's biases left",
    "closed form, first layer apart",
)
REFERENCE = "closed form, zero"
DEPTHS = (2, 3, 5, 8)
RHOS = (0.5, 0.9, 1.2, 1.5538, 2.0, 2.5, 4.0, 7.0)
DEPTH_VARIANTS = ("one sigma_p", "first layer apart")
DEPTH_SEEDS, DEPTH_STEPS = (0, 1), 200
AUDIO_WIDTH, AUDIO_STEPS, AUDIO_BATCH = 256, 500, 1024
AUDIO_FAMILIES = (("gaussian", 0.01, 1e-3), ("sine", 1.0 / 50.0, 2e-4))  # sigma_a and learning rate
AUDIO_ARMS = ("N(0, 1)", "one sigma_p", "rho_first 30", "first layer apart")
AUDIO_SEEDS = (0, 1)


def train(signal: Signal, config: InitConfig, seed: int, steps: int, rate: float, batch: int | None = None) -> Row:
    """PSNR in dB at the last step."""
    begin = time.perf_counter()
    recipe = Recipe(steps, batch_size=batch)
    ensemble = CpuEnsemble(signal, widths=config.widths, family=config.family, recipe=recipe, capacity=1)
    ensemble.admit(Member("cell", config, seed, rate, steps))
    report = ensemble.advance(steps)[0]
    return {"psnr": round(report.score, 4), "seconds": round(time.perf_counter() - begin, 1)}


def image_config(arm: str, phi: Activation, widths: tuple[int, ...], second: float) -> InitConfig:
    if arm in BASELINES:
        return baseline_config(BASELINES[arm], phi, widths)
    sigma_p = stable_sigma_p(phi).sigma_p or phi.sigma_a
    zero = BiasRule()
    hidden, first, own_first = {
        "closed form, zero": (zero, zero, None),
        "Monte Carlo, zero": (zero, zero, None),
        "closed form, like_weights": (BiasRule("like_weights"), BiasRule("like_weights"), None),
        "closed form, share 0.3": (BiasRule("share", 0.3), BiasRule("share", 0.3), None),
        "closed form, torch_default (hidden)": (BiasRule("torch_default"), zero, None),
        "closed form, nn.Linear's biases left": (zero, zero, None),
        "closed form, first layer apart": (zero, BiasRule("share", WIDE_SHARE), WIDE_RHO * phi.sigma_a),
    }[arm]
    config = vi3nr_config(
        phi,
        widths,
        sigma_p=sigma_p,
        sigma_p_first=own_first,
        input_second_moment=second,
        bias=hidden,
        bias_first=first,
        method="monte_carlo" if arm.startswith("Monte Carlo") else "analytic",
    )
    return with_torch_biases(config) if arm.endswith("left") else config


def with_torch_biases(config: InitConfig) -> InitConfig:
    """The same weights, and on top of them the biases that nn.Linear has when only its weights are initialised."""
    layers = [
        replace(layer, bias_std=1.0 / math.sqrt(3 * layer.fan_in), bias_bound=1.0 / math.sqrt(layer.fan_in))
        for layer in config.layers
    ]
    return replace(config, layers=tuple(layers))


def run_images(store: Store, *, quick: bool = False) -> list[Row]:
    """Gaussian networks on photographs: every arm at sigma_a 0.05, and three of them as sigma_a shrinks."""
    rows = []
    tasks = [(SIGMA_A, arm, seed) for arm in IMAGE_ARMS for seed in SEEDS]
    tasks += [(a, arm, seed) for a in SHRINKING for arm in GAP_ARMS for seed in GAP_SEEDS if a != SIGMA_A]
    if quick:
        tasks = [task for task in tasks if task[2] == 0][:3]
    pictures, _ = names(store.holds_results)
    for name in pictures[: 1 if quick else None]:
        for sigma_a, arm, seed in tasks:
            key, steps = f"{name}/{arm}/{sigma_a}/{seed}", QUICK_STEPS if quick else STEPS
            found = store.cell(key, _image_cell, name, arm, sigma_a, seed, steps)
            rows.append({"signal": name, "arm": arm, "sigma_a": sigma_a, "seed": seed, **found})
    return rows


def _image_cell(name: str, arm: str, sigma_a: float, seed: int, steps: int) -> Row:
    signal = signal_of(name)
    widths = (2, *[WIDTH] * (HIDDEN + 1), 3)
    config = image_config(arm, activation("gaussian", sigma_a), widths, signal.input_second_moment)
    return train(signal, config, seed, steps, LEARNING_RATE)


def run_audio(store: Store, *, quick: bool = False) -> list[Row]:
    """Sound, 3 hidden layers of 256: each init with zero biases, and with biases like the weights."""
    _, name = names(store.holds_results)
    rows = []
    tasks = [(*one, arm, bias) for one in AUDIO_FAMILIES for arm in AUDIO_ARMS for bias in ("zero", "like_weights")]
    for family, sigma_a, rate, arm, bias in tasks[: 2 if quick else None]:
        for seed in AUDIO_SEEDS[: 1 if quick else None]:
            key, steps = f"{name}/{family}/{arm}/{bias}/{seed}", QUICK_STEPS if quick else AUDIO_STEPS
            found = store.cell(key, _audio_cell, name, activation(family, sigma_a), arm, bias, seed, steps, rate)
            rows.append({"signal": name, "family": family, "arm": arm, "bias": bias, "seed": seed, **found})
    return rows


def _audio_cell(name: str, phi: Activation, arm: str, bias: str, seed: int, steps: int, rate: float) -> Row:
    signal = signal_of(name)
    return train(signal, audio_config(arm, phi, bias, signal), seed, steps, rate, AUDIO_BATCH)


def audio_config(arm: str, phi: Activation, bias: str, signal: Signal) -> InitConfig:
    """``N(0, 1)`` draws weights of std 1 whatever the layer; the others keep sigma_p, the last two with a first layer
    of its own: rho_first 30, or as wide as the signal's spectrum: 0.7 times its 95 % frequency, the middle of the range
    that sound wants.
    """
    widths = (1, *[AUDIO_WIDTH] * (HIDDEN + 1), 1)
    if arm.startswith("N(0, 1)"):
        plain = baseline_config("normal", phi, widths)
        std = 1.0 if bias == "like_weights" else 0.0
        layers = tuple(replace(layer, bias_std=std, bias_bound=None) for layer in plain.layers)
        return replace(plain, layers=layers, bias_distribution="normal")
    rho_first = {"one sigma_p": None, "rho_first 30": 30.0, "first layer apart": 0.7 * spectral_extent(signal, 0.95)}[
        arm
    ]
    rule = BiasRule(bias)
    return vi3nr_config(
        phi,
        widths,
        sigma_p=stable_sigma_p(phi).sigma_p or 0.9 * phi.sigma_a,
        sigma_p_first=None if rho_first is None else rho_first * phi.sigma_a,
        input_second_moment=signal.input_second_moment,
        bias=rule,
        bias_first=rule,
    )


def run_depth(store: Store, *, quick: bool = False) -> list[Row]:
    """Gaussian networks of 2 to 8 hidden layers over rho, zero hidden biases, on the first photograph."""
    name = names(store.holds_results)[0][0]
    tasks = [(depth, variant, rho) for depth in DEPTHS for variant in DEPTH_VARIANTS for rho in RHOS]
    if quick:
        tasks = [task for task in tasks if task[0] == DEPTHS[0] and task[2] == RHOS[0]]
    rows = []
    for depth, variant, rho in tasks:
        for seed in DEPTH_SEEDS[: 1 if quick else None]:
            key, steps = f"{name}/{variant}/{depth}/{rho}/{seed}", QUICK_STEPS if quick else DEPTH_STEPS
            found = store.cell(key, _depth_cell, name, variant, depth, rho, seed, steps)
            rows.append({"signal": name, "variant": variant, "depth": depth, "rho": rho, "seed": seed, **found})
    return rows


def _depth_cell(name: str, variant: str, depth: int, rho: float, seed: int, steps: int) -> Row:
    signal = signal_of(name)
    apart = variant == "first layer apart"
    config = vi3nr_config(
        activation("gaussian", SIGMA_A),
        (2, *[WIDTH] * (depth + 1), 3),
        sigma_p=rho * SIGMA_A,
        sigma_p_first=WIDE_RHO * SIGMA_A if apart else None,
        input_second_moment=signal.input_second_moment,
        bias=BiasRule(),
        bias_first=BiasRule("share", WIDE_SHARE) if apart else BiasRule(),
    )
    return train(signal, config, seed, steps, LEARNING_RATE)


def mean_and_interval(values: list[float]) -> tuple[float, float]:
    """Mean, and half the width of Student's 95 % interval; NaN for a single value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, math.nan
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, float(student.ppf(0.975, len(values) - 1)) * error


def set_up_torch() -> None:
    """One thread, and no denormals: they are slow and carry nothing here."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
