"""The authors' toy test: does the variance survive 100 layers of 1000 units, forward and backward?

No bias; 10,000 inputs ``z_0 = sigma_p randn``; ``z_i = W_i f(z_{i-1})``; a N(0, 1) gradient at the output. The errors
are SMAPE of Var z_100 against sigma_p^2, and of the gradient's variance at z_0 against 1:
``SMAPE(a, b) = 2 |a - b| / (a + b)``, from 0 to 200 %. Each activation with a customary gain, with Eq. 4 at
sigma_p = 1, with Eq. 4 at the stable sigma_p, and where the theory has none also with the stability bias.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from benchmarks.paper_store import Row, Store
from vi3nr.activations import Activation, activation
from vi3nr.families import UnitMoments
from vi3nr.moments import moments
from vi3nr.theory import gain_squared, stability_bias_variance, stable_sigma_p

ROWS = 1000  # points that pass at a time: what has to be kept of them for the way back is layers x ROWS x units
NEAR_ZERO = 0.1  # rho that stands for "sigma_p tends to 0" where that is the stable answer
RESCALE_EVERY = 4  # layers: no factor here is beyond 1e3, so the gradient's std stays within 1e6
SIREN_GAIN = math.sqrt(2.0)  # the paper's reading of SIREN: sin(30 x) at sigma_p 1 (supplement, section 7)


@dataclass(frozen=True)
class CosineBump(Activation):
    """cos(x) exp(-x^2), of the authors' list; written here as a user writes an activation of their own."""

    sigma_a: float = 1.0

    family = "cosine_bump"
    label = "cos(x) exp(-x^2)"
    formula = "cos(x) exp(-x^2)"
    customary_sigma_a = (1.0,)
    sigma_a_range = (1.0, 1.0)
    learning_rate = 1e-3
    closed_form = ()

    def phi(self, u: Any, xp: ModuleType) -> Any:
        """The unit function."""
        return xp.cos(u) * xp.exp(xp.clip(-u * u, -80.0, None))

    def slope(self, u: Any, xp: ModuleType) -> Any:
        """phi'(u)."""
        return -(xp.sin(u) + 2.0 * u * xp.cos(u)) * xp.exp(xp.clip(-u * u, -80.0, None))

    def unit_moments(self, rho: float) -> UnitMoments:
        """None in closed form."""
        return UnitMoments()


ACTIVATIONS: dict[str, tuple[Activation, float, str]] = {  # with a customary gain and whose it is
    "tanh": (activation("tanh"), 5.0 / 3.0, "torch's calculate_gain"),
    "sigmoid": (activation("sigmoid"), 1.0, "torch's calculate_gain"),
    "relu": (activation("relu"), math.sqrt(2.0), "Kaiming"),
    "sin 30x": (activation("sine", 1.0 / 30.0), SIREN_GAIN / 30.0, "SIREN's code"),
    "gaussian 0.05": (activation("gaussian", 0.05), 1.0, "none is customary: Xavier's"),
    "sinc": (activation("sinc", 1.0), 1.0, "none is customary: Xavier's"),
    "cos(x) exp(-x^2)": (CosineBump(), 1.0, "none is customary: Xavier's"),
}


@dataclass(frozen=True)
class Setting:
    """One way to initialise all layers: M Var W, the biases' variance, and the sigma_p that is to be kept."""

    name: str
    note: str
    gain_squared: float
    bias_variance: float
    sigma_p: float


@dataclass(frozen=True)
class Size:
    """The test's size."""

    layers: int = 100
    units: int = 1000
    points: int = 10_000


FULL, QUICK = Size(), Size(layers=10, units=64, points=256)


def settings_of(phi: Activation, gain: float, origin: str) -> list[Setting]:
    settings = [Setting("fixed gain", f"gain {gain:.3g}, {origin}", gain * gain, 0.0, 1.0)]
    stable = stable_sigma_p(phi)
    if stable.kind == "any":  # ReLU: Kaiming's gain is Eq. 4's at every sigma_p, and every sigma_p is stable
        return settings
    settings.append(Setting("sigma_p = 1", "Eq. 4", gain_squared(phi, 1.0), 0.0, 1.0))
    sigma_p = stable.sigma_p or NEAR_ZERO * phi.sigma_a
    settings.append(Setting("stable", f"{stable.kind}: {sigma_p:.4g}", gain_squared(phi, sigma_p), 0.0, sigma_p))
    if stable.sigma_p is None:
        own = phi.sigma_a
        gain_back = 1.0 / moments(phi, own).slope_second_moment
        bias = stability_bias_variance(phi, own)
        settings.append(Setting("stability bias", f"sigma_p = sigma_a = {own:.4g}", gain_back, bias, own))
    return settings


