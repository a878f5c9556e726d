"""The trainer of one device: it holds signals and ensembles and plays one turn at a time. No Ray, no Optuna."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from vi3nr.activations import family_of
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Ensemble, Progress
from vi3nr.ensemble.reference import ReferenceEnsemble
from vi3nr.ensemble.stacked import StackedEnsemble
from vi3nr.signals import Signal
from workers.pool import Group, Turn

__all__ = ["Trainer", "executor_for"]

GPU_PRECISION = "tf32"  # scores move by less than seeds do: docs/performance.md

Executor = Callable[[Signal, Group, int], Ensemble]


def executor_for(device: str, memory: int | None = None) -> Executor:
    """What makes an ensemble on this kind of device: (signal, group, capacity) -> ensemble.

    Args:
        device: "cpu" or "cuda".
        memory: bytes that a GPU's stacks may take; None: what is free.

    Raises:
        ValueError: no executor runs on this kind of device.
    """
    if device == "cpu":
        return lambda signal, group, capacity: _cpu_executor(group.family)(
            signal, widths=group.widths, family=group.family, recipe=group.recipe, capacity=capacity
        )
    if device == "cuda":
        return lambda signal, group, capacity: StackedEnsemble(
            signal, widths=group.widths, family=group.family, recipe=group.recipe, capacity=capacity,
            device="cuda", precision=GPU_PRECISION, memory=memory,
        )  # fmt: skip
    raise ValueError(f"device {device!r} is unknown; choose cpu or cuda")


def _cpu_executor(family: str) -> type[CpuEnsemble] | type[ReferenceEnsemble]:
    """The tiled executor works on real numbers; complex families (WIRE) train by autograd."""
    return ReferenceEnsemble if family_of(family).complex else CpuEnsemble


class Trainer:
    """One ensemble per group, made when its first member is admitted and dropped when its last one leaves.

    Args:
        device: "cpu" or "cuda".
        slots: how many members the device may train at once.
        memory: bytes that a GPU's stacks may take; None: what is free.
    """

    def __init__(self, device: str = "cpu", slots: int = 1, memory: int | None = None) -> None:
        self._make = executor_for(device, memory)
        self._slots = slots
        self._signals: dict[str, Signal] = {}
        self._ensembles: dict[Group, Ensemble] = {}

    def hold(self, key: str, signal: Signal) -> None:
        """Keep a signal under ``key`` for the groups that name it."""
        self._signals[key] = signal

    def drop(self, key: str) -> None:
        """Forget a signal, and with it the ensembles that train on it. Unknown keys are ignored."""
        self._signals.pop(key, None)
        self._ensembles = {group: ensemble for group, ensemble in self._ensembles.items() if group.signal_key != key}

    def turn(self, turn: Turn) -> tuple[Progress, ...]:
        """Evict, admit, then advance everything by ``turn.steps``.

        Raises:
            ValueError: a group names a signal that is not held, or an ensemble refuses a member.
        """
        for ensemble in self._ensembles.values():
            ensemble.evict(turn.evict)
        self._drop_empty()
        for group, admissions in groupby(turn.admit, key=lambda admission: admission.group):
            ensemble = self._ensemble_of(group)
            for admission in admissions:
                ensemble.admit(admission.member)
        reports = [report for ensemble in self._ensembles.values() for report in ensemble.advance(turn.steps)]
        self._drop_empty()
        return tuple(reports)

    def _ensemble_of(self, group: Group) -> Ensemble:
        ensemble = self._ensembles.get(group)
        if ensemble is None:
            signal = self._signals.get(group.signal_key)
            if signal is None:
                raise ValueError(f"signal {group.signal_key!r} is not held by this trainer")
            ensemble = self._ensembles[group] = self._make(signal, group, self._slots)
        return ensemble

    def _drop_empty(self) -> None:
        self._ensembles = {
            group: ensemble for group, ensemble in self._ensembles.items() if ensemble.free_slots < self._slots
        }
