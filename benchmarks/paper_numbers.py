"""Numbers that the paper, its authors' code or others state, beside this library's.

Every entry has the stated value as it is written, so that a difference of rounding can be told from a wrong number: a
value *agrees* when it lies within one unit of the last digit stated. Families that this version lacks are listed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.paper_toy import CosineBump
from vi3nr.activations import Activation, activation, families
from vi3nr.baselines import baseline_config
from vi3nr.config import BiasRule
from vi3nr.moments import moments
from vi3nr.monte_carlo import sampled_expectation
from vi3nr.profile import vi3nr_config
from vi3nr.propagation import fixed_point_variance, forecast, per_layer_gradient_factor
from vi3nr.quadrature import normal_expectation
from vi3nr.theory import condition, gain_squared, stability_bias_variance, stable_sigma_p

FAN_IN = 256  # of the usual inits' figures
A = 0.05
S_10 = 0.1 / math.sqrt(2.0)  # exp(-(s x)^2) at s 10


@dataclass(frozen=True)
class Number:
    """One number: what it is, as stated, and ours."""

    name: str
    stated: str
    ours: float

    @property
    def deviation(self) -> float:
        """Relative."""
        return abs(self.ours - float(self.stated)) / abs(float(self.stated))

    @property
    def agrees(self) -> bool:
        """Within one unit of the last digit stated."""
        mantissa, _, exponent = self.stated.lower().partition("e")
        decimals = len(mantissa.partition(".")[2])
        unit = 10.0 ** (int(exponent or 0) - decimals)
        return abs(self.ours - float(self.stated)) <= unit * (1.0 + 1e-9)


@dataclass(frozen=True)
class Golden:
    """A row of the table of golden values: gain^2 and cond at sigma_p 1, the root, gain^2 at the root."""

    label: str
    family: str
    parameters: dict[str, float]
    gain: str
    cond: str
    root: str | None = None
    gain_at_root: str | None = None


GOLDEN = (
    Golden("sin(x)/x", "sinc", {"sigma_a": 1.0}, "1.309", ".0856", "2.223", "10.69"),
    Golden("torch.sinc(8x)", "sinc", {"sigma_a": 1 / (8 * math.pi)}, "20.4", "204.", ".0885", ".0169"),
    Golden("cos(x) exp(-x^2)", "", {}, "2.677", "1.383", ".8705", "1.804"),
    Golden("real Gabor, w 20, s 10", "gabor", {"omega": 20.0, "sigma_a": S_10}, "35.3", "452.", ".0548", ".00666"),
    Golden("complex Gabor, w 20, s 10", "wire", {"omega": 20.0, "sigma_a": S_10}, "20.0", "500.", ".0473", ".00308"),
    Golden("quadratic", "quadratic", {"sigma_a": 1.0}, "2.000", ".437", "1.458", "5.641"),
    Golden("multi-quadratic", "multi_quadratic", {"sigma_a": 1.0}, "1.525", ".131", "2.639", "19.36"),
    Golden("laplacian", "laplacian", {"sigma_a": 1.0}, "2.974", "1.000", "1.000", "2.974"),
    Golden("super-Gaussian, b 2", "super_gaussian", {"sigma_a": 1.0, "b": 2.0}, "2.236", ".800", "1.0987", "2.914"),
    Golden("exp(-sin x)", "exp_sin", {"sigma_a": 1.0}, ".478", ".411", "1.690", "1.255"),
    Golden("sigmoid", "sigmoid", {}, "3.409", ".153", "6.755", "103."),
    Golden("tanh", "tanh", {}, "2.536", "1.178"),
    Golden("sin x", "sine", {"sigma_a": 1.0}, "2.313", "1.313"),
    Golden("sin 30x", "sine", {"sigma_a": 1 / 30}, "2.000", "900."),
    Golden("relu", "relu", {}, "2.", "1."),
)


def numbers() -> tuple[list[Number], list[str]]:
    """All that can be computed, and what is missing."""
    found: list[Number] = []
    missing: list[str] = []
    for golden in GOLDEN:
        if golden.family and golden.family not in families():
            missing.append(golden.label)
            continue
        phi = activation(golden.family, **golden.parameters) if golden.family else CosineBump()
        found += golden_numbers(golden, phi)
    for part in (formula_numbers, usual_inits, stability_numbers):
        found += part()
    for family, make in CURIOSITIES.items():
        if family in families():
            found += make()
        else:
            missing.append(family)
    return found, missing


def golden_numbers(golden: Golden, phi: Activation) -> Iterator[Number]:
    yield Number(f"{golden.label}: gain^2 at sigma_p 1", golden.gain, gain_squared(phi, 1.0))
    yield Number(f"{golden.label}: cond at sigma_p 1", golden.cond, condition(phi, 1.0))
    if golden.root is not None and golden.gain_at_root is not None:
        root = stable_sigma_p(phi).sigma_p or math.nan
        yield Number(f"{golden.label}: root sigma_p", golden.root, root)
        yield Number(f"{golden.label}: gain^2 at the root", golden.gain_at_root, gain_squared(phi, root))


def formula_numbers() -> Iterator[Number]:
    """Section 1: the formulas at a point or two, the quadrature on our side; and the examples given for them."""
    first = vi3nr_config(activation("relu"), (2, 8, 1), sigma_p=0.7).layers[0]
    yield Number(
        "first layer, M 2, sigma_p 0.7: bound sigma_p sqrt(9/M)", *both(0.7 * math.sqrt(4.5), first.weight_bound)
    )
    yield Number("first layer, M 2, sigma_p 0.7: Var W = 3 sigma_p^2 / M", *both(0.735, first.weight_std**2))
    yield from weight_numbers()
    for s in (0.05, 1.0):
        told = moments(activation("gaussian", s), 1.0, method="quadrature")
        yield Number(f"gaussian, s {s:g}: E f = s / sqrt(s^2 + 1)", *both(s / math.sqrt(s * s + 1), told.mean))
        second = s / math.sqrt(s * s + 2)
        yield Number(f"gaussian, s {s:g}: E f^2 = s / sqrt(s^2 + 2)", *both(second, told.second_moment))
    for rho in (0.3, 2.0):
        told = moments(activation("sine", 1.0), rho, method="quadrature")
        stated = (1.0 - math.exp(-2.0 * rho * rho)) / 2.0
        yield Number(f"sine, rho {rho:g}: E f^2 = (1 - exp(-2 rho^2)) / 2", *both(stated, told.second_moment))
        t = rho * rho
        cond = t * told.slope_second_moment / told.second_moment
        yield Number(f"sine, rho {rho:g}: cond = t coth t", *both(t / math.tanh(t), cond))
    for rho in (1.0, 20.0):
        stated = math.sqrt((1.0 + 2.0 * rho * rho) / math.sqrt(1.0 + 4.0 * rho * rho) - 1.0)
        yield Number(f"Monte Carlo, gaussian, rho {rho:g}: sqrt(n) times the error", *both(stated, spread(rho)))
    for rho, stated in ((1.0, "0.06"), (20.0, "0.44")):
        yield Number(f"Monte Carlo, 10^6, gaussian, rho {rho:g}: standard error in %", stated, monte_carlo_error(rho))
    for sigma_p, stated in ((0.33, "1.02"), (0.41, "1.96")):
        yield Number(
            f"gaussian 0.05, sigma_p {sigma_p}: M Var W", stated, gain_squared(activation("gaussian", A), sigma_p)
        )
    for label, omega, stated in (("sin(pi/2 x)", math.pi / 2, "2."), ("sin 30x", 30.0, "2."), ("sin x", 1.0, "2.31")):
        yield Number(f"{label}, sigma_p 1: M Var W", stated, gain_squared(activation("sine", omega=omega), 1.0))
    sine = activation("sine", omega=30.0)
    settled = fixed_point_variance(sine, 2.0 / 900.0) or math.nan
    yield Number("SIREN's code: fixed point of rho", "0.893", 30.0 * math.sqrt(settled))
    siren = baseline_config("siren", sine, (2, FAN_IN, FAN_IN, 1)).layers
    yield Number("SIREN's code: rho of the first layer, D 2", "7.07", 30.0 * siren[0].weight_std * math.sqrt(2.0 / 3.0))
    yield Number("SIREN's code: M w^2 Var W of a hidden layer", *both(2.0, FAN_IN * (30.0 * siren[1].weight_std) ** 2))


def weight_numbers() -> Iterator[Number]:
    """What Eq. 4 and the backward condition make of a hidden layer of a config, 64 to 48 or 60 units."""
    s, sigma_p = 0.5, 0.7
    hidden = vi3nr_config(activation("gaussian", s * sigma_p), (2, 64, 48, 1), sigma_p=sigma_p).layers[1]
    stated = sigma_p**2 * math.sqrt(s * s + 2.0) / (64 * s)
    yield Number("gaussian, s 0.5, M 64: Var W = sigma_p^2 sqrt(s^2 + 2) / (M s)", *both(stated, hidden.weight_std**2))
    second = moments(activation("gaussian", s), 1.0, method="quadrature").second_moment
    stated = sigma_p * math.sqrt(3.0 / (64 * second))
    yield Number("gaussian, s 0.5, M 64: bound sigma_p sqrt(3 / (M E f^2))", *both(stated, hidden.weight_bound))
    sine = activation("sine", 1.0)
    hidden = vi3nr_config(sine, (2, 64, 60, 1), sigma_p=1.0, bias=BiasRule("stability")).layers[1]
    stated = 1.0 / (60 * moments(sine, 1.0, method="quadrature").slope_second_moment)
    yield Number("sine, 64 to 60 units: Var W = 1 / (M' E f'^2)", *both(stated, hidden.weight_std**2))
    told = condition(sine, 1.0, 60 / 64)
    yield Number("sine, 64 to 60 units: Var b = sigma_p^2 (1 - 1/cond)", *both(1.0 - 1.0 / told, hidden.bias_std**2))
    for what, found in (("gain^2", gain_squared), ("cond", condition)):
        yield Number(f"f(x) = x (Xavier): {what} at sigma_p 1", "1.", found(activation("1*x"), 1.0))


def spread(rho: float) -> float:
    """Std of exp(-u^2) over its mean, u ~ N(0, rho^2), by quadrature."""
    square, fourth = normal_expectation(lambda u: np.stack([np.exp(-u * u), np.exp(-2.0 * u * u)]), rho).values
    return math.sqrt(fourth / square**2 - 1.0)


def both(stated: float, ours: float | None) -> tuple[str, float]:
    """A formula's value with all its digits, and ours."""
    return f"{stated:.13e}", math.nan if ours is None else ours


