"""Is the search as good on other signals than those it was made with? ``python -m benchmarks.search_elsewhere``.

    python -m benchmarks.search_elsewhere [--signals ...] [--families gaussian sine] [--seeds 3] [--trials 24]
                                          [--stored] [--json]

Our start points and sampler were chosen with a look at eight photographs, a volume, three clips of sound and two
shapes. Here are three other pictures (80x80 RGB), two other clips of sound (8,192 and 12,288 samples), another shape
(12,288 distances) and another volume (20^3), in the setting of ``benchmarks.signals``: width 32, 3 hidden layers, 250
full-batch Adam steps. Ours searches its own full space; ``strategies`` of ``benchmarks.search`` search the same box
with as many member steps. What each finds is trained from three fixed seeds, and so is every usual initialisation at
its customary scale. PSNR in dB; ``ours`` less each other, the mean over the seeds, and over the rows with a 95 %
interval.

Every cell is stored in ``benchmarks/data/search/elsewhere.json`` when it is done. Signals whose file
(../shared/data) is not at hand are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import Any

import numpy as np

from benchmarks.paper_store import Row, Store
from benchmarks.search_hub import Hub
from benchmarks.search_landscape import DATA, HIDDEN_LAYERS, TRUE_SEEDS
from benchmarks.search_loop import OURS, STRATEGIES, Strategy, own_seed, search, sized
from benchmarks.search_trainings import Live, found_row
from benchmarks.signals import STEPS, WIDTH
from benchmarks.signals_data import PICTURES, at_hand, signal_of
from vi3nr.activations import family_of
from vi3nr.ensemble.interface import Member
from vi3nr.signals import Signal
from workers.arms import customary_arms
from workers.plan import FamilyPlan, Network
from workers.search_space import SearchSpace
from workers.statistics import mean_interval

SIGNALS = (*PICTURES, "bach, later", "speakers, later", "knight", "gyroid")
REPORT = 5  # steps between two moments at which trainings begin and end


def widths_of(signal: Signal) -> tuple[int, ...]:
    """Of the networks, from the coordinates to the values."""
    return Network(WIDTH, HIDDEN_LAYERS).widths(signal.coordinates.shape[1], signal.values.shape[1])


def found_by(strategy: Strategy, name: str, family: str, seed: int, most_steps: float) -> Row:
    """Search live, then train what was found from the fixed seeds."""
    signal = signal_of(name)
    space = SearchSpace.for_family(FamilyPlan(family), signal)
    hub = Hub(signal, family, widths_of(signal), STEPS, REPORT)

    def job() -> Row:
        live = Live(space, signal, hub.train, WIDTH)
        found = search(
            strategy, family, space.distributions(), space.start(signal), live.start,
            steps=STEPS, seed=own_seed(name, family, seed), most_steps=most_steps,
        )  # fmt: skip
        return found_row(found, live, STEPS)

    (row,) = hub.run([job])
    return row


def usual(name: str, family: str) -> Row:
    """Every usual initialisation from the fixed seeds, by its name."""
    signal = signal_of(name)
    rate = family_of(family).learning_rate
    arms = customary_arms(family, {}, widths_of(signal), None, rate)
    hub = Hub(signal, family, widths_of(signal), STEPS, REPORT)
    jobs = [
        partial(hub.train, Member("usual", arm.config, seed, rate, STEPS)) for arm in arms for seed in TRUE_SEEDS
    ]  # fmt: skip
    scores = np.array([round(report.score, 2) for report in hub.run(jobs)]).reshape(len(arms), len(TRUE_SEEDS))
    return {arm.name: scored.tolist() for arm, scored in zip(arms, scores, strict=True)}


def measure(name: str, family: str, seed: int, trials: int, store: Store) -> None:
    """What is missing of a signal's and family's row from a seed: ours first, for the others get what it cost."""
    store.cell(f"{name} {family} usual", usual, name, family)
    ours = sized(OURS, trials)
    for strategy in (ours, *(sized(one, trials) for one in STRATEGIES if one != OURS)):
        key = f"{name} {family} {strategy.name} {seed}"
        budget = float("inf") if strategy == ours else store.rows[f"{name} {family} {ours.name} {seed}"]["steps"]
        row = store.cell(key, found_by, strategy, name, family, seed, budget)
        print(f"# {key}: {np.mean(row['true_db']):.2f} dB", file=sys.stderr, flush=True)


def rows_of(
    store: Store, signals: tuple[str, ...], families: list[str], seeds: int, trials: int
) -> list[dict[str, Any]]:
    """A line for each signal and family whose cells are all there: mean PSNR of each strategy and of the best usual
    initialisation.
    """
    rows = []
    for name in signals:
        for family in families:
            keys = {one.name: f"{name} {family} {sized(one, trials).name}" for one in STRATEGIES}
            cells = {who: [store.rows.get(f"{key} {seed}") for seed in range(seeds)] for who, key in keys.items()}
            arms = store.rows.get(f"{name} {family} usual", {})
            if not arms or any(cell is None for found in cells.values() for cell in found):
                continue
            row: dict[str, Any] = {"signal": name, "family": family, "seeds": seeds}
            for who, found in cells.items():
                row[who] = round(float(np.mean([cell["true_db"] for cell in found if cell])), 3)
            best = max(arms, key=lambda arm: float(np.mean(arms[arm])))
            rows.append(row | {"usual": round(float(np.mean(arms[best])), 3), "usual_name": best})
    return rows


def differences(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Ours less each other, over the rows."""
    others = [one.name for one in STRATEGIES if one != OURS] + ["usual"]
    gains = {other: mean_interval([row[OURS.name] - row[other] for row in rows]) for other in others}
    return {other: {"mean": gain.mean, "ci_low": gain.low, "ci_high": gain.high} for other, gain in gains.items()}


def show(rows: list[dict[str, Any]], gains: dict[str, dict[str, float]]) -> None:
    """Tables for people."""
    for row in rows:
        scores = "  ".join(f"{one.name} {row[one.name]:6.2f}" for one in STRATEGIES)
        print(f"{row['signal']:20s} {row['family']:9s} {scores}  usual {row['usual']:6.2f} ({row['usual_name']})")
    for other, gain in gains.items():
        print(f"ours less {other:7s} {gain['mean']:+.2f} dB ({gain['ci_low']:+.2f} to {gain['ci_high']:+.2f})")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=[name for name in SIGNALS if at_hand(name)])
    parser.add_argument("--families", nargs="+", default=["gaussian", "sine"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=OURS.trials)
    parser.add_argument("--stored", action="store_true", help="train nothing")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    store = Store(DATA / "elsewhere.json")
    if not chosen.stored:
        for seed in range(chosen.seeds):
            for name in chosen.signals:
                for family in chosen.families:
                    measure(name, family, seed, chosen.trials, store)
    rows = rows_of(store, tuple(chosen.signals), chosen.families, chosen.seeds, chosen.trials)
    gains = differences(rows) if len(rows) > 1 else {}
    if chosen.json:
        print(json.dumps({"rows": rows, "ours_less": gains}, indent=2))
    else:
        show(rows, gains)


if __name__ == "__main__":
    main()