def smape(log_ratio: float) -> float:
    """2 |a - b| / (a + b), given log(a / b), which may be far beyond what exp can hold."""
    return 2.0 * math.tanh(abs(log_ratio) / 2.0)


def predicted(phi: Activation, setting: Setting, layers: int) -> tuple[float, float]:
    """Log of Var z_n / sigma_p^2 and log of the gradient's variance at z_0, by the wide-network recursion."""
    variance, backward = setting.sigma_p**2, 0.0
    for _ in range(layers):
        found = moments(phi, math.sqrt(variance))
        backward += math.log(setting.gain_squared * found.slope_second_moment)
        variance = setting.gain_squared * found.second_moment + setting.bias_variance
    return math.log(variance / setting.sigma_p**2), backward


def measured(phi: Activation, setting: Setting, size: Size, seed: int) -> tuple[float, float]:
    """The same two of one network. The gradient is rescaled on its way: it is linear, and float32 ends at 1e38."""
    generator = torch.Generator().manual_seed(seed)
    bound = math.sqrt(3.0 * setting.gain_squared / size.units)
    shape = (size.units, size.units)
    weights = [torch.empty(shape).uniform_(-bound, bound, generator=generator) for _ in range(size.layers)]
    spread = math.sqrt(3.0 * setting.bias_variance)
    biases = [torch.empty(size.units).uniform_(-spread, spread, generator=generator) for _ in weights]
    outputs: list[float] = []  # mean of z_n^2 of each part
    gradients: list[float] = []  # log of the mean of g_0^2 of each part
    for begin in range(0, size.points, ROWS):
        rows = min(ROWS, size.points - begin)
        z = torch.empty(rows, size.units).normal_(0.0, setting.sigma_p, generator=generator)
        slopes = []
        for weight, bias in zip(weights, biases, strict=True):
            slopes.append(phi.derivative(z, torch))
            z = torch.addmm(bias, phi.value(z, torch), weight.t())
        outputs.append(mean_square(z))
        g = torch.empty(rows, size.units).normal_(generator=generator)
        log_square = 0.0
        for index in range(size.layers - 1, -1, -1):
            g = (g @ weights[index]).mul_(slopes[index])
            if index % RESCALE_EVERY == 0:
                square = mean_square(g)
                log_square += math.log(square)
                g.mul_(1.0 / math.sqrt(square))
        gradients.append(log_square)
    top = max(gradients)
    mean = sum(math.exp(value - top) for value in gradients) / len(gradients)  # the parts are of one size
    return math.log(sum(outputs) / len(outputs) / setting.sigma_p**2), top + math.log(mean)


def mean_square(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values)) ** 2 / values.numel()


def run(store: Store, size: Size, *, seed: int = 0) -> list[Row]:
    """Every activation and setting, from the store where it is there."""
    rows = []
    for name, (phi, gain, origin) in ACTIVATIONS.items():
        for setting in settings_of(phi, gain, origin):
            rows.append(store.cell(f"{name}, {setting.name}", lambda *of: _cell(*of, size, seed), name, phi, setting))
    return rows


def _cell(name: str, phi: Activation, setting: Setting, size: Size, seed: int) -> Row:
    begin = time.perf_counter()
    with torch.no_grad():
        forward, backward = measured(phi, setting, size, seed)
    told_forward, told_backward = predicted(phi, setting, size.layers)
    return {
        "activation": name,
        "setting": setting.name,
        "note": setting.note,
        "sigma_p": setting.sigma_p,
        "gain_squared": setting.gain_squared,
        "bias_variance": setting.bias_variance,
        "forward_smape": smape(forward),
        "backward_smape": smape(backward),
        "forward_log_ratio": forward,
        "backward_log_ratio": backward,
        "predicted_forward_log_ratio": told_forward,
        "predicted_backward_log_ratio": told_backward,
        "layers": size.layers,
        "units": size.units,
        "points": size.points,
        "seed": seed,
        "seconds": round(time.perf_counter() - begin, 1),
    }


def table(rows: list[Row]) -> str:
    head = (
        f"{'activation':<18}{'setting':<16}{'forward':>9}{'backward':>10}   {'gradient: log10':>15}{'theory':>9}  note"
    )
    lines = [head]
    for row in rows:
        logs = [row[key] / math.log(10.0) for key in ("backward_log_ratio", "predicted_backward_log_ratio")]
        lines.append(
            f"{row['activation']:<18}{row['setting']:<16}{row['forward_smape']:>8.1%}{row['backward_smape']:>10.1%}   "
            f"{logs[0]:>15.2f}{logs[1]:>9.2f}  {row['note']}"
        )
    return "\n".join(lines)
