"""What a cluster gains and costs: two nodes against one, a node that is lost, many studies at once.

``python -m benchmarks.cluster [--json] [--quick]`` starts the services of docker-compose.yml as processes of this
machine (benchmarks.topology). Trainers that sleep take no processor time, so two nodes fit on two busy cores, and what
is missing from a speedup of 2 is what runner, Ray and database cost.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.sleeping_trainer import JOURNAL, STEP_SECONDS
from benchmarks.topology import Topology

STEP = 0.002  # seconds that a step sleeps
ENDED = ("completed", "failed", "cancelled")
BARS = {"speedup": 1.9, "recovery": 30.0}
WAIT = 900.0


def study(steps: int, trials: int, finalists: int = 2, seeds: int = 4, width: int = 16) -> dict[str, Any]:
    """A request without its dataset."""
    return {
        "activations": [{"family": "gaussian"}],
        "network": {"width": width, "hidden_layers": 2},
        "training": {"steps": steps},
        "search": {"trials": trials, "seed": 0},
        "confirm": {"finalists": finalists, "seeds": seeds},
        "reuse": False,
    }


def finished(top: Topology, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The studies, once all have ended. Raises RuntimeError if one is not completed."""
    found: dict[str, dict[str, Any]] = {}

    def all_ended() -> bool:
        for number in ids:
            if number not in found:
                one = top.request(f"/v1/studies/{number}")
                if one["state"] not in ENDED:
                    return False
                if one["state"] != "completed":
                    raise RuntimeError(f"study {number} is {one['state']}: {one}")
                found[number] = one
        return True

    top.wait_until(all_ended, f"{len(ids)} studies", WAIT)
    return [found[number] for number in ids]


def seconds(one: dict[str, Any], begin: str, end: str) -> float:
    """Between two times of a study."""
    first, last = (datetime.fromisoformat(one[name]) for name in (begin, end))
    return (last - first).total_seconds()


def timed(top: Topology, dataset: str, request: dict[str, Any]) -> float:
    """How long a study takes from its start to its end."""
    number = top.request("/v1/studies", request | {"dataset_id": dataset})["id"]
    return seconds(finished(top, [number])[0], "started", "finished")


