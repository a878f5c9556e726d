"""The paper, reproduced: stated numbers, the authors' toy test, comparisons on real signals, sigma_p against depth.

    python -m benchmarks.paper [--json] [--part numbers|toy|signals|depth] [--quick] [--fresh] [--plots docs]

``numbers`` is computed each time. The others train or propagate real networks for minutes: they print what is stored
under benchmarks/data/paper and measure only the cells that are missing; ``--fresh`` measures all again. ``--quick`` is
a smoke of every part in seconds, stores nothing, and its figures mean nothing. docs/results.md tells the results.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks import paper_numbers, paper_report, paper_signals, paper_toy
from benchmarks.paper_store import DATA, Store

PARTS = ("numbers", "toy", "signals", "depth")
TOY_THREADS = 2  # its matrix products are large enough to share


def part_numbers(_options: argparse.Namespace) -> tuple[str, Any]:
    found, missing = paper_numbers.numbers()
    rows = [{**asdict(one), "deviation": one.deviation, "agrees": one.agrees} for one in found]
    worst = max(one.deviation for one in found)
    times = paper_numbers.root_times()
    outcome = {"numbers": rows, "missing": missing, "largest_deviation": worst, "stable_sigma_p_ms": times}
    return paper_numbers.table(found, missing, times), outcome


def part_toy(options: argparse.Namespace) -> tuple[str, Any]:
    torch.set_num_threads(TOY_THREADS)
    size = paper_toy.QUICK if options.quick else paper_toy.FULL
    rows = paper_toy.run(store("toy", options), size)
    return paper_toy.table(rows), rows


def part_signals(options: argparse.Namespace) -> tuple[str, Any]:
    paper_signals.set_up_torch()
    images = paper_signals.run_images(store("images", options), quick=options.quick)
    audio = paper_signals.run_audio(store("audio", options), quick=options.quick)
    keep_plot(options, "results-gap.svg", lambda: paper_report.gap_plot(images))
    text = "\n\n".join([paper_report.images(images), paper_report.gap(images), paper_report.audio(audio)])
    return text, {"images": images, "audio": audio}


def part_depth(options: argparse.Namespace) -> tuple[str, Any]:
    paper_signals.set_up_torch()
    rows = paper_signals.run_depth(store("depth", options), quick=options.quick)
    keep_plot(options, "results-depth.svg", lambda: paper_report.depth_plot(rows))
    return paper_report.depth(rows), rows


def store(part: str, options: argparse.Namespace) -> Store:
    return Store(None if options.quick else DATA / f"{part}.json", fresh=options.fresh)


def keep_plot(options: argparse.Namespace, name: str, draw: Callable[[], str]) -> None:
    if options.plots is not None:
        (options.plots / name).write_text(draw(), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--part", choices=PARTS, default=None, help="one part only; all of them otherwise")
    parser.add_argument("--quick", action="store_true", help="a smoke of each part, in seconds; stores nothing")
    parser.add_argument("--fresh", action="store_true", help="measure again instead of reading what is stored")
    parser.add_argument("--plots", type=Path, default=None, help="write the plots as SVG files to this folder")
    options = parser.parse_args(arguments)
    parts = {"numbers": part_numbers, "toy": part_toy, "signals": part_signals, "depth": part_depth}
    outcome = {}
    for name in [options.part] if options.part else PARTS:
        text, outcome[name] = parts[name](options)
        if not options.json:
            print(f"== {name}\n{text}\n", flush=True)
    if options.json:
        print(json.dumps(outcome))


if __name__ == "__main__":
    main()
