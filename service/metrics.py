"""``/metrics`` for Prometheus: this process's requests, and what the database knows of studies, trials and runners.

Figures of the database are the same whichever API process is asked: take ``max``, not ``sum``, over several.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from service.runner_figures import Board, RunnerSeen
from service.states import StudyState
from service.store import Store
from workers.gauge import BOUNDS

__all__ = ["Metrics"]

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.15, 0.5, 2.0, 10.0)  # bounds of a request's; few, for each route has them all
TRIALS_SECONDS = 10.0  # that a count of all trials is used again


class Metrics:
    """One application's own registry."""

    def __init__(self, store: Store, board: Board) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "vi3nr_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "vi3nr_http_seconds", "Seconds of a request until its answer began", ["method", "route"],
            registry=self.registry, buckets=SECONDS,
        )  # fmt: skip
        self.open = Gauge("vi3nr_http_open_requests", "Requests that are being answered", registry=self.registry)
        ProcessCollector(registry=self.registry)
        self.registry.register(_Stored(store, board))


class _Stored(Collector):
    """Reads the database when it is asked."""

    def __init__(self, store: Store, board: Board) -> None:
        self._store, self._board = store, board
        self._trials: dict[str, int] = {}
        self._counted = float("-inf")

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the database need not be there when the application is made."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures; ``vi3nr_database_up`` alone while the database cannot be used."""
        try:
            studies, runners = self._store.study_counts(), self._board.runners()
            if time.monotonic() - self._counted > TRIALS_SECONDS:
                self._trials, self._counted = self._store.trial_counts(), time.monotonic()
        except SQLAlchemyError:
            yield GaugeMetricFamily("vi3nr_database_up", "Whether the database can be used", value=0)
            return
        yield GaugeMetricFamily("vi3nr_database_up", "Whether the database can be used", value=1)
        kept = GaugeMetricFamily("vi3nr_studies", "Studies that are kept, by state", labels=["state"])
        for state in StudyState:
            kept.add_metric([state.value], studies.get(state.value, 0))
        yield kept
        stored = GaugeMetricFamily("vi3nr_trials_stored", "Trials that are kept, by state", labels=["state"])
        for word, count in self._trials.items():
            stored.add_metric([word], count)
        yield stored
        yield GaugeMetricFamily("vi3nr_runners", "Runners seen within a minute", value=len(runners))
        yield from _of_runners(runners)


def _of_runners(runners: list[RunnerSeen]) -> Iterator[Metric]:
    for name, text in (
        ("slots", "Members that the runner's devices train at once"),
        ("slots_in_use", "Of these, taken"),
        ("studies_held", "Studies that the runner works on"),
    ):
        gauge = GaugeMetricFamily(f"vi3nr_runner_{name}", text, labels=["runner"])
        for runner in runners:
            gauge.add_metric([runner.name], runner.figures.get(name, 0))
        yield gauge
    for name, key, text in (
        ("trials", "trials", "Trials that have ended at this runner"),
        ("studies_ended", "studies_ended", "Studies that have ended at this runner"),
    ):
        counter = CounterMetricFamily(f"vi3nr_runner_{name}", text, labels=["runner", "state"])
        for runner in runners:
            for state, count in runner.figures.get(key, {}).items():
                counter.add_metric([runner.name, state], count)
        yield counter
    lost = CounterMetricFamily("vi3nr_runner_devices_lost", "Trainers that died", labels=["runner"])
    bars = HistogramMetricFamily("vi3nr_runner_segment_seconds", "Seconds of a segment of training", labels=["runner"])
    for runner in runners:
        lost.add_metric([runner.name], runner.figures.get("devices_lost", 0))
        counts = runner.figures.get("segments", [0] * (len(BOUNDS) + 1))
        sums = [sum(counts[: place + 1]) for place in range(len(counts))]
        ends = [*map(str, BOUNDS), "+Inf"]
        bars.add_metric([runner.name], list(zip(ends, sums, strict=True)), runner.figures.get("segment_seconds", 0.0))
    yield lost
    yield bars
