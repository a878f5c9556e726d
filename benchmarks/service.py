"""How fast the API answers: ``python -m benchmarks.service [--json] [--quick]``.

A study of 10,000 recorded trials in PostgreSQL and one whose runner writes twice a second; 32 clients in an open loop of
40 requests a second in total, in a process of low priority. A request's time begins when it was due, so that one that
waits behind others is not counted as quick. Then the highest rate that is held (p99 of all at most 150 ms, nothing
left over), the processor's seconds a request, and the memory after 1,000 and after 100,000 requests.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.service_house import House, house, settled

RATE, CLIENTS = 40.0, 32
BAR_P99, BAR_P50 = 150.0, 20.0  # milliseconds


def gets(there: House) -> dict[str, str]:
    """Every kind of GET that a client of the service makes."""
    big, running = f"/v1/studies/{there.big}", f"/v1/studies/{there.running}"
    return {
        "study": running, "study that has ended": big, "studies": "/v1/studies?limit=50",
        "trials, a page of 100": f"{big}/trials?limit=100", "best": f"{big}/best", "surface": f"{big}/surface",
        "surface while running": f"{running}/surface", "dataset": f"/v1/datasets/{there.dataset_id}",
        "datasets": "/v1/datasets", "activations": "/v1/activations", "limits": "/v1/limits", "report": f"{big}/report",
        "metrics": "/metrics",
    }  # fmt: skip


def load(url: str, paths: dict[str, str], posts: bytes | None, rate: float, seconds: float) -> dict[str, list[float]]:
    """Open loop: milliseconds from the moment each request was due to the end of its answer, by kind."""
    os.nice(10)
    host, numbers, times = url.removeprefix("http://"), itertools.count(), defaultdict(list)
    names = [*paths, "POST of a study"] if posts else list(paths)
    start, lock = time.perf_counter() + 0.2, threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection(host, timeout=60)
        while (number := next(numbers)) < rate * seconds:
            due, name = start + number / rate, names[number % len(names)]
            time.sleep(max(0.0, due - time.perf_counter()))
            if name in paths:
                connection.request("GET", paths[name])
            else:
                connection.request("POST", "/v1/studies", posts, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status < 300, (name, answer.status)
            with lock:
                times[name].append(1000 * (time.perf_counter() - due))

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(times)


def apart(*arguments: Any) -> dict[str, list[float]]:
    """``load`` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(load, arguments)


def percentiles(times: list[float]) -> dict[str, float]:
    """p50, p95, p99 in milliseconds."""
    return {f"p{share}": round(float(np.percentile(times, share)), 1) for share in (50, 95, 99)}


def processor(there: House, paths: dict[str, str], number: int) -> dict[str, float]:
    """Milliseconds of the API's processor time a request, one kind after the other, nobody else asking."""
    found = {}
    for name, path in paths.items():
        before = sum(there.api.cpu_times()[:2])
        load_one(there.url, path, number)
        found[name] = round(1000 * (sum(there.api.cpu_times()[:2]) - before) / number, 2)
    return found


def load_one(url: str, path: str, number: int) -> None:
    """The same request again and again over one connection."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    for _ in range(number):
        connection.request("GET", path)
        connection.getresponse().read()


def highest_rate(there: House, paths: dict[str, str], seconds: float) -> float:
    """The last of a growing row of rates that is held."""
    held = 0.0
    for rate in (20, 40, 60, 80, 120, 160, 240, 320, 480, 640):
        times = [each for kind in apart(there.url, paths, None, float(rate), seconds).values() for each in kind]
        if np.percentile(times, 99) > BAR_P99:
            return held
        held = float(rate)
    return held


def memory(there: House, paths: dict[str, str], few: int, many: int) -> dict[str, float]:
    """Megabytes after so many requests and after that many."""
    row = itertools.cycle(paths.values())

    def send(number: int) -> None:
        threads = [threading.Thread(target=load_one, args=(there.url, next(row), number // 8 + 1)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for _ in range(10):
        send(few // 10)
    first = settled(there.api)
    for _ in range(20):
        send((many - few) // 20)
    return {"requests": many, "first_mb": round(first / 1e6, 1), "last_mb": round(settled(there.api) / 1e6, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="less of everything: a look, no figures to quote")
    parser.add_argument("--requests", type=int, default=None, help="of the look at memory")
    asked = parser.parse_args()
    seconds, many = (10.0, 3000) if asked.quick else (60.0, 100_000)
    with tempfile.TemporaryDirectory() as folder, house(Path(folder), 10_000) as there:
        paths = gets(there)
        body = {"dataset_id": there.dataset_id, "activations": [{"family": "gaussian"}], "reuse": False}
        for path in paths.values():
            load_one(there.url, path, 2)
        found: dict[str, Any] = {"load_average": os.getloadavg()[0], "cores": os.cpu_count()}
        found["cpu_ms"] = processor(there, paths, 10 if asked.quick else 50)
        times = apart(there.url, paths, json.dumps(body).encode(), RATE, seconds)
        found["milliseconds"] = {name: percentiles(kind) for name, kind in times.items()}
        cheap = {name: path for name, path in paths.items() if name not in ("report", "metrics")}
        found["highest_rate"] = highest_rate(there, cheap, 5.0)
        found["memory"] = memory(there, cheap, 1000, asked.requests or many)
    worst = [kind for name, kind in found["milliseconds"].items() if not name.startswith("POST")]
    found["within_bars"] = all(kind["p99"] <= BAR_P99 and kind["p50"] <= BAR_P50 for kind in worst)
    print(json.dumps(found) if asked.json else table(found))


def table(found: dict[str, Any]) -> str:
    lines = [f"{'':24}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'CPU ms':>9}"]
    for name, kind in found["milliseconds"].items():
        cpu = found["cpu_ms"].get(name, "")
        lines.append(f"{name:24}{kind['p50']:9}{kind['p95']:9}{kind['p99']:9}{cpu:>9}")
    lines.append(f"highest rate held: {found['highest_rate']:.0f}/s")
    lines.append(
        "memory: {first_mb} MB after 1,000 requests, {last_mb} MB after {requests:,}".format(**found["memory"])
    )
    lines.append(f"{found['cores']} cores, load average {found['load_average']:.1f} at the start")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