class Journal:
    """What the sleeping trainers wrote: (time, process, member, step) at each turn's begin."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> list[tuple[float, int, str, int]]:
        """All lines that are whole."""
        text = self._path.read_text() if self._path.exists() else ""
        return [tuple(json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def processes(self, since: float) -> set[int]:
        """Trainers that have begun a turn since then."""
        return {process for when, process, _, _ in self.rows() if when >= since}


def await_nodes(top: Topology, journal: Journal, dataset: str, count: int) -> None:
    """Until so many trainers work on a study that is sent for this alone."""
    began = time.time()
    number = top.request("/v1/studies", study(20_000, 50) | {"dataset_id": dataset})["id"]
    top.wait_until(lambda: len(journal.processes(max(began, time.time() - 8))) >= count, f"{count} trainers", WAIT)
    top.request(f"/v1/studies/{number}/cancel", {}, method="POST")
    top.wait_until(lambda: top.request(f"/v1/studies/{number}")["state"] == "cancelled", "a cancelled study", WAIT)


def speedup(
    top: Topology, journal: Journal, dataset: str, request: dict[str, Any], *, sleeping: bool
) -> dict[str, float]:
    """The same study on one node and on two; leaves both running."""
    one = timed(top, dataset, request)
    top.start_node("node-1")
    if sleeping:
        await_nodes(top, journal, dataset, 2)
    else:
        time.sleep(45.0)  # the real trainer keeps no journal
    two = timed(top, dataset, request)
    return {"one_node": one, "two_nodes": two, "speedup": one / two}


def recovery(top: Topology, journal: Journal, dataset: str, number: int) -> dict[str, float]:
    """A node of two stops at once; when its trial trains again, and how much of it was lost."""
    began = time.time()
    ident = top.request("/v1/studies", study(60_000, 4) | {"dataset_id": dataset})["id"]
    pids = {process.pid for process in top.family("node-1")}
    # In the middle of the second leg of ten seconds there is something to lose and something to go on from.
    top.wait_until(
        lambda: [r for r in journal.rows() if r[0] > began and r[1] in pids and r[3] > 7000], "a second leg", WAIT
    )
    time.sleep(2.0)
    at = time.time()
    top.signal("node-1", number)
    when, _, member, step = [row for row in journal.rows() if row[1] in pids][-1]
    again = top.wait_until(
        lambda: [r for r in journal.rows() if r[0] > at and r[2] == member and r[1] not in pids], "its trial", WAIT
    )[0]
    top.request(f"/v1/studies/{ident}/cancel", {}, method="POST")
    top.wait_until(lambda: top.request(f"/v1/studies/{ident}")["state"] == "cancelled", "a cancelled study", WAIT)
    top.signal("node-1", signal.SIGKILL)
    top.start_node("node-1")
    await_nodes(top, journal, dataset, 2)
    trained = step + (at - when) / STEP
    return {"recovery": again[0] - at, "training_lost": (trained - again[3]) * STEP}


def crowd(top: Topology, dataset: str, count: int) -> dict[str, float]:
    """So many small studies sent at once: how long they wait, and whether they are served alike."""
    request = study(100, 2, finalists=1, seeds=2) | {"dataset_id": dataset}
    ids = [top.request("/v1/studies", request | {"search": {"trials": 2, "seed": k}})["id"] for k in range(count)]
    ones = finished(top, ids)
    queued = [seconds(one, "created", "started") for one in ones]
    running = [seconds(one, "started", "finished") for one in ones]
    starts = [datetime.fromisoformat(one["started"]) for one in ones]
    ends = [datetime.fromisoformat(one["finished"]) for one in ones]
    total = (max(ends) - datetime.fromisoformat(ones[0]["created"])).total_seconds()
    return {
        "studies": count,
        "total": total,
        "total_each": total / count,
        "queue_median": statistics.median(queued),
        "queue_longest": max(queued),
        "run_median": statistics.median(running),
        "run_longest": max(running),
        "fairness": sum(running) ** 2 / (count * sum(one * one for one in running)),  # Jain's index: 1 is equal
        "overtaken": sum(later < earlier for earlier, later in pairwise(starts)),
    }


def picture() -> bytes:
    """A photograph of 24 x 24 pixels, as PNG."""
    import io

    import numpy as np
    from PIL import Image
    from skimage import data

    file = io.BytesIO()
    Image.fromarray(np.asarray(data.chelsea())).crop((75, 0, 375, 300)).resize((24, 24)).save(file, "PNG")
    return file.getvalue()


def sleeping_part(*, quick: bool) -> dict[str, Any]:
    """Everything that is measured with trainers that sleep."""
    with tempfile.TemporaryDirectory(prefix="vc-", dir="/tmp") as name:
        folder = Path(name)
        journal = Journal(folder / "journal")
        environment = {STEP_SECONDS: str(STEP), JOURNAL: str(folder / "journal")}
        with Topology(folder, nodes=1, runner="benchmarks.sleeping_trainer", environment=environment) as top:
            dataset = top.upload(picture())
            await_nodes(top, journal, dataset, 1)
            request = study(1000, 12, seeds=2) if quick else study(2000, 24)
            answer: dict[str, Any] = {"sleeping": speedup(top, journal, dataset, request, sleeping=True)}
            answer["killed"] = recovery(top, journal, dataset, signal.SIGKILL)
            if not quick:
                answer["silent"] = recovery(top, journal, dataset, signal.SIGSTOP)
            answer["crowds"] = [crowd(top, dataset, count) for count in ((1, 10) if quick else (1, 10, 100))]
    return answer


def real_part() -> dict[str, float]:
    """The speedup with trainers that compute, each on one core."""
    with tempfile.TemporaryDirectory(prefix="vc-", dir="/tmp") as name, Topology(Path(name), nodes=1) as top:
        dataset = top.upload(picture())
        timed(top, dataset, study(200, 4))  # compiles what there is to compile
        return speedup(top, Journal(Path(name) / "none"), dataset, study(1000, 24, width=64), sleeping=False)


def show(answer: dict[str, Any]) -> None:
    """As a table."""
    for name in ("sleeping", "real"):
        if name in answer:
            row = answer[name]
            print(
                f"{name:9} one node {row['one_node']:.1f} s, two {row['two_nodes']:.1f} s: speedup {row['speedup']:.2f}"
            )
    for name in ("killed", "silent"):
        if name in answer:
            row = answer[name]
            print(f"{name:9} trains again after {row['recovery']:.1f} s, {row['training_lost']:.1f} s of training lost")
    print("studies  total s  each s  queue median, longest s  run median, longest s  fairness  overtaken")
    for row in answer["crowds"]:
        print(
            f"{row['studies']:7d} {row['total']:8.1f} {row['total_each']:7.2f} {row['queue_median']:14.1f} "
            f"{row['queue_longest']:9.1f} {row['run_median']:12.1f} {row['run_longest']:9.1f} {row['fairness']:9.3f} "
            f"{row['overtaken']:10d}"
        )


def main() -> None:
    """Measure, print, and fail if a bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a shorter study, 1 and 10 at once, no real trainer")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    answer = sleeping_part(quick=chosen.quick)
    if not chosen.quick:
        answer["real"] = real_part()
    answer["met"] = {
        "speedup": answer["sleeping"]["speedup"] >= BARS["speedup"],
        "recovery": answer["killed"]["recovery"] < BARS["recovery"],
    }
    if chosen.json:
        print(json.dumps(answer, indent=2))
    else:
        show(answer)
        print(f"bars {BARS}: {answer['met']}")
    raise SystemExit(not all(answer["met"].values()))


if __name__ == "__main__":
    main()
