"""The runner as it is, with trainers that train nothing: a round then costs the machine little.

What such a trainer reports is a function of config, seed and step, as real training is. It imports no torch.
"""

from __future__ import annotations

import time

from benchmarks.idle_trainer import IdleTrainer
from service import processes
from service.settings import Settings
from vi3nr.ensemble.interface import Progress
from workers.pool import Turn
from workers.pool_ray import RayPool

__all__ = ["SlowTrainer"]

TURN_SECONDS = 0.03


class SlowTrainer(IdleTrainer):
    """Takes a little time for a turn, so that a study lasts for some seconds."""

    def turn(self, turn: Turn) -> tuple[Progress, ...]:
        """Wait, and report."""
        time.sleep(TURN_SECONDS)
        return super().turn(turn)


def _open_pool(settings: Settings) -> RayPool:
    return RayPool(settings.ray_address or None, cpus=2, player=SlowTrainer)


if __name__ == "__main__":
    processes.open_pool = _open_pool
    processes.run_runner(Settings())
