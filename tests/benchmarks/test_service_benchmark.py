"""The measurement of the API: a smoke of all its parts over a real PostgreSQL, and that no GET is left out."""

from __future__ import annotations

from pathlib import Path

from benchmarks import service as benchmark
from benchmarks.service_house import House
from service.app import create_app
from service.settings import Settings


def test_every_part_runs_in_small() -> None:
    """A study of recorded trials and one that goes on are asked about; every kind has its times, none fails."""
    found = benchmark.measure(trials=120, seconds=1.0, number=1, requests=40, rates=False)
    assert found["milliseconds"].keys() == found["first_ms"].keys() | {benchmark.POST}
    for kind in found["milliseconds"].values():
        assert 0.0 < kind["p50"] <= kind["p95"] <= kind["p99"]
    assert found["memory"]["last_mb"] > 10.0
    assert found["within_bars"].keys() == {"p50", "p99", "memory"}
    assert "all GETs" in benchmark.table(found)


def test_every_get_is_measured(tmp_path: Path) -> None:
    """But the stream of events, which has no end while a study runs."""
    app = create_app(Settings(data_dir=tmp_path))
    paths = {path for path, operations in app.openapi()["paths"].items() if "get" in operations}
    there = House("", None, "DATASET", "BIG", "RUNNING")  # type: ignore[arg-type]
    asked = {path.partition("?")[0] for path in benchmark.gets(there).values()}
    for path in paths - {"/v1/studies/{study_id}/events"}:
        ways = {path.replace("{dataset_id}", "DATASET").replace("{study_id}", study) for study in ("BIG", "RUNNING")}
        assert ways & asked, path
