"""How fast the API answers: ``python -m benchmarks.service [--json] [--quick]``.

A study of 10,000 recorded trials in PostgreSQL and one that is running; 32 clients in an open loop of 40 requests a
second in total, in a process of low priority. A request's time begins when it was due, so that one that waits behind
others is not counted as quick. Then the highest rate that is held (p99 of every GET at most 150 ms), the processor's
time of a request, and the API's memory after 1,000 and after 100,000 requests.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from psutil import cpu_percent

from benchmarks.service_house import House, house, settled

RATE, CLIENTS = 40.0, 32
BAR_P99, BAR_P50 = 150.0, 20.0  # milliseconds
BAR_GROWTH = 5.0  # megabytes: less than a page of the report leaves in the allocator
RATES = (40, 60, 80, 100, 120, 140, 160, 200, 240, 320)
POST = "POST of a study"


def gets(there: House) -> dict[str, str]:
    """Every GET of the API by name, but the stream of events."""
    big, running = f"/v1/studies/{there.big}", f"/v1/studies/{there.running}"
    return {
        "study": running, "study that has ended": big, "studies": "/v1/studies?limit=50",
        "trials": f"{big}/trials?limit=100", "best": f"{big}/best", "surface": f"{big}/surface",
        "surface while running": f"{running}/surface", "report": f"{big}/report",
        "report while running": f"{running}/report", "reconstruction": f"{big}/reconstruction",
        "export": f"{big}/export",
        "dataset": f"/v1/datasets/{there.dataset_id}", "datasets": "/v1/datasets", "activations": "/v1/activations",
        "limits": "/v1/limits", "healthz": "/healthz", "readyz": "/readyz", "metrics": "/metrics", "start page": "/",
    }  # fmt: skip


def load(host: str, paths: dict[str, str], post: bytes | None, rate: float, seconds: float) -> dict[str, list[float]]:
    """Open loop: milliseconds from the moment each request was due to the end of its answer, by kind.

    Raises RuntimeError for an answer that is none.
    """
    os.nice(10)
    names = [*paths, POST] if post else list(paths)
    numbers, times = itertools.count(), defaultdict(list)
    start = time.perf_counter() + 0.2

    def client(_: int) -> None:
        connection = http.client.HTTPConnection(host, timeout=60)
        while (number := next(numbers)) < rate * seconds:
            due, name = start + number / rate, names[number % len(names)]
            time.sleep(max(0.0, due - time.perf_counter()))
            if name == POST:
                connection.request("POST", "/v1/studies", post, {"Content-Type": "application/json"})
            else:
                connection.request("GET", paths[name])
            _read(connection, name)
            times[name].append(1000 * (time.perf_counter() - due))
        connection.close()

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(client, range(CLIENTS)))
    return dict(times)


def apart(*arguments: Any) -> dict[str, list[float]]:
    """``load`` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(load, arguments)


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 in milliseconds."""
    return {f"p{share}": round(float(np.percentile(times, share)), 1) for share in (50, 95, 99)}


def processor(there: House, paths: dict[str, str], number: int) -> dict[str, float]:
    """Milliseconds of the API's processor time a request, one kind after the other, nobody else asking."""
    found = {}
    for name, path in paths.items():
        before = sum(there.api.cpu_times()[:2])
        send(there, path, number)
        found[name] = round(1000 * (sum(there.api.cpu_times()[:2]) - before) / number, 1)
    return found


def send(there: House, path: str, number: int) -> None:
    """The same request again and again over one connection."""
    connection = http.client.HTTPConnection(_host(there), timeout=60)
    for _ in range(number):
        connection.request("GET", path)
        _read(connection, path)
    connection.close()


def highest_rate(there: House, paths: dict[str, str], seconds: float) -> float:
    """The last of a growing row of rates that is held, all GETs together; 0 where the first is not."""
    held = 0.0
    for rate in RATES:
        found = apart(_host(there), paths, None, float(rate), seconds)
        if np.percentile([each for kind in found.values() for each in kind], 99) > BAR_P99:
            break
        held = float(rate)
    return held


