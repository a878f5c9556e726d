"""What a study costs beside the training: a whole study against the engine alone, and trials a second of idle trainers.

    python -m benchmarks.overhead [--json] [--quick] [--part study rate] [--seconds 5] [--rounds 3] [--actors 1,8,64]

``study``: a study through runner, Ray (one trainer actor) and SQLite; then the same trainings, each as far as it went
there, one after the other by the same executor in this process, on one thread as the actor. Both take turns. Starting
Ray and compiling are done before. ``overhead_fraction`` is the median over the rounds of (whole - alone) / alone by the
clock. ``cpu_overhead_fraction`` is the same of CPU seconds, all processes of the study counted: other work on the
machine stretches the clock, and it much less. ``trainer_cpu_fraction`` is the part of the study's CPU seconds that the
trainer used.

``rate``: trials a second of one study whose trainers do nothing (eight turns and reports a trial as always), by the
number of actors and the database: from queueing the study to the last report of its search.

JSON: {"overhead_fraction", "cpu_overhead_fraction", "study": {"seconds_per_training", "trainings", "rounds": [{...}]},
"rates": [{"actors", "database", "trials", "trials_per_second", "runner_cpu_ms_per_training"}]}; a part that was not
asked for is null.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.idle_trainer import IdleTrainer
from benchmarks.overhead_house import House, Recorder, cpu_seconds, database
from vi3nr.ensemble.interface import Recipe
from vi3nr.signals import Signal
from workers.objective import Objective
from workers.plan import Budget, FamilyPlan, Network, StudyPlan
from workers.pool import Admission, Pool
from workers.pool_local import LocalPool
from workers.pool_ray import RayPool
from workers.trainer import executor_for

SIDE = 64  # of the picture: 4096 points
WIDTH = 64
SHORT = 40  # steps of a training whose length does not matter
DATABASES = ("sqlite", "postgresql")


def picture() -> Signal:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    x = np.stack([2 * columns.ravel() - 1, 2 * rows.ravel() - 1], axis=1)
    waves = [np.sin(9 * x @ rng.normal(size=2) + shift) for shift in range(3)]
    return Signal(x.astype(np.float32), np.stack(waves, axis=1).astype(np.float32), "image", (SIDE, SIDE))


def plan(name: str, steps: int, trials: int, width: int = WIDTH) -> StudyPlan:
    """Trials and runs of one length, so that each of them takes the same time."""
    return StudyPlan(
        study_id=name, families=(FamilyPlan("gaussian"),), network=Network(width, 3), recipe=Recipe(steps),
        budget=Budget(trials), seed=0, search_steps=steps, method="analytic", objective=Objective(), finalists=1,
        seeds=2, baselines=("pytorch_default",),
    )  # fmt: skip


def train_alone(trained: Sequence[Admission], signal: Signal) -> float:
    """The seconds that the executor takes for these members, one after the other."""
    make = executor_for("cpu")
    begin = time.perf_counter()
    for admission in trained:
        ensemble = make(signal, admission.group, 1)
        ensemble.admit(admission.member)
        ensemble.advance(admission.member.until)
    return time.perf_counter() - begin


def steps_for(seconds: float, example: Admission, signal: Signal) -> int:
    """Steps of a training that takes about so long."""
    steps = 50
    taken = train_alone([replace(example, member=replace(example.member, until=steps))], signal)
    return max(SHORT, 8 * round(seconds / taken * steps / 8))


def study(seconds: float, rounds: int, trials: int, *, quick: bool) -> dict[str, Any]:
    """The first part; ``quick``: without Ray, trainings as short as can be."""
    signal, width = picture(), 8 if quick else WIDTH
    pool = LocalPool() if quick else RayPool(cpus=1)
    trainers = set() if isinstance(pool, LocalPool) else set(pool.pids().values())
    recorder = Recorder(pool)
    try:
        with database("sqlite") as (folder, url):
            house = House(folder, url, recorder, signal)
            house.run(plan("warm-up", SHORT, 1, width))
            example = recorder.trained[0]
            train_alone([example], signal)
            steps = SHORT if quick else steps_for(seconds, example, signal)
            studies = [plan(f"round {number}", steps, trials, width) for number in range(rounds)]
            found = [_round(house, recorder, asked, signal, trainers) for asked in studies]
            house.close()
    finally:
        pool.close()
    median = {name: statistics.median(row[name] for row in found) for name in found[0]}
    return {
        "seconds_per_training": median["alone_seconds"] * steps / median["steps"],
        "trainings": int(median["trainings"]),
        "overhead_fraction": median["overhead_fraction"],
        "cpu_overhead_fraction": median["cpu_overhead_fraction"],
        "trainer_cpu_fraction": median["trainer_cpu_fraction"],
        "rounds": found,
    }


def _round(house: House, recorder: Recorder, asked: StudyPlan, signal: Signal, trainers: set[int]) -> dict[str, float]:
    """A study, and then its trainings alone."""
    recorder.begin()
    begun = cpu_seconds(trainers)
    whole = house.run(asked)
    ended = cpu_seconds(trainers)
    trainer_cpu, other_cpu = (after - before for before, after in zip(begun, ended, strict=True))
    cpu = time.thread_time()
    alone = train_alone(recorder.trained, signal)
    cpu = time.thread_time() - cpu
    return {
        "trainings": len(recorder.trained),
        "steps": sum(admission.member.until for admission in recorder.trained),
        "turns": recorder.turns,
        "whole_seconds": whole,
        "alone_seconds": alone,
        "overhead_fraction": (whole - alone) / alone,
        "trainer_cpu_seconds": trainer_cpu,
        "other_cpu_seconds": other_cpu,
        "alone_cpu_seconds": cpu,
        "cpu_overhead_fraction": (trainer_cpu + other_cpu - cpu) / cpu,
        "trainer_cpu_fraction": trainer_cpu / (trainer_cpu + other_cpu),
    }


def rates(actors: Sequence[int], kinds: Sequence[str], trials: int, *, quick: bool) -> list[dict[str, Any]]:
    """The second part: rows by number of actors and database; ``quick``: without Ray."""
    rows = []
    for count in actors:
        pool = LocalPool(devices=count, player=IdleTrainer) if quick else RayPool(cpus=count, player=IdleTrainer)
        try:
            rows += [{"actors": count, "database": kind} | _rate(pool, kind, trials) for kind in kinds]
        finally:
            pool.close()
    return rows


def _rate(pool: Pool, kind: str, trials: int) -> dict[str, float]:
    """One study on a database of its own."""
    recorder = Recorder(pool)
    with database(kind) as (folder, url):
        house = House(folder, url, recorder, picture())
        begin, cpu = time.perf_counter(), time.process_time()
        house.run(plan(kind, SHORT, trials))
        cpu = time.process_time() - cpu
        house.close()
    return {
        "trials": trials,
        "trials_per_second": trials / (recorder.last_trial - begin),
        "runner_cpu_ms_per_training": 1e3 * cpu / len(recorder.trained),
    }


def report(outcome: dict[str, Any]) -> None:
    """The table."""
    if (part := outcome["study"]) is not None:
        print(f"a study of {part['trainings']} trainings of {part['seconds_per_training']:.1f} s, one actor, SQLite")
        for row in part["rounds"]:
            print(
                f"  whole {row['whole_seconds']:.1f} s, engine alone {row['alone_seconds']:.1f} s: overhead"
                f" {100 * row['overhead_fraction']:.1f} %, of CPU seconds {100 * row['cpu_overhead_fraction']:.1f} %"
                f" (trainer {row['trainer_cpu_seconds']:.1f} s, others {row['other_cpu_seconds']:.1f} s,"
                f" alone {row['alone_cpu_seconds']:.1f} s)"
            )
        print(f"  overhead_fraction {part['overhead_fraction']:.3f}, of CPU {part['cpu_overhead_fraction']:.3f}")
    for row in outcome["rates"] or ():
        print(
            f"{row['actors']:>4} idle actors, {row['database']:<11}{row['trials_per_second']:>7.1f} trials/s,"
            f" {row['runner_cpu_ms_per_training']:.0f} ms of the runner's CPU a training"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--quick", action="store_true", help="tiny trainings in this process, no Ray: does it run?")
    parser.add_argument("--part", nargs="+", choices=("study", "rate"), default=("study", "rate"))
    parser.add_argument("--seconds", type=float, default=5.0, help="of a training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=None, help="of a study: 6 of the first part, 200 of the second")
    parser.add_argument("--actors", type=lambda text: [int(item) for item in text.split(",")], default=[1, 8, 64])
    parser.add_argument("--databases", type=lambda text: text.split(","), default=list(DATABASES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    outcome: dict[str, Any] = {"study": None, "rates": None}
    if options.quick:
        options.rounds, options.actors, options.trials = 1, [2], 3
    if "study" in options.part:
        outcome["study"] = study(options.seconds, options.rounds, options.trials or 6, quick=options.quick)
    if "rate" in options.part:
        outcome["rates"] = rates(options.actors, options.databases, options.trials or 200, quick=options.quick)
    part = outcome["study"] or {}
    outcome = {name: part.get(name) for name in ("overhead_fraction", "cpu_overhead_fraction")} | outcome
    if options.json:
        print(json.dumps(outcome))
    else:
        report(outcome)


if __name__ == "__main__":
    main()
