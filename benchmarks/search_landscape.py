"""The dense grid that careful people run, as learning curves: the yardstick of ``benchmarks.search``.

    python -m benchmarks.search_landscape [--signals kodim05 ...] [--families gaussian sine] [--true-scores]
                                          [--device cpu|cuda]

12 x 12 cells over sigma_a 0.01..0.5 (sine: omega 2..100) and sigma_p 0.02..3, one sigma_p for all layers, zero bias;
each cell one training in the setting of ``benchmarks.search``. Results are stored after every cell, so that a run that
was stopped goes on where it was. ``--true-scores`` adds three fixed seeds for the ten best cells.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.paper_store import Store
from benchmarks.photographs import photograph
from benchmarks.search_hub import DEVICES, Hub
from vi3nr.activations import activation, family_of
from vi3nr.config import InitConfig
from vi3nr.ensemble.interface import WORST_SCORE, Member, Progress
from vi3nr.profile import vi3nr_config
from vi3nr.signals import Signal

__all__ = [
    "CELLS",
    "DATA",
    "GRID_SEED",
    "HIDDEN_LAYERS",
    "OTHER_SEEDS",
    "REPORT",
    "SIDE",
    "SIGMA_A",
    "SIGMA_P",
    "STEPS",
    "TRUE_SEEDS",
    "WIDTH",
    "Landscape",
    "best_places",
    "curve_of",
    "hub_for",
    "plane_config",
]

DATA = Path(__file__).parent / "data" / "search"
SIDE, STEPS, WIDTH, HIDDEN_LAYERS = 128, 400, 64, 3
REPORT = 20  # steps between two points of a curve
CELLS = 12
SIGMA_A = np.geomspace(0.01, 0.5, CELLS)
SIGMA_P = np.geomspace(0.02, 3.0, CELLS)
GRID_SEED = 0
TRUE_SEEDS = (1001, 1002, 1003)
OTHER_SEEDS = (2001, 2002, 2003, 2004, 2005)  # that chose nothing
BEST_CELLS = 10  # whose mean over the true seeds decides which is the grid's best


def hub_for(signal: Signal, family: str, device: str) -> Hub:
    """What trains this setting's networks."""
    widths = (signal.coordinates.shape[1], *[WIDTH] * (HIDDEN_LAYERS + 1), signal.values.shape[1])
    return Hub(signal, family, widths, STEPS, REPORT, device)


def plane_config(family: str, sigma_a: float, sigma_p: float, signal: Signal) -> InitConfig:
    """The plane's rules: one sigma_p for all layers and zero bias."""
    widths = (signal.coordinates.shape[1], *[WIDTH] * (HIDDEN_LAYERS + 1), signal.values.shape[1])
    return vi3nr_config(
        activation(family, sigma_a), widths, sigma_p=sigma_p, input_second_moment=signal.input_second_moment
    )


def curve_of(config: InitConfig, train: Callable[[Member], Progress], seed: int, steps: int = STEPS) -> list[float]:
    """PSNR in dB after every ``REPORT`` steps; a training that diverges scores ``WORST_SCORE`` from there on."""
    member = Member("cell", config, seed, family_of(config.family).learning_rate, 0)
    curve: list[float] = []
    for step in range(REPORT, steps + 1, REPORT):
        report = train(replace(member, until=step))
        if report.diverged:
            return curve + [WORST_SCORE] * (steps // REPORT - len(curve))
        member = replace(member, start=report.state)
        curve.append(round(report.score, 2))
    return curve


def best_places(scores: np.ndarray, count: int = BEST_CELLS) -> list[tuple[int, int]]:
    """Row and column of the highest scores, best first, the first of equals."""
    order = np.argsort(-scores, axis=None, kind="stable")[:count]
    return [(int(place) // scores.shape[1], int(place) % scores.shape[1]) for place in order]


class Landscape:
    """One picture's and family's stored grid: curves by cell ``(row of sigma_a, column of sigma_p)`` and seed."""

    def __init__(self, name: str, family: str) -> None:
        self.name, self.family = name, family
        self._store = Store(DATA / f"{name}-{family}.json")

    def curve(self, row: int, column: int, seed: int) -> list[float]:
        """The stored curve. Raises KeyError for a cell that is not stored."""
        return list(self._store.rows[_key(row, column, seed)]["psnr"])

    def train(self, cells: Iterable[tuple[int, int, int]], signal: Signal, hub: Hub) -> None:
        """Train and store the cells (row, column, seed) that are missing."""

        def job(row: int, column: int, seed: int) -> None:
            config = plane_config(self.family, float(SIGMA_A[row]), float(SIGMA_P[column]), signal)
            curve = curve_of(config, hub.train, seed)
            self._store.keep(_key(row, column, seed), {"psnr": curve})
            print(self.name, self.family, f"cell {row},{column}, seed {seed}: {curve[-1]:.2f} dB", flush=True)

        hub.run([partial(job, *cell) for cell in cells if _key(*cell) not in self._store.rows])

    def finals(self) -> np.ndarray:
        """Scores at the full horizon of the grid's one seed, (sigma_a, sigma_p); NaN where a cell is missing."""
        scores = np.full((CELLS, CELLS), np.nan)
        for row in range(CELLS):
            for column in range(CELLS):
                if _key(row, column, GRID_SEED) in self._store.rows:
                    scores[row, column] = self.curve(row, column, GRID_SEED)[-1]
        return scores

    def best_cells(self) -> list[tuple[int, int]]:
        """The cells with the highest scores, best first; the grid must be complete."""
        return best_places(self.finals())

    def true_score(self, row: int, column: int) -> float:
        """Mean over the three fixed seeds. Raises KeyError where they are not stored."""
        return float(np.mean([self.curve(row, column, seed)[-1] for seed in TRUE_SEEDS]))

    def best_true_score(self) -> float:
        """What the grid's user gets: the best mean over the fixed seeds among the best cells."""
        return max(self.true_score(*cell) for cell in self.best_cells())


def _key(row: int, column: int, seed: int) -> str:
    return f"{row},{column},{seed}"


def main() -> None:
    """Train the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", nargs="+", default=["kodim05", "kodim20", "kodim23"])
    parser.add_argument("--families", nargs="+", default=["gaussian", "sine"])
    parser.add_argument("--true-scores", action="store_true")
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    arguments = parser.parse_args()
    for family in arguments.families:
        for name in arguments.signals:
            landscape, signal = Landscape(name, family), photograph(name, SIDE)
            hub = hub_for(signal, family, arguments.device)
            landscape.train([(cell // CELLS, cell % CELLS, GRID_SEED) for cell in range(CELLS**2)], signal, hub)
            print(name, family, "the grid is complete", flush=True)
            if arguments.true_scores:
                landscape.train([(*cell, seed) for cell in landscape.best_cells() for seed in TRUE_SEEDS], signal, hub)
                print(name, family, f"best of the grid: {landscape.best_true_score():.2f} dB", flush=True)


if __name__ == "__main__":
    main()
