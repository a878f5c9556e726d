"""Results and progress as a person reads them in a terminal."""

from __future__ import annotations

import json
import re

from rich.console import Console
from rich.table import Table

from service.theories import TheoryAnswer
from vi3nr.config import InitConfig
from workers.result import Arm, FamilyResult, Interval, ProgressNote, StudyResult

__all__ = ["file_name", "print_init", "print_result", "print_theory", "progress_text", "snippet"]


def file_name(family: str) -> str:
    """What the file of a family's best init config is called; a formula may hold a slash."""
    return f"best-{re.sub('[^A-Za-z0-9]+', '_', family)}.json"


def snippet(path: str) -> str:
    """The three lines of PyTorch that load a config."""
    return (
        "from vi3nr import INR, InitConfig\n"
        f"config = InitConfig.from_json(open({json.dumps(path, ensure_ascii=False)}).read())\n"
        "network = INR.from_config(config, seed=0)"
    )


def progress_text(note: ProgressNote | None, seconds_left: float | None) -> str:
    """One line: phase, counts, best so far, time left."""
    if note is None:
        return "waiting for a runner"
    parts = [f"{note.phase}: {note.trials_done} of {note.trials_total} trials"]
    if note.phase != "search":
        parts.append(f"{note.runs_done} of {note.runs_total} runs")
    if note.best_score is not None:
        score = f"{note.best_score:.{2 if note.unit == 'dB' else 0}f} {note.unit}"
        best = f"{note.best_family} trial {note.best_trial}"
        parts.append(f"best trial so far {score} at the search horizon ({best})")
    if seconds_left is not None:
        parts.append(f"about {_duration(seconds_left)} left")
    return ", ".join(parts)


def print_result(console: Console, result: StudyResult, saved: dict[str, str]) -> None:
    """Which family suits, and the answer of each, best first, with its table of confirmation; ``saved`` maps a family
    to its file, if there is one.
    """
    if result.family_comparison is not None:
        console.print()
        console.print(result.family_comparison.sentence, style="bold")
    for place, family in enumerate(result.families):
        first_of_several = place == 0 and len(result.families) > 1
        console.print()
        console.rule(f"[bold]{family.family}[/bold]" + (" (highest mean of the families)" if first_of_several else ""))
        _print_family(console, result, family)
        if family.family in saved:
            console.print(f"saved: {saved[family.family]}", markup=False)
    best = result.families[0]
    console.print()
    console.print("The best init config:", style="bold")
    print_init(console, best.winner.init_config)
    if best.family in saved:
        console.print()
        console.print("Load the best one:", style="bold")
        console.print(snippet(saved[best.family]), highlight=False, soft_wrap=True, markup=False)
    for warning in result.warnings:
        console.print(f"note: {warning}", style="yellow", markup=False)


def _print_family(console: Console, result: StudyResult, family: FamilyResult) -> None:
    winner = family.winner
    console.print(f"[bold]{_settings(winner)}[/bold]")
    console.print(
        f"{_interval(winner.score)} {result.unit} after {result.steps} steps, {winner.score.n} fresh seeds; "
        f"the score is the {result.metric}"
    )
    if family.comparison is not None:
        console.print(family.comparison.sentence, style="green" if family.comparison.verdict == "better" else "")
    if family.carry_over is not None:
        console.print(family.carry_over.sentence)
    table = Table(box=None, pad_edge=False)
    table.add_column("initialisation", no_wrap=True)
    for heading in ("sigma_p", "first", f"score, {result.unit}", "95 %", "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for arm in family.arms:
        style = "bold" if arm.name == winner.name else ("" if arm.kind == "finalist" else "dim")
        table.add_row(
            _name(arm), _number(arm.sigma_p), _number(arm.sigma_p_first),
            f"{arm.score.mean:.2f}", _half_width(arm.score), str(arm.score.n), style=style,
        )  # fmt: skip
    console.print(table)


def _name(arm: Arm) -> str:
    """The arm without its family, which stands above the table; a found one with its scale, which others name."""
    name = arm.name.removeprefix(f"{arm.family} ")
    if arm.kind != "finalist":
        return name
    return f"{name}, omega {1 / arm.sigma_a:.4g}" if arm.family == "sine" else f"{name}, sigma_a {_number(arm.sigma_a)}"


def _half_width(interval: Interval) -> str:
    return "" if interval.high is None else f"± {interval.high - interval.mean:.2f}"


def print_init(console: Console, config: InitConfig) -> None:
    """An init config, layer by layer."""
    console.print(
        f"[bold]{config.family}[/bold], sigma_a {_number(config.sigma_a)}, "
        f"sigma_p {_number(config.sigma_p) or 'not set'}, "
        f"sigma_p_first {_number(config.sigma_p_first) or 'not set'}, {config.distribution}, "
        f"moments by {config.method or 'no rule'}"
    )
    if config.stability is not None:
        value = "none" if config.stability.sigma_p is None else _number(config.stability.sigma_p)
        console.print(f"theory's stable sigma_p: {value} (kind: {config.stability.kind})")
    table = Table(box=None, pad_edge=False)
    for heading in ("layer", "fan_in", "fan_out", "weight std", "weight bound", "bias std"):
        table.add_column(heading, justify="right")
    for index, layer in enumerate(config.layers):
        table.add_row(
            str(index), str(layer.fan_in), str(layer.fan_out),
            _number(layer.weight_std), _number(layer.weight_bound), _number(layer.bias_std),
        )  # fmt: skip
    console.print(table)


def print_theory(console: Console, answer: TheoryAnswer) -> None:
    """The theory's numbers of one activation."""
    parameters = "".join(f", {name} {_number(value)}" for name, value in answer.parameters.items())
    console.print(f"[bold]{answer.family}[/bold], sigma_a {_number(answer.sigma_a)}{parameters}", highlight=False)
    console.print(
        f"stable sigma_p: {'none' if answer.stable.sigma_p is None else _number(answer.stable.sigma_p)} "
        f"(kind: {answer.stable.kind}, fan-out / fan-in {_number(answer.width_ratio)})"
    )
    at = answer.at
    table = Table(box=None, pad_edge=False, title=f"at sigma_p {_number(at.sigma_p)}, rho {_number(at.rho)}")
    table.title_justify = "left"
    for heading in ("", "value", "by"):
        table.add_column(heading)
    table.add_row("E f", _number(at.mean), at.methods[0])
    table.add_row("E f^2", _number(at.second_moment), at.methods[1])
    table.add_row("E f'^2", _number(at.slope_second_moment), at.methods[2])
    table.add_row("M Var W, forward", _number(at.gain_squared), "Eq. 4")
    table.add_row("condition", _number(at.condition), "ideal 1")
    table.add_row("Var b for both", _number(at.stability_bias_variance) or "none", "needs condition >= 1")
    console.print(table)


def _settings(arm: Arm) -> str:
    parts = [f"sigma_a = {_number(arm.sigma_a)}"]
    if arm.family == "sine":
        parts[0] += f" (omega = {1 / arm.sigma_a:.4g})"
    if arm.kind == "baseline":
        return f"{arm.name}: {parts[0]}"
    parts += [f"sigma_p = {_number(arm.sigma_p)}", f"sigma_p_first = {_number(arm.sigma_p_first)}"]
    return ", ".join([*parts, f"first layer's biases: {arm.bias_first}"])


def _interval(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.2f}"
    return f"{interval.mean:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
