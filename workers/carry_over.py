"""How well the found config carries over to signals that the search never saw."""

from __future__ import annotations

from collections.abc import Sequence

from workers.objective import Objective
from workers.result import Arm, CarryOver, Interval, SignalGain
from workers.statistics import mean_interval

__all__ = ["carry_over"]


def carry_over(found: Arm, baseline: Arm, fitted: int, objective: Objective) -> CarryOver | None:
    """The found config against the usual one on the held-out signals; None where there are none.

    Each signal's gain is the mean over the seeds that both were trained from. The interval is over the signals, since
    it is to hold for others like them; with one held-out signal it is over the seeds, and says nothing of others.

    Args:
        found: the best found arm.
        baseline: the usual initialisation that is best on the signals that were searched on.
        fitted: how many signals were searched on: the first ones of ``per_signal``.
        objective: what the scores are of.
    """
    pairs = list(zip(found.per_signal, baseline.per_signal, strict=False))
    held_out = range(fitted, len(found.per_signal[0])) if pairs else range(0)
    if not held_out:
        return None
    by_signal = [[mine[signal] - usual[signal] for mine, usual in pairs] for signal in held_out]
    gains = [sum(apart) / len(apart) for apart in by_signal]
    over = "signals" if len(held_out) > 1 else "seeds"
    gain = mean_interval(gains if over == "signals" else by_signal[0])
    return CarryOver(
        found=found.name,
        baseline=baseline.name,
        signals=tuple(
            SignalGain(signal, _mean(found, signal), _mean(baseline, signal), apart)
            for signal, apart in zip(held_out, gains, strict=True)
        ),
        gain=gain,
        over=over,
        sentence=_sentence(found.name, baseline.name, gain, len(held_out), objective),
    )


def _mean(arm: Arm, signal: int) -> float:
    values: Sequence[float] = [scores[signal] for scores in arm.per_signal]
    return sum(values) / len(values)


def _sentence(found: str, usual: str, gain: Interval, signals: int, objective: Objective) -> str:
    unit, digits = objective.unit, 1 if objective.unit == "dB" else 0
    where = "the one held-out signal" if signals == 1 else f"{signals} held-out signals"
    text = f"On {where} {found} scores {gain.mean:+z.{digits}f} {unit} against {usual}"
    if gain.low is None or gain.high is None:
        return f"{text}; one value has no interval."
    over = f"{gain.n} seeds" if signals == 1 else f"{gain.n} signals"
    interval = f"95 % interval {gain.low:z.{digits}f} to {gain.high:z.{digits}f}, {over}"
    if gain.low > 0.0:
        return f"{text} ({interval}): it carries over."
    if gain.high < 0.0:
        return f"{text} ({interval}): it does not carry over."
    return f"{text} ({interval}): not clearly better there."
