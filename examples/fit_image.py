"""Search an initialisation for a small picture in this process, then train with a loop of one's own.

    python examples/fit_image.py --trials 8

No service and no Ray: the study's engine with the trainers of this process, and a database that is a file.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from skimage import data

from vi3nr import INR, InitConfig, Signal, image_signal, psnr
from vi3nr.ensemble.interface import Recipe
from workers.engine import Engine
from workers.events import Run, RunFinished, StudyCompleted, StudyFailed
from workers.objective import Objective
from workers.plan import Budget, FamilyPlan, Network, StudyPlan
from workers.pool_local import LocalPool
from workers.result import StudyResult
from workers.storage import open_storage


def search(signal: Signal, trials: int, steps: int) -> StudyResult:
    """The answer of a study of the Gaussian family."""
    plan = StudyPlan(
        study_id="picture", families=(FamilyPlan("gaussian"),), network=Network(width=16, hidden_layers=2),
        recipe=Recipe(steps=steps), budget=Budget(trials), seed=0, search_steps=int(0.4 * steps), method="analytic",
        objective=Objective(), finalists=1, seeds=2, baselines=("pytorch_default",),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        storage = open_storage(f"sqlite:///{Path(folder) / 'trials.db'}")
        engine, runs = Engine(LocalPool(), storage), list[Run]()
        engine.add(plan, signal, runs, lease=1)
        try:
            while True:
                for event in engine.step(1.0):
                    if isinstance(event, RunFinished):
                        runs.append(event.run)  # a study that is taken up again begins from these
                    elif isinstance(event, StudyCompleted):
                        return event.result
                    elif isinstance(event, StudyFailed):
                        raise RuntimeError(event.error)
        finally:
            storage.remove_session()
            storage.engine.dispose()


def fit(config: InitConfig, signal: Signal, steps: int, rate: float) -> np.ndarray:
    """The values, (points, channels), after so many full-batch Adam steps from seed 0."""
    network = INR.from_config(config, seed=0)
    x, y = torch.tensor(signal.coordinates), torch.tensor(signal.values)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(network(x), y).backward()
        optimiser.step()
    return network(x).detach().numpy()


def main() -> None:
    """Search, tell the answer, train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    signal = image_signal(data.chelsea()[::15, ::15])
    found = search(signal, arguments.trials, arguments.steps).families[0]
    config = found.winner.init_config
    print(f"{found.trials} trials; the winner is {found.winner.name}: sigma_a {config.sigma_a:.3g}")
    print(f"trained here: {psnr(fit(config, signal, arguments.steps, found.learning_rate), signal.values):.1f} dB")


if __name__ == "__main__":
    main()
