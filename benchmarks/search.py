"""Does the search's answer beat the usual initialisations? Real studies, each confirmed with fresh seeds.

    python -m benchmarks.search [--signals kodim03 kodim05 ...] [--families gaussian sine] [--quick] [--json]

Setting: photographs at 128x128 RGB (the middle square, Lanczos), width 64, 3 hidden layers, 400 full-batch Adam steps,
Gaussian at learning rate 1e-3, sine at 5e-4; 24 trials to 40 % of the steps, 3 finalists, 5 seeds. ``gain_db`` is the
paired difference to the best usual initialisation over the same seeds. ``--quick``: one picture at 48x48, 60 steps.
Photographs come from ../shared/data/images where that folder is, else from scikit-image.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from vi3nr.ensemble.interface import Recipe
from vi3nr.signals import Signal, image_signal
from workers.engine import Engine
from workers.events import Run, RunFinished, StudyCompleted, StudyFailed
from workers.plan import FamilyPlan, Network, StudyPlan
from workers.pool_local import LocalPool
from workers.result import FamilyResult
from workers.storage import open_storage

KODAK = Path(__file__).parents[2] / "shared" / "data" / "images"


def photograph(name: str, side: int) -> Signal:
    """The middle square of a photograph, by the name of a Kodak file or of a picture of scikit-image."""
    file = KODAK / f"{name}.png"
    if file.exists():
        picture = Image.open(file).convert("RGB")
    else:
        from skimage import data

        picture = Image.fromarray(getattr(data, name)()).convert("RGB")
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    square = picture.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS)
    return image_signal(np.asarray(square))


def study(signal: Signal, family: str, seed: int, quick: bool) -> FamilyResult:
    """One study from the first trial to the verdict, in this process."""
    steps, trials = (60, 8) if quick else (400, 24)
    plan = StudyPlan(
        study_id=f"benchmark-{family}-{seed}", families=(FamilyPlan(family),), network=Network(64, 3),
        recipe=Recipe(steps), trials=trials, seed=seed, search_steps=round(0.4 * steps), method="analytic",
        objective="fit", finalists=3, seeds=2 if quick else 5, baselines=None,
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        storage = open_storage(f"sqlite:///{folder}/optuna.db")
        engine = Engine(LocalPool(), storage)
        engine.add(plan, signal, (), lease=1)
        runs: list[Run] = []
        while True:
            for event in engine.step(1.0):
                match event:
                    case RunFinished():
                        runs.append(event.run)
                    case StudyFailed():
                        raise RuntimeError(event.error)
                    case StudyCompleted():
                        storage.engine.dispose()
                        return event.result.families[0]


def row(name: str, result: FamilyResult) -> dict[str, Any]:
    """One line of the table."""
    comparison = result.comparison
    assert comparison is not None
    gain = comparison.gain_db
    found = next(arm for arm in result.arms if arm.kind == "finalist" and arm.score.n == gain.n)
    return {
        "signal": name, "family": result.family, "gain_db": gain.mean, "ci_low": gain.low, "ci_high": gain.high,
        "found_db": found.score.mean, "baseline": comparison.baseline, "verdict": comparison.verdict,
        "trials": result.trials,
        "sigma_a": found.sigma_a, "sigma_p": found.sigma_p, "sigma_p_first": found.sigma_p_first,
    }  # fmt: skip


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = sorted(file.stem for file in KODAK.glob("*.png")) or ["chelsea", "coffee", "astronaut"]
    parser.add_argument("--signals", nargs="+", default=known)
    parser.add_argument("--families", nargs="+", default=["gaussian", "sine"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    names, side = (["chelsea"], 48) if arguments.quick else (arguments.signals, 128)
    rows = []
    for name in names:
        signal = photograph(name, side)
        for family in arguments.families:
            rows.append(row(name, study(signal, family, arguments.seed, arguments.quick)))
            if not arguments.json:
                line = rows[-1]
                print(
                    f"{name:10s} {family:9s} found {line['found_db']:6.2f} dB, gain {line['gain_db']:+5.2f} "
                    f"({line['ci_low']:+.2f} to {line['ci_high']:+.2f}) over {line['baseline']}",
                    flush=True,
                )
    if arguments.json:
        print(json.dumps({"defaults": rows}, indent=2))


if __name__ == "__main__":
    main()
