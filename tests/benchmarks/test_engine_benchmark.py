"""The measurement of the executors: one cell on the CPU, and what is said where there is no GPU."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from benchmarks import engine, engine_reports


def test_one_cell_on_the_cpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object with the keys that docs/performance.md explains."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(engine, "PEAK_SIZE", {"cpu": 64})
    monkeypatch.setattr(
        sys, "argv", ["engine", "--json", "--quick", "--widths", "8", "--points", "256", "--families", "tanh"]
    )
    engine.main()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    outcome = json.loads(capsys.readouterr().out)
    (row,) = outcome["rows"]
    assert {"device", "family", "width", "points", "ratio_vs_loop", "fraction_of_peak", "steps_per_second"} <= set(row)
    assert (row["device"], row["family"], row["width"], row["points"]) == ("cpu", "tanh", 8, 256)
    assert outcome["peak_gflops"] > 0.0


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence and a status of 2, no traceback."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["engine", "--device", "cuda"])
    with pytest.raises(SystemExit) as ended:
        engine.main()
    assert ended.value.code == 2
    assert "PyTorch sees no CUDA device here" in capsys.readouterr().err


def test_the_cost_of_reports(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Full batch and minibatch: several reports on the one side, and a finite share."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", ["engine_reports", "--json", "--quick", "--families", "relu"])
    engine_reports.main()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    outcome = json.loads(capsys.readouterr().out)
    assert [row["batch_size"] for row in outcome["rows"]] == [None, engine_reports.BATCH]
    full, small = (row["reports"] for row in outcome["rows"])
    assert full > 1
    assert full >= small >= 1
    assert -1.0 < outcome["worst"] == max(row["report_fraction"] for row in outcome["rows"])
