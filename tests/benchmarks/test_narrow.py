"""Narrow networks: a smoke of the benchmark, its gradients against autograd, and what is stored against the library."""

import json
import math

import pytest
import torch

from benchmarks import narrow
from benchmarks.paper_store import Store
from vi3nr.activations import activation
from vi3nr.diagnostics import layer_variances
from vi3nr.finite_width import finite_width_drift
from vi3nr.initialisers import draw_parameters, generator_for
from vi3nr.networks import INR
from vi3nr.profile import vi3nr_config


def test_every_part_runs_in_small(capsys: pytest.CaptureFixture[str]) -> None:
    """All parts answer, as one JSON object, and a quick run leaves the stored results alone."""
    before = {path.name: path.read_bytes() for path in narrow.DATA.iterdir()}
    narrow.main(["--quick", "--json"])
    outcome = json.loads(capsys.readouterr().out)
    assert {path.name: path.read_bytes() for path in narrow.DATA.iterdir()} == before
    assert {name: len(rows) for name, rows in outcome.items()} == {
        "drift": 6,
        "gaussian": 3,
        "wire": 1,
        "first": 1,
        "chance": 2,
    }
    assert all(math.isfinite(row["measured"]) for rows in outcome.values() for row in rows)


def test_the_gradient_by_hand_is_autograds() -> None:
    """With the forward pass's own weights: so the only thing that drawing them apart changes is the weights."""
    config = vi3nr_config(narrow.WIRE, (12, 12, 12, 12), sigma_p=0.1, distribution="normal")
    x = narrow.entering(5, 12, 0)
    parameters = draw_parameters(config, generator_for(1))
    sent = torch.empty(5, 12).normal_(generator=generator_for(2))
    ours = narrow.backward(narrow.forward(config, parameters, x), parameters, sent)
    network = INR.from_config(config, seed=1)
    _, theirs = layer_variances(network, x, torch.zeros(5, 12), generator=generator_for(2))
    assert narrow.mean_square(ours) / narrow.mean_square(sent) == pytest.approx(theirs[0], rel=1e-5)


def stored(part: str) -> list[dict]:
    return list(Store(narrow.DATA / f"{part}.json").rows.values())


def test_the_stored_drift_is_what_the_library_calculates() -> None:
    """Cell by cell the prediction is the present code's, and what docs/library.md says of it holds.

    Where it says under 1 % the networks agree within their sampling error; where more, they drift at least as far,
    but for the sampling error, and at most half as far again.
    """
    rows = stored("drift")
    assert len(rows) == len(narrow.FULL.drift_families) * len(narrow.DRIFT_RHOS)
    drifting = [row for row in rows if abs(row["predicted"] - 1.0) > narrow.DRIFTS]
    assert {(row["family"], row["rho"]) for row in drifting} == {("gelu", 0.5), ("silu", 0.5), ("silu", 2), ("wire", 5)}
    for row in [*drifting, rows[0], rows[3]]:
        phi = activation(row["family"])
        config = vi3nr_config(phi, (256,) * 11, sigma_p=row["rho"] * phi.sigma_a, input_second_moment=1.0)
        assert 1.0 + finite_width_drift(config)[-1] == pytest.approx(row["predicted"], rel=1e-9)
    for row in rows:
        drift, measured, error = row["predicted"] - 1.0, row["measured"] - 1.0, row["standard_error"]
        if row in drifting:
            assert drift - 3.0 * error < measured < 1.5 * drift + 3.0 * error
            assert error < 0.25 * drift or row["family"] == "silu"
        else:
            assert abs(measured - drift) < 4.0 * error


def test_the_stored_gradients_of_wire_say_what_the_docs_say() -> None:
    """At rho 5 narrow networks' gradients are far below the forecast, wider ones' less; drawn apart, hardly."""
    rows = {(row["rho"], row["width"]): row for row in stored("wire")}
    assert set(rows) == {(rho, width) for rho, width, _ in narrow.WIRE_CELLS}
    at_five = [rows[5.0, width] for width in (128, 256, 512)]
    means = [row["measured"] for row in at_five]
    assert means == sorted(means)
    assert means[0] < 0.5 < means[1] < means[2] < 0.85
    for row in rows.values():
        lost, lost_apart = 1.0 - row["measured"], 1.0 - row["apart_measured"]
        assert lost_apart < 0.3 * lost + 2.0 * row["apart_standard_error"]


def test_the_stored_first_layers_say_what_the_docs_say() -> None:
    """With normal weights the prediction by point is right; uniform ones differ from the theory by less."""
    rows = {(row["family"], row["sigma_p"], row["width"], row["distribution"]): row for row in stored("first")}
    assert len(rows) == len(narrow.FIRST)
    for key, row in rows.items():
        if row["distribution"] == "normal":
            assert abs(row["measured"] - row["by_point"]) < 4.0 * row["standard_error"]
            assert 1.0 < rows[*key[:3], "uniform"]["measured"] < row["measured"]