def monte_carlo_error(rho: float) -> float:
    """In percent of E f^2, as the sampler itself estimates it."""

    def square(u: np.ndarray) -> np.ndarray:
        return np.exp(-u * u)[None]  # (function, sample)

    estimate = sampled_expectation(square, rho, 1_000_000, generator=np.random.default_rng(0))
    return 100.0 * float(estimate.standard_errors[0] / estimate.values[0])


def usual_inits() -> Iterator[Number]:
    """What usual inits give a Gaussian network: the gradient's factor per layer."""
    wide = activation("gaussian", 1.0 / (30.0 * math.sqrt(2.0)))
    narrow = activation("gaussian", A)
    rules: tuple[tuple[str, str, Activation, float, float], ...] = (
        ("PyTorch default, exp(-(30x)^2), M 256", "27.5", wide, 1.0 / 3.0, 1.0 / (3.0 * FAN_IN)),
        ("PyTorch default, sigma_a 0.05", "10", narrow, 1.0 / 3.0, 1.0 / (3.0 * FAN_IN)),
        ("Xavier, sigma_a 0.05", "21", narrow, 1.0, 0.0),
        ("Kaiming, sigma_a 0.05", "34", narrow, 2.0, 0.0),
        ("U(+-0.1), M 256, sigma_a 0.05", "19", narrow, FAN_IN * 0.01 / 3.0, 0.0),
        ("N(0, 1), M 256, sigma_a 0.05", "868", narrow, float(FAN_IN), 0.0),
        ("SIREN's hidden rule, w 30, sigma_a 0.05", "0.16", narrow, 2.0 / 900.0, 0.0),
    )
    for name, stated, phi, gain, bias in rules:
        factor = per_layer_gradient_factor(phi, gain, bias_variance=bias)
        yield Number(f"gradient factor: {name}", stated, math.nan if factor is None else factor)


