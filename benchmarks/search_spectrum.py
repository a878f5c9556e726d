"""Which first-layer bandwidth should a search start from: the signal's spectrum alone, or the network's as well?

    python -m benchmarks.search_spectrum [--json]

The idea of FreSh is to take the bandwidth at which the spectrum of random networks' outputs is nearest to the signal's.
Here 18 bandwidths from 1 to 30 with three networks each, at the family's known good region (``vi3nr.guess``), against
the rule of the service, which looks at the signal alone. What a guess loses is read off stored final scores of
networks trained at five bandwidths (``benchmarks/data/search/bandwidths.json``: 96x96 RGB, width 64, 3 hidden layers,
300 full-batch Adam steps, one seed), by straight lines over log bandwidth; a guess beyond the five counts as the
nearest. The rule's two constants were chosen on these pictures. Two of the five need ../shared/data/images.
"""

from __future__ import annotations

import argparse
import json
import math
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy import fft

from benchmarks.photographs import photograph, photographs
from benchmarks.search_landscape import DATA
from vi3nr.activations import activation
from vi3nr.config import BiasRule
from vi3nr.guess import start_points
from vi3nr.networks import INR
from vi3nr.profile import vi3nr_config
from vi3nr.signals import Signal

__all__ = ["guesses", "lost"]

SIDE, WIDTHS = 96, (2, 64, 64, 64, 64, 3)
BANDWIDTHS = np.geomspace(1.0, 30.0, 18)
SEEDS = range(3)
RULES = ("signal", "cumulated", "entropy")


def radial_spectrum(values: np.ndarray) -> np.ndarray:
    """Energy by the whole radius of the cosine transform's index, the mean left out; its sum is 1.

    Args:
        values: ``(side, side, channels)``.
    """
    energy = np.square(fft.dctn(values - values.mean(axis=(0, 1)), axes=(0, 1), norm="ortho")).sum(axis=-1)
    index = np.arange(len(energy))
    radius = np.rint(np.hypot(index[:, None], index[None, :])).astype(int)
    spectrum = np.bincount(radius.ravel(), energy.ravel(), minlength=2 * SIDE)[1:]
    return np.asarray(spectrum / spectrum.sum())


def signal_bandwidth(family: str, signal: Signal) -> float:
    """The service's rule: that of its first start point."""
    point = start_points(family, signal)[0]
    return point.sigma_p_first * math.sqrt(1 - point.share_first) / point.sigma_a


@cache
def network_spectra(family: str) -> np.ndarray:
    """Mean spectrum of random networks for each of ``BANDWIDTHS``, (bandwidth, radius)."""
    signal = photograph("chelsea", SIDE)  # for its grid; the first layer's bandwidth is set below
    point = start_points(family, signal)[0]
    grid = torch.from_numpy(signal.coordinates)
    spectra = []
    for bandwidth in BANDWIDTHS:
        config = vi3nr_config(
            activation(family, point.sigma_a), WIDTHS, sigma_p=point.sigma_p,
            sigma_p_first=bandwidth * point.sigma_a / math.sqrt(1 - point.share_first),
            bias_first=BiasRule("share", point.share_first), input_second_moment=signal.input_second_moment,
        )  # fmt: skip
        with torch.no_grad():
            drawn = [INR.from_config(config, seed=seed)(grid).numpy().reshape(SIDE, SIDE, -1) for seed in SEEDS]
        spectra.append(np.mean([radial_spectrum(one) for one in drawn], axis=0))
    return np.array(spectra)


def guesses(family: str, signal: Signal) -> dict[str, float]:
    """The bandwidth by each rule."""
    wanted = radial_spectrum(signal.values.reshape(SIDE, SIDE, -1))
    spectra = network_spectra(family)
    distance = np.abs(np.cumsum(spectra, axis=1) - np.cumsum(wanted)).sum(axis=1)
    entropy = (wanted * np.log((wanted + 1e-9) / (spectra + 1e-9))).sum(axis=1)
    nearest = [float(BANDWIDTHS[np.argmin(away)]) for away in (distance, entropy)]
    return dict(zip(RULES, (signal_bandwidth(family, signal), *nearest), strict=True))


def lost(bandwidth: float, scores: dict[str, float]) -> float:
    """By how many dB a bandwidth falls below the best of the stored scores."""
    places = np.log([float(known) for known in scores])
    reached = float(np.interp(math.log(bandwidth), places, list(scores.values())))
    return max(scores.values()) - reached


def rows() -> list[dict[str, Any]]:
    """A line for each family, picture and rule."""
    made: list[dict[str, Any]] = []
    known = {*photographs(), "astronaut", "chelsea", "coffee"}
    stored = json.loads((DATA / "bandwidths.json").read_text())
    for family, pictures in stored.items():
        for name, scores in pictures.items():
            if name not in known:
                continue
            for rule, bandwidth in guesses(family, photograph(name, SIDE)).items():
                made.append({
                    "signal": name, "family": family, "rule": rule,
                    "bandwidth": round(bandwidth, 2), "lost_db": round(lost(bandwidth, scores), 2),
                })  # fmt: skip
    return made


def main() -> None:
    """Guess and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    made = rows()
    if chosen.json:
        print(json.dumps({"rows": made}, indent=2))
        return
    for row in made:
        guess = f"bandwidth {row['bandwidth']:5.1f}, loses {row['lost_db']:.2f} dB"
        print(f"{row['signal']:10s} {row['family']:9s} {row['rule']:10s} {guess}")
    for family in dict.fromkeys(row["family"] for row in made):
        for rule in RULES:
            away = [row["lost_db"] for row in made if (row["family"], row["rule"]) == (family, rule)]
            print(f"{family:9s} {rule:10s} mean {np.mean(away):.2f} dB, worst {max(away):.2f}")


if __name__ == "__main__":
    main()
