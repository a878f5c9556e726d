"""Trainings of one shape and family side by side on one device, each asked for by a thread of its own.

A search asks for one training after the other, so alone it keeps a GPU idle; many searches together fill it. On a CPU
one training runs at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Condition
from typing import TypeVar

from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Ensemble, Member, Progress, Recipe
from vi3nr.ensemble.stacked import StackedEnsemble
from vi3nr.signals import Signal
from workers.trainer import GPU_PRECISION

__all__ = ["DEVICES", "Hub"]

DEVICES = ("cpu", "cuda")
PLACES = {"cpu": 1, "cuda": 64}  # trainings at once
PATIENCE = 0.01  # seconds that trainings wait for one that a thread is about to ask for
Answer = TypeVar("Answer")


@dataclass
class _Wish:
    member: Member
    report: Progress | Exception | None = None


class Hub:
    """Trains what its jobs ask for, as the service's trainers do.

    Args:
        signal: what all are trained on.
        family: of all of them.
        widths: from the coordinates to the values.
        steps: the full horizon.
        turn: steps between two moments at which trainings begin and end.
        device: cpu or cuda.
    """

    def __init__(
        self, signal: Signal, family: str, widths: tuple[int, ...], steps: int, turn: int, device: str = "cpu"
    ) -> None:
        self.places, self._turn = PLACES[device], turn
        options = {"widths": widths, "family": family, "recipe": Recipe(steps), "capacity": self.places}
        self._ensemble: Ensemble = (
            CpuEnsemble(signal, **options)
            if device == "cpu"
            else StackedEnsemble(signal, device=device, precision=GPU_PRECISION, **options)
        )
        self._numbers = itertools.count()
        self._changed = Condition()
        self._asked: list[_Wish] = []
        self._training: dict[str, _Wish] = {}
        self._left = 0  # jobs that have not ended

    def train(self, member: Member) -> Progress:
        """Train a member to its ``until``, from within a job of ``run``."""
        wish = _Wish(replace(member, key=f"{next(self._numbers)}"))
        with self._changed:
            self._asked.append(wish)
            self._changed.notify_all()
            self._changed.wait_for(lambda: wish.report is not None)
        if isinstance(wish.report, Exception):
            raise wish.report
        assert wish.report is not None
        return wish.report

    def run(self, jobs: Iterable[Callable[[], Answer]]) -> list[Answer]:
        """Do all of the jobs, as many at once as there are places; their answers in the same order."""
        todo = list(jobs)
        self._left = len(todo)
        with ThreadPoolExecutor(self.places) as threads:
            futures = [threads.submit(self._job, job) for job in todo]
            while self._gather():
                self._advance()
            return [future.result() for future in futures]

    def _job(self, job: Callable[[], Answer]) -> Answer:
        try:
            return job()
        finally:
            with self._changed:
                self._left -= 1
                self._changed.notify_all()

    def _gather(self) -> bool:
        """Seat what is asked for, and give those a moment who are about to ask. False once all jobs have ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._training or self._asked or not self._left)
            self._changed.wait_for(
                lambda: len(self._training) + len(self._asked) == min(self._left, self.places), PATIENCE
            )
            for wish in self._asked:
                self._training[wish.member.key] = wish
                self._ensemble.admit(wish.member)
            self._asked.clear()
            return self._left > 0

    def _advance(self) -> None:
        """One turn; the threads of those that have ended go on. An error of the ensemble is that of all."""
        if not self._training:
            return
        ended: dict[str, Progress | Exception]
        try:
            ended = {report.key: report for report in self._ensemble.advance(self._turn) if report.finished}
        except Exception as error:
            ended = dict.fromkeys(self._training, error)
        with self._changed:
            for key, report in ended.items():
                self._training.pop(key).report = report
            self._changed.notify_all()