def stability_numbers() -> Iterator[Number]:
    """Section 2: the Gaussian's exact root, the sine's bias, and that both conditions then hold in a whole network."""
    gaussian, sine = activation("gaussian", A), activation("sine", 1.0)
    root = stable_sigma_p(gaussian).sigma_p or math.nan
    yield Number("gaussian: root over sigma_a", "1.5538", root / A)
    yield Number("gaussian: (root / sigma_a)^2 = 1 + sqrt 2", *both(1.0 + math.sqrt(2.0), (root / A) ** 2))
    yield Number("gaussian: gain^2 at the root over sigma_p^2", "2.4142", gain_squared(gaussian, root) / root**2)
    bound = math.sqrt(3.0 / moments(sine, 1.0).slope_second_moment)
    yield Number("Combette et al., sine: c_w (uniform bound)", "2.299", bound)
    yield Number("Combette et al., sine: c_b (std)", "0.488", math.sqrt(stability_bias_variance(sine, 1.0)))
    deep = forecast(vi3nr_config(gaussian, (2, *[FAN_IN] * 20, FAN_IN)))
    yield Number("20 layers at the root: Var z / sigma_p^2", *both(1.0, deep[-1].preactivation_variance / root**2))
    yield Number("20 layers at the root: Var g, first over last", *both(1.0, deep[0].gradient_variance))
    biased = forecast(vi3nr_config(sine, (2, *[FAN_IN] * 20, FAN_IN), sigma_p=1.0, bias=BiasRule("stability")))
    yield Number("sine, 20 layers, stability bias: Var z / sigma_p^2", *both(1.0, biased[-1].preactivation_variance))
    yield Number(
        "the same: Var g, first over last hidden",
        *both(1.0, biased[0].gradient_variance / biased[-2].gradient_variance),
    )
    yield Number("relu: cond at sigma_p 7", "1.", condition(activation("relu"), 7.0))
    sigmoid = activation("sigmoid")
    yield Number("sigmoid: root, by the authors' scan", "6.8", stable_sigma_p(sigmoid).sigma_p or math.nan)
    yield Number("sigmoid: gain^2 at 6.8, by their 10^6 samples", "104.28", gain_squared(sigmoid, 6.8))


