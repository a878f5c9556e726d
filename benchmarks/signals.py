"""Does the search's answer beat the usual initialisations on every kind of signal?

    python -m benchmarks.signals [--signals photograph bach spot volume] [--families gaussian sine]
                                 [--stored] [--quick] [--json]

Each cell is one real study: 16 trials to 40 % of 250 full-batch Adam steps, 3 finalists, then the winner and the best
usual initialisation with the same 5 fresh seeds and the same steps; width 32, 3 hidden layers (3,400 parameters, fewer
than the points: a network that memorises its points says nothing of the signal), the family's learning rate. Signals
(``benchmarks.signals_data``): a photograph at 80x80, 8,192 samples of bach at 44.1 kHz, spot as 12,288 signed
distances, a synthetic volume of 20^3. The metric is the main one of the signal's kind; the gain is paired over
the seeds, with Student's 95 % interval. For a shape the metric is IoU on its grid of 48^3 points: the two arms are
trained again from the same seeds and looked at.

Every cell is stored under ``benchmarks/data/signals/`` when it is done: a run that was stopped goes on where it was.
``--stored`` trains nothing and shows what is there; ``--quick`` runs small studies and stores nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.paper_store import Row, Store
from benchmarks.search_defaults import row as defaults_row
from benchmarks.search_defaults import run, study_plan
from benchmarks.signals_data import SIGNALS, signal_of
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Member, Recipe
from vi3nr.metrics_table import metrics_of, scores
from vi3nr.reconstruction import network_of, reconstruct
from vi3nr.signals import Signal
from workers.marching import extracted_points
from workers.plan import Network
from workers.result import Arm, FamilyResult
from workers.seeds import confirmation_seed
from workers.statistics import mean_interval

DATA = Path(__file__).parent / "data" / "signals"
WIDTH, STEPS, TRIALS, SEEDS = 32, 250, 16, 5
QUICK = (40, 6, 2)
COLUMNS = ("signal", "kind", "family", "metric", "best", "best_baseline", "gain", "ci_low", "ci_high")


def measure(name: str, family: str, quick: bool) -> Row:
    """One study, and its answer in the metrics of the signal's kind."""
    steps, trials, seeds = QUICK if quick else (STEPS, TRIALS, SEEDS)
    signal = signal_of(name, quick=quick)
    plan = replace(study_plan(family, steps, trials, seeds), network=Network(WIDTH, 3))
    result, cost = run(plan, signal)
    found, usual = leaders(result, seeds)
    tables = {
        arm.name: [judged(signal, arm, confirmation_seed(plan.seed, replicate), steps) for replicate in range(seeds)]
        for arm in (found, usual)
    }
    rows = {}
    for metric in metrics_of(signal.kind):
        pairs = [(one[metric.name], other[metric.name]) for one, other in zip(*tables.values(), strict=True)]
        whole = [(one, other) for one, other in pairs if one is not None and other is not None]
        if whole:
            sign = 1.0 if metric.higher_is_better else -1.0
            gain = mean_interval([sign * (one - other) for one, other in whole])
            rows[metric.name] = {
                "best": sum(one for one, _ in whole) / len(whole),
                "best_baseline": sum(other for _, other in whole) / len(whole),
                "gain": gain.mean, "ci_low": gain.low, "ci_high": gain.high,
            }  # fmt: skip
    main = metrics_of(signal.kind)[0].name
    head = {"signal": name, "kind": signal.kind, "family": family, "metric": main, **rows[main]}
    return head | {"metrics": rows, "study": defaults_row(name, result, cost), "points": len(signal.values)}


def leaders(result: FamilyResult, seeds: int) -> tuple[Arm, Arm]:
    """The best found arm and the best usual one, of those with all seeds."""
    full = [arm for arm in result.arms if arm.score.n >= seeds]
    found = next(arm for arm in full if arm.kind == "finalist")
    return found, next(arm for arm in full if arm.kind == "baseline")


def judged(signal: Signal, arm: Arm, seed: int, steps: int) -> dict[str, float | None]:
    """Every metric of one training of an arm."""
    config = arm.init_config
    ensemble = CpuEnsemble(
        signal, widths=config.widths, family=config.family, recipe=Recipe(steps), capacity=1
    )  # fmt: skip
    ensemble.admit(Member("one", config, seed, arm.learning_rate, steps))
    (report,) = ensemble.advance(steps)
    if report.state is None:
        return dict.fromkeys([metric.name for metric in metrics_of(signal.kind)])
    network = network_of(config, report.state.parameters)
    return scores(signal, reconstruct(signal, network, extracted_points))


def show(rows: list[Row]) -> None:
    """A table for people."""
    for row in rows:
        interval = f"{row['gain']:+.3f} ({row['ci_low']:+.3f} to {row['ci_high']:+.3f})"
        names = f"{row['signal']:10s} {row['family']:9s} {row['metric']:5s}"
        print(f"{names} found {row['best']:7.3f}, usual {row['best_baseline']:7.3f}, gain {interval}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=list(SIGNALS))
    parser.add_argument("--families", nargs="+", default=["gaussian", "sine"])
    parser.add_argument("--stored", action="store_true", help="train nothing")
    parser.add_argument("--quick", action="store_true", help="small studies, nothing is stored")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = []
    for name in chosen.signals:
        for family in chosen.families:
            store = Store(None if chosen.quick else DATA / f"{name}-{family}.json")
            key = f"{name} {family}"
            if key in store.rows or not chosen.stored:
                rows.append(store.cell(key, measure, name, family, chosen.quick))
                print(f"# {key}: {rows[-1]['gain']:+.3f} {rows[-1]['metric']}", file=sys.stderr, flush=True)
    rows = [{column: row[column] for column in COLUMNS} for row in rows]
    if chosen.json:
        print(json.dumps({"rows": rows}, indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    main()