def memory(there: House, paths: dict[str, str], few: int, many: int) -> dict[str, float]:
    """Megabytes of the API after so many requests and after that many, of all kinds from eight clients."""

    def some(number: int) -> None:
        with ThreadPoolExecutor(8) as clients:
            list(clients.map(lambda path: send(there, path, number // len(paths) + 1), paths.values()))

    some(few)
    first = settled(there.api)
    some(many - few)
    return {"requests": many, "first_mb": round(first, 1), "last_mb": round(settled(there.api), 1)}


def measure(trials: int, seconds: float, number: int, requests: int, rates: bool) -> dict[str, Any]:
    """All figures.

    Args:
        trials: recorded ones of the study that has ended.
        seconds: of load at 40 requests a second.
        number: of requests of each kind for the processor's time.
        requests: for the memory; the first figure is after 1,000, or after half of them.
        rates: whether to look for the highest rate.
    """
    with tempfile.TemporaryDirectory() as folder, house(Path(folder), trials) as there:
        paths = gets(there)
        body = {"dataset_id": there.dataset_id, "activations": [{"family": "gaussian"}], "reuse": False}
        first = {name: _once(there, path) for name, path in paths.items()}
        cpu_percent()
        idle = cpu_percent(min(2.0, seconds))
        found: dict[str, Any] = {"trials": trials, "cores": os.cpu_count(), "busy_before": idle, "first_ms": first}
        found["cpu_ms"] = processor(there, paths, number)
        times = apart(_host(there), paths, json.dumps(body).encode(), RATE, seconds)
        found["milliseconds"] = {name: percentiles(kind) for name, kind in times.items()}
        found["all_gets"] = percentiles([each for name, kind in times.items() if name != POST for each in kind])
        found["highest_rate"] = highest_rate(there, paths, 30.0) if rates else None
        found["memory"] = memory(there, paths, min(1000, requests // 2), requests)
    gotten = [kind for name, kind in found["milliseconds"].items() if name != POST]
    found["within_bars"] = {
        "p50": all(kind["p50"] <= BAR_P50 for kind in gotten),
        "p99": all(kind["p99"] <= BAR_P99 for kind in gotten),
        "memory": found["memory"]["last_mb"] - found["memory"]["first_mb"] <= BAR_GROWTH,
    }
    return found


def table(found: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{'':24}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'first ms':>10}{'CPU ms':>9}"]
    for name, kind in {**found["milliseconds"], "all GETs": found["all_gets"]}.items():
        first, cpu = (found[column].get(name, "") for column in ("first_ms", "cpu_ms"))
        lines.append(f"{name:24}{kind['p50']:9}{kind['p95']:9}{kind['p99']:9}{first:>10}{cpu:>9}")
    lines.append(f"highest rate held: {found['highest_rate']}/s")
    lines.append("memory: {first_mb} MB at first, {last_mb} MB after {requests:,} requests".format(**found["memory"]))
    lines.append(
        f"{found['cores']} cores, {found['busy_before']:.0f} % of them busy before; bars: {found['within_bars']}"
    )
    return "\n".join(lines)


def _host(there: House) -> str:
    return there.url.removeprefix("http://")


def _once(there: House, path: str) -> float:
    began = time.perf_counter()
    send(there, path, 1)
    return round(1000 * (time.perf_counter() - began), 1)


def _read(connection: http.client.HTTPConnection, name: str) -> None:
    answer = connection.getresponse()
    body = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{name} was answered with {answer.status}: {body[:500]!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="less of everything: a look, no figures to quote")
    parser.add_argument("--requests", type=int, default=100_000, help="for the look at memory")
    parser.add_argument("--seconds", type=float, default=180.0, help="of load at 40 requests a second")
    asked = parser.parse_args()
    if asked.quick:
        found = measure(300, 2.0, 2, 100, rates=False)
    else:
        found = measure(10_000, asked.seconds, 30, asked.requests, rates=True)
    print(json.dumps(found) if asked.json else table(found))


if __name__ == "__main__":
    main()
