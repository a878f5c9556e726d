"""One config trained on several signals, one after the other: how its learning curves lie in one line of steps. Pure.

Signal k's step s of a training of ``horizon`` steps a signal is step ``k horizon + s`` of the line. A study of one
signal is the case k = 0, where the line is the curve itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from workers.objective import Curve, Objective

__all__ = ["curve_of", "mean_score", "on_line", "signal_scores", "split"]


def on_line(signal: int, step: int, horizon: int) -> int:
    """Where the step of a signal lies in the line."""
    return signal * horizon + step


def split(line: Curve, horizon: int) -> list[list[tuple[int, float]]]:
    """The curves of the signals, each with its own steps, as far as the line goes."""
    curves: dict[int, list[tuple[int, float]]] = {}
    for step, psnr in line:
        signal, before = divmod(step - 1, horizon)
        curves.setdefault(signal, []).append((before + 1, psnr))
    return [curves[signal] for signal in sorted(curves)]


def curve_of(line: Curve, signal: int, horizon: int) -> list[tuple[int, float]]:
    """One signal's curve; empty where the line does not come so far."""
    return [(step - signal * horizon, psnr) for step, psnr in line if (step - 1) // horizon == signal]


def signal_scores(objective: Objective, line: Curve, horizon: int, steps: int) -> list[float]:
    """The score on each signal that the line has come to; the last one's is that of its curve so far."""
    return [objective.score(curve, steps) for curve in split(line, horizon)]


def mean_score(objective: Objective, line: Curve, horizon: int, steps: int, signals: int | None = None) -> float:
    """The score of a config: the mean over the first ``signals`` signals, or over those that the line has come to."""
    scores: Sequence[float] = signal_scores(objective, line, horizon, steps)[:signals]
    return sum(scores) / len(scores)
