"""A trainer that sleeps where another one computes: so two nodes fit on any machine, and what is lost is overhead."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.idle_trainer import IdleTrainer
from service import processes
from service.settings import Settings
from vi3nr.ensemble.interface import Progress
from workers.pool import Turn
from workers.pool_ray import RayPool

__all__ = ["JOURNAL", "STEP_SECONDS", "SleepingTrainer"]

STEP_SECONDS, JOURNAL = "VI3NR_SLEEP_STEP_SECONDS", "VI3NR_SLEEP_JOURNAL"  # environment of the runner


class SleepingTrainer(IdleTrainer):
    """Takes ``seconds`` for every step of every member, and none of the processor's time.

    With a ``journal`` it writes a line of JSON at the begin of each turn for each member that is there: when, which
    process, which member, from which step.
    """

    def __init__(self, kind: str, slots: int, *, seconds: float, journal: str | None = None) -> None:
        super().__init__(kind, slots)
        self._seconds, self._journal = seconds, journal

    def turn(self, turn: Turn) -> tuple[Progress, ...]:
        """As an idle trainer, later."""
        began = time.monotonic()
        reports = super().turn(turn)
        if self._journal is not None:
            now = time.time()
            lines = [json.dumps([now, os.getpid(), report.key, report.step - turn.steps]) for report in reports]
            with Path(self._journal).open("a") as file:
                file.write("".join(f"{line}\n" for line in lines))
        time.sleep(max(0.0, self._seconds * turn.steps * len(reports) - (time.monotonic() - began)))
        return tuple(replace(report, seconds=self._seconds * turn.steps) for report in reports)


def main() -> None:
    """``vi3nr runner`` with trainers that sleep."""
    player = partial(SleepingTrainer, seconds=float(os.environ[STEP_SECONDS]), journal=os.environ.get(JOURNAL))

    def open_pool(settings: Settings) -> RayPool:
        return RayPool(settings.ray_address, node_ip=settings.ray_node_ip or None, player=player)

    processes.open_pool = open_pool
    processes.run_runner(Settings())


if __name__ == "__main__":
    from benchmarks import sleeping_trainer  # what a trainer's process imports must not be called __main__

    sleeping_trainer.main()
