"""Whether the service loses anything: processes, database, disk and clock fail at random moments, round after round.

    python -m benchmarks.chaos --rounds 20 [--seed 0] [--db sqlite|postgresql] [--trainer real|idle]
        [--record FILE] [--json]

In each round real processes (API, runner, a local Ray with its trainers, PostgreSQL) work on small studies while one to
three faults are done to them. Then: no finished trial is gone (``lost_trials``), none counts twice
(``duplicate_trials``), every study has ended (``stuck_studies``), and with the answer of a run that nobody disturbed,
where the trials are given by the start points (``wrong_results``). ``taken_back`` counts answers that a later one
contradicted, and errors that no client should see. A service lives for some rounds; what it leaves behind when it has
ended is in ``left_behind``. With ``--record`` each round is a line of a JSONL file, and what stands there is not done
again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from benchmarks.chaos_faults import FAULTS, possible
from benchmarks.chaos_house import House, wait_until
from benchmarks.chaos_witness import Witness, answer_of, picture
from benchmarks.idle_trainer import IdleTrainer
from service.app import create_app
from service.blobs import BlobStore
from service.database import make_engine, upgrade
from service.runner import Runner
from service.settings import Settings
from service.stopping import raised_once
from service.store import Store
from workers.engine import Engine as Studies
from workers.pool_local import LocalPool
from workers.pool_ray import torch_trainer
from workers.storage import open_storage

__all__ = ["main", "play", "study"]

TOGETHER = 4  # rounds that a service lives for
START_SEEDS = 2  # different undisturbed studies
WITHIN = 6.0  # seconds from a round's begin in which its faults begin
PATIENCE = 900.0  # seconds after the last fault: a Ray takes minutes to start on a machine that others use
COUNTS = ("lost_trials", "duplicate_trials", "stuck_studies", "wrong_results", "open_trials", "taken_back")


def study(dataset_id: str, kind: str, seed: int) -> dict[str, Any]:
    """A small study. "given": every trial is a start point, so the answer depends on nothing but the seed."""
    families, trials = (["gaussian"], 5) if kind == "given" else (["sine"], 8)
    return {
        "dataset_id": dataset_id,
        "activations": [{"family": family} for family in families],
        "network": {"width": 16, "hidden_layers": 2},
        "training": {"steps": 200},
        "search": {"trials": trials, "seed": seed},
        "confirm": {"finalists": 1, "seeds": 2},
        "baselines": ["pytorch_default"],
        "reuse": False,
    }


def persistently(ask: Any, seconds: float = PATIENCE) -> Any:
    """Ask until there is an answer, as a client does."""
    end = time.monotonic() + seconds
    while (answer := ask()) is None:
        if time.monotonic() > end:
            raise TimeoutError(f"no answer within {seconds:.0f} s")
        time.sleep(0.3)
    return answer


def undisturbed(trainer: str, seeds: Sequence[int] = range(START_SEEDS)) -> dict[str, Any]:
    """The answers of the given studies by seed: by the same API and runner, in this process, one trainer, no Ray."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        settings = Settings(data_dir=Path(folder))
        database = make_engine(settings.url)
        upgrade(database)
        storage, store = open_storage(settings.url), Store(database)
        pool = LocalPool(player=IdleTrainer if trainer == "idle" else torch_trainer)
        runner = Runner(store, BlobStore(settings.blob_place), Studies(pool, storage), owner="undisturbed")
        with TestClient(create_app(settings)) as client:
            files = {"files": ("picture.png", picture(), "image/png")}
            dataset = client.post("/v1/datasets", files=files).json()["id"]
            bodies = [study(dataset, "given", seed) for seed in seeds]
            ids = [client.post("/v1/studies", json=body).json()["id"] for body in bodies]
            runner.run(threading.Event(), lambda: all(store.result(study_id) for study_id in ids))
            answers = [answer_of(client.get(f"/v1/studies/{study_id}/best").json()) for study_id in ids]
        storage.engine.dispose()
        database.dispose()
    return {str(seed): answer for seed, answer in zip(seeds, answers, strict=True)}


