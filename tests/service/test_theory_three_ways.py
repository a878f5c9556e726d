"""Library, API and command line say the same of an activation: names of its scale, kinds of answer, width ratios."""

from __future__ import annotations

import json
import math

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from service.commands import app
from vi3nr.activations import activation
from vi3nr.config import InitConfig
from vi3nr.moments import moments
from vi3nr.theory import condition, gain_squared, stability_bias_variance, stable_sigma_p

FORMULA = "exp(-x**2/(2*a**2)) * cos(30*x)"
NAMES = [  # family, how the field writes its scale and parameters, the scale that this is
    ("sine", {"omega": 30.0}, 1 / 30),
    ("finer", {"omega": 30.0}, 1 / 30),
    ("hosc", {"omega": 8.0, "b": 2.0}, 1 / 8),
    ("exp_sin", {"omega": 4.0}, 1 / 4),
    ("exp_sin", {"a": 4.0}, 1 / 4),
    ("sinc", {"omega": 25.0}, 1 / 25),
    ("sinc", {"sinc_omega": 8.0}, 1 / (8 * math.pi)),
    ("gaussian", {"a": 0.05}, 0.05),
    ("gaussian", {"s": 30.0}, 1 / (30 * math.sqrt(2))),
    ("gabor", {"s": 10.0, "omega": 20.0}, 0.1 / math.sqrt(2)),
    ("wire", {"s": 10.0, "omega": 20.0}, 0.1 / math.sqrt(2)),
    ("laplacian", {"a": 0.3}, 0.3),
    ("quadratic", {"a": 20.0}, 1 / 20),
    ("multi_quadratic", {"a": 20.0}, 1 / 20),
    ("super_gaussian", {"a": 0.1, "b": 2.0}, 0.1),
    (FORMULA, {"a": 0.05}, 1.0),
]
KINDS = [  # family, scale, fan-out over fan-in, kind
    ("gaussian", 0.05, 1.0, "root"),
    ("sine", 1 / 30, 0.5, "root"),
    ("gelu", 1.0, 0.96, "several_roots"),
    ("gelu", 1.0, 1.0, "both_ends"),
    ("relu", 1.0, 1.0, "any"),
    ("sine", 1 / 30, 1.0, "limit_at_0"),
    ("softplus", 1.0, 1.0, "limit_at_infinity"),
    ("sine", 1 / 30, 2.0, "none"),
]


def over_http(client: TestClient, path: str, **fields: object) -> str:
    answer = client.post(path, json=fields)
    assert answer.status_code == 200, answer.text
    return answer.text