def largest_condition(family: str) -> float:
    phi = activation(family)
    return max(condition(phi, float(sigma_p)) for sigma_p in np.geomspace(1e-2, 1e2, 200))


def finer_numbers() -> Iterator[Number]:
    phi = activation("finer", omega=1.0)
    lowest = min(condition(phi, float(sigma_p)) for sigma_p in np.geomspace(0.05, 2.0, 400))
    yield Number("finer, w 1: lowest cond", "0.738", lowest)
    yield Number("finer, w 1: root sigma_p", "0.5304", stable_sigma_p(phi).sigma_p or math.nan)


CURIOSITIES: dict[str, Callable[[], Iterator[Number]]] = {
    "gelu": lambda: iter([Number("gelu: largest cond", "1.07", largest_condition("gelu"))]),
    "silu": lambda: iter([Number("silu: largest cond", "1.07", largest_condition("silu"))]),
    "finer": finer_numbers,
}


def root_times() -> dict[str, float]:
    """Processor time in ms to find each stable sigma_p, the least of 15; a new ratio each time, so none is cached."""
    found = {}
    for family in families():
        times = []
        for turn in range(16):
            begin = time.process_time()
            stable_sigma_p(activation(family), 1.0 + 1e-9 * turn)
            times.append(1e3 * (time.process_time() - begin))
        found[family] = min(times[1:])  # the first one loads SciPy's functions
    return found


def table(found: list[Number], missing: list[str], times: dict[str, float]) -> str:
    width = max(len(one.name) for one in found)
    lines = [f"{'number':<{width}}{'stated':>12}{'ours':>12}{'deviation':>11}"]
    for one in found:
        stated = f"{float(one.stated):.6g}" if "e" in one.stated else one.stated
        mark = "" if one.agrees else "  differs"
        lines.append(f"{one.name:<{width}}{stated:>12}{one.ours:>12.6g}{one.deviation:>11.1e}{mark}")
    worst = max(found, key=lambda one: one.deviation)
    lines.append(f"largest relative deviation: {worst.deviation:.2e} ({worst.name}, stated as {worst.stated})")
    agree = sum(one.agrees for one in found)
    lines.append(f"{agree} of {len(found)} agree to the last digit stated")
    slowest = max(times, key=lambda family: times[family])
    lines.append(f"stable sigma_p: at most {times[slowest]:.2f} ms of processor time, {slowest}")
    lines.append(f"missing families: {', '.join(missing) or 'none'}")
    return "\n".join(lines)