def await_end(witness: Witness, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not witness.all_ended() and time.monotonic() < end:
        witness.look()
        time.sleep(0.3)


def play(house: House, seed: int, number: int, known: dict[str, Any], only: Sequence[str] = ()) -> dict[str, Any]:
    """One round. ``only``: these faults, in this order, instead of drawn ones."""
    assert house.service is not None
    draw = random.Random(f"{seed} {number} {house.database}")
    names = list(only) or draw.sample(possible(house), draw.choice((1, 2, 3)))
    plan = sorted((draw.uniform(0.3, WITHIN), name) for name in names)
    with contextlib.suppress(TimeoutError):  # faults are to meet work, not a service that starts
        wait_until(lambda: house.below_runner("ray::_TrainerActor"), "trainers", PATIENCE)
    begun, witness, done = time.monotonic(), Witness(house.service.url), []
    dataset = persistently(witness.upload)
    start = number % START_SEEDS
    given = persistently(lambda: witness.start(study(dataset, "given", start)))
    faults = threading.Thread(target=lambda: done.extend(do_faults(house, plan, draw, begun)))
    faults.start()
    searched = persistently(lambda: witness.start(study(dataset, "searched", number)))
    while faults.is_alive():
        witness.look()
        time.sleep(0.3)
    await_end(witness, PATIENCE)
    witness.look()
    verdict = witness.verdict(house.settings, {given: known[str(start)]})
    if verdict["stuck_studies"]:
        verdict["notes"].append(house.last_words())
    witness.close()
    return {
        "database": house.database, "trainer": house.trainer, "seed": seed, "round": number, "faults": done,
        "studies": len({given, searched}), "seconds": round(time.monotonic() - begun, 1), **verdict,
    }  # fmt: skip


def do_faults(house: House, plan: Sequence[tuple[float, str]], draw: random.Random, begun: float) -> Iterator[str]:
    for moment, name in plan:
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        try:
            what = FAULTS[name](house, draw)
        except Exception as error:
            what = f"could not be done: {type(error).__name__}: {error}"
        yield f"{time.monotonic() - begun:.1f} s {name} ({what})"


def rounds(
    database: str, trainer: str, numbers: Sequence[int], seed: int, record: Path | None
) -> Iterator[dict[str, Any]]:
    """Play these rounds, a few with each service."""
    known = undisturbed(trainer) if numbers else {}
    for place in range(0, len(numbers), TOGETHER):
        house = House(database, trainer)
        played = []
        with house:
            for number in numbers[place : place + TOGETHER]:
                played.append(play(house, seed, number, known))
                print(line_of(played[-1]), file=sys.stderr, flush=True)
        played[-1]["left_behind"] = house.left
        for one in played:
            if record is not None:
                with record.open("a") as file:
                    file.write(json.dumps(one) + "\n")
            yield one


def line_of(one: dict[str, Any]) -> str:
    bad = {name: one[name] for name in COUNTS if one[name]}
    said = "  ".join([*one["faults"], *(f"{name} {count}" for name, count in bad.items()), *one["notes"]])
    return f"{one['database']} round {one['round']}: {one['seconds']:.0f} s  {said}"


def recorded(record: Path | None, seed: int) -> list[dict[str, Any]]:
    """The rounds of this seed that stand in the file."""
    if record is None or not record.exists():
        return []
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    return [one for one in lines if one["seed"] == seed]


def total(played: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The sums over all rounds, and how often each fault was done."""
    faults = Counter(name for one in played for fault in one["faults"] for name in FAULTS if f"s {name} (" in fault)
    return {
        "rounds": len(played),
        "studies": sum(one["studies"] for one in played),
        **{name: sum(one[name] for one in played) for name in COUNTS},
        "left_behind": sum(len(one.get("left_behind", ())) for one in played),
        "by_database": dict(Counter(one["database"] for one in played)),
        "by_trainer": dict(Counter(one["trainer"] for one in played)),
        "faults": dict(sorted(faults.items())),
        "seconds": round(sum(one["seconds"] for one in played)),
    }


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4, help="of each database")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--db", choices=("sqlite", "postgresql"), action="append", help="default: both")
    parser.add_argument("--trainer", choices=("real", "idle"), default="real")
    parser.add_argument("--record", type=Path, help="JSONL file of the rounds")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(words)
    played = recorded(given.record, given.seed)
    with raised_once():  # the house is closed on the way out
        for database in given.db or ["sqlite", "postgresql"]:
            stand = {one["round"] for one in played if (one["database"], one["trainer"]) == (database, given.trainer)}
            missing = [number for number in range(given.rounds) if number not in stand]
            played += rounds(database, given.trainer, missing, given.seed, given.record)
    answer = total(played)
    print(json.dumps(answer) if given.json else "\n".join(f"{name}: {value}" for name, value in answer.items()))
    return int(any(answer[name] for name in (*COUNTS, "left_behind")))


if __name__ == "__main__":
    sys.exit(main())