def on_the_command_line(command: str, family: str, fields: dict[str, float]) -> str:
    words = [command, "--activation", family, "--json"]
    for name, value in fields.items():
        words += [f"--{name.replace('_', '-')}", repr(value)] if name in OPTIONS else ["-p", f"{name}={value!r}"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.stdout


OPTIONS = ("omega", "sigma_a", "sigma_p", "width_ratio")


def options_of(family: str, names: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """(fields, parameters): omega is a field where it is the scale, a parameter of the Gabor wavelets."""
    is_field = "omega" in activation(family, **names).scale_names()
    return (
        {name: value for name, value in names.items() if name == "omega" and is_field},
        {name: value for name, value in names.items() if name != "omega" or not is_field},
    )


@pytest.mark.parametrize(("family", "names", "sigma_a"), NAMES, ids=lambda value: str(value)[:30])
def test_every_name_of_the_scale_is_taken_in_all_three(
    client: TestClient, family: str, names: dict[str, float], sigma_a: float
) -> None:
    """Library, /v1/theory, /v1/init and both commands: one scale, and so one theory and one network."""
    phi = activation(family, **names)
    assert phi.sigma_a == pytest.approx(sigma_a, rel=1e-15)
    fields, parameters = options_of(family, names)
    told = json.loads(over_http(client, "/v1/theory", family=family, parameters=parameters, **fields))
    assert (told["sigma_a"], told["parameters"]) == (phi.sigma_a, phi.parameters)
    assert told["stable"]["sigma_p"] == stable_sigma_p(phi).sigma_p
    config = InitConfig.from_json(over_http(client, "/v1/init", family=family, parameters=parameters, **fields))
    assert (config.sigma_a, config.parameters) == (phi.sigma_a, phi.parameters)
    if family not in ("gabor", "wire"):  # their omega would have to be a parameter: the next test
        assert json.loads(on_the_command_line("theory", family, names)) == told
        assert InitConfig.from_json(on_the_command_line("init", family, names)) == config


def test_a_wavelets_omega_is_a_parameter_and_the_error_says_so(client: TestClient) -> None:
    """As a field or an option it is refused with the way to give it; given so, all three agree."""
    told = json.loads(over_http(client, "/v1/theory", family="wire", parameters={"s": 10.0, "omega": 20.0}))
    done = CliRunner().invoke(app, ["theory", "--activation", "wire", "-p", "s=10", "-p", "omega=20", "--json"])
    assert json.loads(done.stdout) == told
    assert told["stable"]["sigma_p"] == pytest.approx(0.0473, abs=5e-5)
    answer = client.post("/v1/theory", json={"family": "wire", "omega": 20.0})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "omega"
    assert "is a parameter and not its scale" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(("family", "sigma_a", "ratio", "kind"), KINDS)
def test_every_kind_of_answer_in_all_three(
    client: TestClient, family: str, sigma_a: float, ratio: float, kind: str
) -> None:
    """Root, several roots, any, limits at either end and both, none: the same sigma_p, and condition 1 at a root."""
    phi = activation(family, sigma_a)
    stable = stable_sigma_p(phi, ratio)
    assert stable.kind == kind
    assert (stable.sigma_p is None) == ("root" not in kind)
    told = json.loads(over_http(client, "/v1/theory", family=family, sigma_a=sigma_a, width_ratio=ratio))
    assert told["stable"] == {"sigma_p": stable.sigma_p, "kind": kind}
    assert told["at"]["sigma_p"] == (stable.sigma_p or sigma_a)
    if stable.sigma_p is not None:
        assert told["at"]["condition"] == pytest.approx(1.0, abs=1e-9)
    fields = {"sigma_a": sigma_a, "width_ratio": ratio}
    assert json.loads(on_the_command_line("theory", family, fields)) == told
    shown = CliRunner().invoke(app, ["theory", "--activation", family, "--width-ratio", repr(ratio)])
    assert f"kind: {kind}" in shown.stdout


def test_the_numbers_are_the_librarys(client: TestClient) -> None:
    """Moments with their methods, gain, condition and the bias that makes both conditions hold, at a sigma_p."""
    phi = activation("sine", omega=30.0)
    at = json.loads(over_http(client, "/v1/theory", family="sine", omega=30.0, sigma_p=0.05, width_ratio=1.5))["at"]
    found = moments(phi, 0.05)
    assert (at["mean"], at["second_moment"], at["slope_second_moment"]) == (
        *(found.mean, found.second_moment, found.slope_second_moment),
    )
    assert at["rho"] == pytest.approx(1.5)
    assert at["methods"] == ["closed_form"] * 3
    assert at["gain_squared"] == pytest.approx(gain_squared(phi, 0.05), rel=1e-14)
    assert at["condition"] == pytest.approx(condition(phi, 0.05, 1.5), rel=1e-14)
    assert at["stability_bias_variance"] == pytest.approx(stability_bias_variance(phi, 0.05, 1.5), rel=1e-13)
    sampled = json.loads(over_http(client, "/v1/theory", family="tanh", sigma_p=1.0, method="monte_carlo"))["at"]
    assert sampled["methods"] == ["monte_carlo"] * 3
    exact = moments(activation("tanh"), 1.0).second_moment
    assert abs(sampled["second_moment"] - exact) < 5 * sampled["standard_errors"][1]
    gaussian = json.loads(over_http(client, "/v1/theory", family="gaussian", sigma_a=0.1, sigma_p=0.1))["at"]
    assert gaussian["stability_bias_variance"] is None  # condition 1/3


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"family": "swish"}, "family"),
        ({"family": "sine", "width_ratio": 0.0}, "width_ratio"),
        ({"family": "gaussian", "sigma_a": 0.1, "parameters": {"s": 3.0}}, "parameters.s"),
        ({"family": "sine", "sigma_a": 0.1, "omega": 10.0}, ""),
        ({"family": "x.real * 2"}, "family"),
    ],
)
def test_what_is_wrong_is_named(client: TestClient, fields: dict[str, object], field: str) -> None:
    """422 with the field; on the command line exit status 2 and a sentence."""
    answer = client.post("/v1/theory", json=fields)
    assert answer.status_code == 422, answer.text
    assert field in answer.json()["errors"][0]["field"]


@pytest.mark.parametrize("word", ["s", "s=", "s=ten"])
def test_a_parameter_is_a_name_and_a_number(word: str) -> None:
    """Anything else is refused with what was given."""
    done = CliRunner().invoke(app, ["init", "--activation", "gaussian", "-p", word])
    assert done.exit_code == 2
    assert f"must be NAME=NUMBER, got {word!r}" in done.output
