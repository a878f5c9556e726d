"""Wrong input is answered with a 4xx problem that names the field and the value, never with a 5xx."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from told_problems import problem

from service.app import create_app
from service.settings import Settings

JSON = {"content-type": "application/json"}


def gaussian(**fields: Any) -> dict[str, Any]:
    return {"activations": [{"family": "gaussian", **fields}]}


WRONG_STUDIES: list[tuple[dict[str, Any], str, str]] = [
    ({"activations": [{"family": "siren"}]}, "activations[0].family", "siren"),
    ({"activations": []}, "activations", "[]"),
    (gaussian(bias_first="stability"), "activations[0].bias_first", "stability"),
    (gaussian(bias_first="torch_default", sigma_p_first=0.2), "activations[0].sigma_p_first", "0.2"),
    (gaussian(bias_first="torch_default"), "activations[0].sigma_p_first", "None"),
    (gaussian(bias="torch_default", sigma_p={"low": 0.01, "high": 0.02}), "activations[0].sigma_p", "0.02"),
    ({"activations": [{"family": "sine"}, {"family": "sine"}]}, "activations[0].family", "sine"),
    ({"activations": [{"family": "sine"}, {"family": "exp(x**2)"}]}, "activations[1]", "exp(x**2)"),
    ({"activations": [{"family": "sine"}, {"family": "sign(x)"}]}, "activations[1]", "sign(x)"),
    (gaussian(bias="stability", sigma_a=1.0, sigma_p=0.01), "activations[0]", "stability"),
    (gaussian(sigma_a={"low": 0.3, "high": 0.1}), "activations[0].sigma_a", "0.3"),
    (gaussian(sigma_a={"low": 0.1, "high": 0.1}), "activations[0].sigma_a", "0.1"),
    (gaussian(sigma_a={"low": 0.1}), "activations[0].sigma_a.high", ""),
    (gaussian(sigma_a={"low": 0.1, "high": 0.2, "mid": 0.15}), "activations[0].sigma_a.mid", "0.15"),
    (gaussian(sigma_a=0), "activations[0].sigma_a", "0"),
    (gaussian(sigma_p=-0.5), "activations[0].sigma_p", "-0.5"),
    (gaussian(sigma_p_first="0.5"), "activations[0].sigma_p_first", "'0.5'"),
    (gaussian(sigma_p=True), "activations[0].sigma_p", "True"),
    (gaussian(sigma_p=[0.1, 0.2]), "activations[0].sigma_p", "[0.1, 0.2]"),
    (gaussian(omega=30), "activations[0].omega", "30"),
    ({"activations": [{"family": "sine", "omega": 30, "sigma_a": 0.03}]}, "activations[0]", "30"),
    ({"activations": [{"family": "relu", "sigma_a": 2.0}]}, "activations[0].sigma_a", "2.0"),
    (gaussian(parameters={"beta": 2.0}), "activations[0].parameters.beta", "2.0"),
    (gaussian(bias="none"), "activations[0].bias", "'none'"),
    (gaussian(bias_first={"rule": "share"}), "activations[0].bias_first.share", ""),
    (gaussian(bias_first={"rule": "share", "share": 1.0}), "activations[0].bias_first.share", "1.0"),
    (
        gaussian(bias_first={"rule": "share", "share": {"low": 0.5, "high": 0.2}}),
        "activations[0].bias_first.share",
        "0.5",
    ),
    (gaussian(bias_first={"rule": "zero", "share": 0.5}), "activations[0].bias_first.rule", "'zero'"),
    (gaussian(learning_rate=0), "activations[0].learning_rate", "0"),
    ({"network": {"width": 10**6}}, "network.width", "1000000"),
    ({"network": {"width": 0}}, "network.width", "0"),
    ({"network": {"width": 64.5}}, "network.width", "64.5"),
    ({"network": {"hidden_layers": 17}}, "network.hidden_layers", "17"),
    ({"training": {"steps": 100_001}}, "training.steps", "100001"),
    ({"training": {"steps": 0}}, "training.steps", "0"),
    ({"training": {"optimizer": "sgd"}}, "training.optimizer", "'sgd'"),
    ({"training": {"schedule": "linear"}}, "training.schedule", "'linear'"),
    ({"training": {"batch_size": 385}}, "training.batch_size", "385"),
    ({"search": {"trials": 0}}, "search.trials", "0"),
    ({"search": {"trials": 1001}}, "search.trials", "1001"),
    ({"search": {"trials": "many"}}, "search.trials", "'many'"),
    ({"search": {"seed": -1}}, "search.seed", "-1"),
    ({"search": {"seed": 2**64}}, "search.seed", str(2**64)),
    ({"search": {"horizon": 0}}, "search.horizon", "0"),
    ({"search": {"horizon": 1.5}}, "search.horizon", "1.5"),
    ({"confirm": {"seeds": 1}}, "confirm.seeds", "1"),
    ({"confirm": {"seeds": 51}}, "confirm.seeds", "51"),
    ({"confirm": {"finalists": 11}}, "confirm.finalists", "11"),
    ({"method": "guess"}, "method", "'guess'"),
    ({"objective": "loss"}, "objective", "'loss'"),
    ({"baselines": ["glorot"]}, "baselines[0]", "'glorot'"),
    ({"baselines": ["xavier", "xavier"]}, "baselines[1]", "'xavier'"),
    ({"baselines": ["siren"]}, "baselines[0]", "'siren'"),
    ({"budget": 10}, "budget", "10"),
    ({"network": None}, "network", "None"),
    ({"dataset_id": "0123456789ab"}, "dataset_id", "'0123456789ab'"),
    ({"dataset_id": "\ud800 \0"}, "dataset_id", "ud800"),
    ({"dataset_id": 7}, "dataset_id", "7"),
]


@pytest.mark.parametrize(("fields", "field", "value"), WRONG_STUDIES)
def test_a_wrong_study_names_the_field_and_the_value(
    client: TestClient, dataset_id: str, fields: dict[str, Any], field: str, value: str
) -> None:
    """422; the one error points at the field as the client wrote it, and the sentence holds both."""
    request = {"dataset_id": dataset_id, "activations": [{"family": "gaussian"}], **fields}
    body = problem(client.post("/v1/studies", content=json.dumps(request), headers=JSON), 422)
    (error,) = body.errors
    assert error.field == field
    assert value in (error.value or "")
    assert field in body.detail
    assert value in body.detail
    assert client.get("/v1/studies").json()["items"] == []


def test_the_sentence_about_an_unknown_family_lists_the_choices(client: TestClient, dataset_id: str) -> None:
    """Also for an init config."""
    for path, request in (
        ("/v1/studies", {"dataset_id": dataset_id, "activations": [{"family": "swish"}]}),
        ("/v1/init", {"family": "swish"}),
    ):
        assert "choose one of gaussian, sine" in problem(client.post(path, json=request), 422).detail


def test_a_formula_is_refused_only_where_no_start_config_can_be_built(client: TestClient, dataset_id: str) -> None:
    """E exp(2 x^2) is finite for a std below 1/2: with such ranges the same formula is taken, with the default ones the
    sentence says why it is not.
    """
    small = {"family": "exp(x**2)", "sigma_a": 1.0, "sigma_p": {"low": 0.05, "high": 0.2}, "sigma_p_first": "same"}
    for family, status in ((small, 202), ({"family": "exp(x**2)"}, 422)):
        answer = client.post("/v1/studies", json={"dataset_id": dataset_id, "activations": [family]})
        assert answer.status_code == status, answer.text
    assert "none of the init configs that its search starts from can be built" in answer.json()["detail"]
    assert "quadrature" in answer.json()["detail"]


def test_everything_that_is_wrong_is_told_at_once(client: TestClient, dataset_id: str) -> None:
    """Three mistakes, three errors."""
    request = {
        "dataset_id": dataset_id,
        **gaussian(parameters={"b": 1}),
        "network": {"width": 9999},
        "baselines": ["x"],
    }
    fields = {error.field for error in problem(client.post("/v1/studies", json=request), 422).errors}
    assert fields == {"activations[0].parameters.b", "network.width", "baselines[0]"}


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("place", ['"sigma_a": %s', '"sigma_a": {"low": 0.1, "high": %s}', '"parameters": {"x": %s}'])
def test_what_is_no_finite_number_is_refused(client: TestClient, dataset_id: str, token: str, place: str) -> None:
    """Also where Python's JSON reader lets it pass."""
    content = f'{{"dataset_id": "{dataset_id}", "activations": [{{"family": "gaussian", {place % token}}}]}}'
    (error,) = problem(client.post("/v1/studies", content=content, headers=JSON), 422).errors
    assert error.field.startswith("activations[0].")
    assert error.value in ("nan", "inf", "-inf")


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", JSON, 422),
        (b"{", JSON, 400),
        (b"\xff\xfe", JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b"9" * 5000, JSON, 400),
        (b"[]", JSON, 422),
        (b"null", JSON, 422),
        (b'"text"', JSON, 422),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"a=1", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {}, 415),
    ],
)
@pytest.mark.parametrize("path", ["/v1/studies", "/v1/init"])
def test_a_body_that_is_no_request_is_a_problem(
    client: TestClient, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    """Not JSON: 400. Another kind of content: 415. JSON of another shape: 422."""
    problem(client.post(path, content=content, headers=headers), status)


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """413, both when the length is announced and when it is not."""
    limits = Settings(data_dir=tmp_path, max_json_bytes=1000, max_upload_bytes=2000)
    client = TestClient(create_app(limits), raise_server_exceptions=False)
    assert "1000 bytes" in problem(client.post("/v1/init", content=b" " * 1001, headers=JSON), 413).detail
    assert "1000 bytes" in problem(client.post("/v1/init", content=iter([b" " * 600] * 2), headers=JSON), 413).detail
    upload = {"files": ("a.png", b"x" * 100_000)}
    problem(client.post("/v1/datasets", files=upload), 413)


@pytest.mark.parametrize("word", ["0123456789ab", "nonsense", "%00", "%ED%A0%80", "..%2f..", "a" * 5000, "' OR 1=1"])
@pytest.mark.parametrize("path", ["/v1/datasets/{}", "/v1/studies/{}", "/v1/studies/{}/trials", "/v1/studies/{}/best"])
def test_an_unknown_id_is_not_found(client: TestClient, path: str, word: str) -> None:
    """404, whatever stands in the place of the id."""
    problem(client.get(path.format(word)), 404)


def test_cancelling_an_unknown_study_is_not_found(client: TestClient) -> None:
    """404, naming the id."""
    assert "'0123456789ab'" in problem(client.post("/v1/studies/0123456789ab/cancel"), 404).detail


def test_addresses_and_methods_that_do_not_exist_are_problems(client: TestClient) -> None:
    """404 and 405, with Allow."""
    problem(client.get("/v2/studies"), 404)
    answer = client.delete("/v1/studies")
    problem(answer, 405)
    assert "allow" in answer.headers


@pytest.mark.parametrize("path", ["/v1/datasets", "/v1/studies"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        *[("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit")],
        *[("cursor=x", "cursor"), ("cursor=bnVsbA==", "cursor"), ("cursor=%00", "cursor")],
        *[("cursor=WzEuMCwgMS4wXQ==", "cursor"), ("cursor=W05hTiwgIiciXQ==", "cursor")],
    ],
)
def test_a_wrong_page_is_a_problem(client: TestClient, path: str, query: str, field: str) -> None:
    """422, naming the query's field."""
    assert problem(client.get(f"{path}?{query}"), 422).errors[0].field == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"family": "gaussian", "sigma_a": 0}, "sigma_a"),
        ({"family": "gaussian", "omega": 30}, "omega"),
        ({"family": "sine", "omega": 30, "sigma_a": 1}, ""),
        ({"family": "gaussian", "sigma_p": -1}, "sigma_p"),
        ({"family": "gaussian", "network": {"width": 10**6}}, "network.width"),
        ({"family": "gaussian", "bias": {"rule": "share", "share": {"low": 0.1, "high": 0.2}}}, "bias.share"),
        ({"family": "gaussian", "distribution": "cauchy"}, "distribution"),
        ({"family": "gaussian", "in_dim": 0}, "in_dim"),
        ({"family": "gaussian", "widths": [2, 3]}, "widths"),
        ({"family": "gaussian", "parameters": {"\ud800": 1.0}}, "parameters"),
        ({"sigma_a": 1}, "family"),
    ],
)
def test_a_wrong_init_names_the_field(client: TestClient, fields: dict[str, Any], field: str) -> None:
    """422."""
    body = problem(client.post("/v1/init", content=json.dumps(fields), headers=JSON), 422)
    assert body.errors[0].field.startswith(field)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["dataset_id", "activations", "network", "training", "search", "confirm", "method", "objective", "baselines"]
FAMILY_FIELDS = ["family", "parameters", "sigma_a", "omega", "sigma_p", "bias", "bias_first", "learning_rate"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    top=st.dictionaries(st.sampled_from(FIELDS), anything, max_size=2),
    inner=st.dictionaries(st.sampled_from(FAMILY_FIELDS), anything, max_size=3),
)
def test_no_json_whatever_makes_the_service_fail(
    client: TestClient, dataset_id: str, top: dict[str, Any], inner: dict[str, Any]
) -> None:
    """Any values in any fields: accepted or a 4xx problem."""
    request = {"dataset_id": dataset_id, "activations": [{"family": "sine", **inner}], **top}
    answer = client.post("/v1/studies", content=json.dumps(request), headers=JSON)
    if answer.status_code not in (200, 202):  # 200: the same was asked for before
        problem(answer, 422)
