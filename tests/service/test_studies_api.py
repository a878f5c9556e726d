"""Studies over HTTP: asked for, shown, cancelled, answered; a runner is played by calls of the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from starlette.testclient import TestClient
from studies_to_store import note, result

from service.database import make_engine
from service.settings import Settings
from service.store import Store
from vi3nr.config import InitConfig
from workers.plan import BiasChoice, Range

LONG = 100.0


@pytest.fixture
def store(settings: Settings, client: TestClient) -> Iterator[Store]:
    """The database of the client's application, as a runner sees it."""
    engine = make_engine(settings.url)
    yield Store(engine)
    engine.dispose()


def ask(client: TestClient, dataset_id: str, **fields: Any) -> dict[str, Any]:
    """A study of the test's own, even where the same was asked for before."""
    request = {"dataset_id": dataset_id, "activations": [{"family": "gaussian"}], "reuse": False, **fields}
    answer = client.post("/v1/studies", json=request)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_study_needs_only_a_dataset_and_a_family(client: TestClient, dataset_id: str) -> None:
    """202, where to look, when to look; the request is shown with every default filled in."""
    answer = client.post("/v1/studies", json={"dataset_id": dataset_id, "activations": [{"family": "gaussian"}]})
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"/v1/studies/{body['id']}" == body["links"]["self"]
    assert int(answer.headers["retry-after"]) >= 1
    assert (body["state"], body["progress"], body["error"]) == ("queued", None, None)
    request = body["request"]
    assert request["network"] == {"width": 64, "hidden_layers": 3}
    assert request["training"] == {"steps": 500, "optimizer": "adam", "batch_size": None, "schedule": "constant"}
    assert request["search"] == {
        "trials": 24, "seconds": None, "compute_seconds": None, "race": True, "seed": 0, "horizon": None,
    }  # fmt: skip
    assert request["confirm"] == {"finalists": 3, "seeds": 5}
    assert (request["method"], request["objective"], request["baselines"]) == ("analytic", "fit", None)
    assert client.get(answer.headers["location"]).json() == body


def test_the_runner_gets_what_was_asked_for(client: TestClient, dataset_id: str, store: Store) -> None:
    """Ranges, fixed numbers, nulls, rules and shares arrive in the plan; omega has become sigma_a."""
    gaussian = {
        "family": "gaussian",
        "sigma_a": {"low": 0.005, "high": 0.3},
        "sigma_p": 0.1,
        "bias": "stability",
        "bias_first": {"rule": "share", "share": {"low": 0.0, "high": 0.9}},
        "learning_rate": 0.002,
    }
    sine = {"family": "sine", "omega": {"low": 20, "high": 50}, "bias_first": {"rule": "share", "share": 0.5}}
    study = ask(
        client,
        dataset_id,
        activations=[gaussian, sine, {"family": "sinc"}],
        network={"width": 16, "hidden_layers": 2},
        training={"steps": 1000, "batch_size": 64, "schedule": "cosine"},
        search={"trials": 7, "seed": 5, "horizon": 0.25},
        confirm={"finalists": 2, "seeds": 3},
        method="monte_carlo",
        baselines=["siren", "xavier"],
    )
    claim = store.claim("runner", LONG)
    assert claim is not None
    plan = claim.plan
    assert (plan.study_id, claim.dataset.id) == (study["id"], dataset_id)
    first, second, third = plan.families
    assert (first.sigma_a, first.sigma_p, first.sigma_p_first) == (Range(0.005, 0.3), 0.1, None)
    assert (first.bias, first.bias_first) == (BiasChoice("stability"), BiasChoice("share", Range(0.0, 0.9)))
    assert first.learning_rate == 0.002
    assert second.sigma_a == Range(1 / 50, 1 / 20)
    assert second.bias_first == BiasChoice("share", 0.5)
    assert (third.family, third.sigma_a, third.bias, third.learning_rate) == ("sinc", None, None, None)
    assert (plan.network.width, plan.network.hidden_layers) == (16, 2)
    assert (plan.recipe.steps, plan.recipe.batch_size, plan.recipe.schedule) == (1000, 64, "cosine")
    assert (plan.budget.trials, plan.seed, plan.search_steps, plan.finalists, plan.seeds) == (7, 5, 250, 2, 3)
    assert (plan.method, plan.objective.name, plan.baselines) == ("monte_carlo", "fit", ("siren", "xavier"))


def test_the_search_horizon_is_forty_percent_by_default(client: TestClient, dataset_id: str, store: Store) -> None:
    """500 steps are compared after 200; there are never more finalists than trials."""
    ask(client, dataset_id, search={"trials": 2})
    claim = store.claim("runner", LONG)
    assert claim is not None
    assert (claim.plan.search_steps, claim.plan.finalists) == (200, 2)


@pytest.mark.parametrize(
    ("objective", "batch", "scores"),
    [
        ("area", 16, 1),
        ({"name": "steps_to_target", "target": 30.0}, 16, 1),
        ({"name": "steps_to_target", "target": 30.0}, 128, 2),
        ("area", 300, None),
        ("area", None, None),
        ("fit", 16, None),
    ],
)
def test_objectives_of_the_curve_warn_where_minibatches_leave_few_scores(
    client: TestClient, dataset_id: str, objective: Any, batch: int | None, scores: int | None
) -> None:
    """200 search steps on 384 points: eight scores as long as they cost 2 %, which is one in 18 x 384 / batch steps."""
    said = ask(client, dataset_id, objective=objective, training={"steps": 500, "batch_size": batch})["warnings"]
    told = [sentence for sentence in said if "score over all 384 points" in sentence]
    assert len(told) == (scores is not None)
    assert all(f"has {scores} of the usual 8 scores" in sentence for sentence in told)
    assert all(("stopped early" in sentence) == (scores == 1) for sentence in told)


def test_a_network_that_can_memorise_is_warned_about(client: TestClient, dataset_id: str) -> None:
    """384 points of 3 values against 387 parameters: one sentence; against 333: none, but with a fifth of the points
    held out, or with WIRE's complex weights, which count as two.
    """
    network = {"width": 11, "hidden_layers": 2}
    for asked, warned in (
        ({"network": network | {"width": 12}}, True),
        ({"network": network}, False),
        ({"network": network, "activations": [{"family": "wire"}]}, True),
        ({"network": network, "objective": {"name": "held_out", "share": 0.2}}, True),
    ):
        warnings = ask(client, dataset_id, **asked)["warnings"]
        assert ["memorise" in sentence for sentence in warnings] == [True] * warned, asked


def test_progress_is_shown(client: TestClient, dataset_id: str, store: Store) -> None:
    """What the runner noted: phase, counts, the best trial so far."""
    study = ask(client, dataset_id)
    claim = store.claim("runner", LONG)
    assert claim is not None
    store.record_progress(study["id"], claim.lease_number, note(10))
    answer = client.get(f"/v1/studies/{study['id']}")
    body = answer.json()
    assert (body["state"], body["phase"]) == ("running", "search")
    assert body["progress"] == asdict(note(10))
    assert body["best_so_far"] == {"family": "gaussian", "trial": 0, "score": 21.5}
    assert body["started"] >= body["created"]
    assert "retry-after" in answer.headers


def test_the_best_is_the_result_and_its_config_loads(client: TestClient, dataset_id: str, store: Store) -> None:
    """After completion ``best`` is the stored result, and the library reads the config in it without loss."""
    study = ask(client, dataset_id)
    claim = store.claim("runner", LONG)
    assert claim is not None
    store.complete(study["id"], claim.lease_number, result())
    answer = client.get(f"/v1/studies/{study['id']}/best")
    assert answer.status_code == 200
    winner = answer.json()["families"][0]["winner"]
    assert winner["score"] == {"mean": 25.0, "low": 24.5, "high": 25.5, "n": 2}
    assert InitConfig.from_json(json.dumps(winner["init_config"])) == result().families[0].winner.init_config
    shown = client.get(f"/v1/studies/{study['id']}").json()
    assert (shown["state"], "Few points." in shown["warnings"]) == ("completed", True)


def test_until_there_is_a_best_it_is_a_conflict(client: TestClient, dataset_id: str, store: Store) -> None:
    """409 with a sentence of its own while the study waits, runs, is cancelling, was cancelled or has failed."""

    def conflict(study_id: str) -> str:
        answer = client.get(f"/v1/studies/{study_id}/best")
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        return str(answer.json()["detail"])

    failing, cancelled = ask(client, dataset_id)["id"], ask(client, dataset_id)["id"]
    assert "waits for a runner" in conflict(failing)
    first, second = store.claim("runner", LONG), store.claim("runner", LONG)
    assert first is not None
    assert second is not None
    assert "is running" in conflict(failing)
    store.fail(failing, first.lease_number, "no trial could be trained")
    assert conflict(failing) == "the study failed and has no best config: no trial could be trained"
    assert client.get(f"/v1/studies/{failing}").json()["error"] == "no trial could be trained"
    client.post(f"/v1/studies/{cancelled}/cancel")
    assert "being cancelled" in conflict(cancelled)
    store.cancelled(cancelled, second.lease_number)
    assert "was cancelled" in conflict(cancelled)


def test_cancelling_a_waiting_study_ends_it(client: TestClient, dataset_id: str) -> None:
    """202 and cancelled at once; asking again is no error."""
    study_id = ask(client, dataset_id)["id"]
    for _ in range(2):
        answer = client.post(f"/v1/studies/{study_id}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")


def test_cancelling_a_completed_study_is_a_conflict(client: TestClient, dataset_id: str, store: Store) -> None:
    """409: there is nothing to cancel."""
    study_id = ask(client, dataset_id)["id"]
    claim = store.claim("runner", LONG)
    assert claim is not None
    store.complete(study_id, claim.lease_number, result())
    answer = client.post(f"/v1/studies/{study_id}/cancel")
    assert (answer.status_code, answer.json()["detail"]) == (409, "the study is completed: there is nothing to cancel")


def test_studies_are_listed_in_pages(client: TestClient, dataset_id: str) -> None:
    """Following next_cursor gives each study once, the newest first."""
    made = [ask(client, dataset_id)["id"] for _ in range(3)]
    first = client.get("/v1/studies", params={"limit": 2}).json()
    second = client.get("/v1/studies", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None


def test_trials_are_listed_with_their_numbers(client: TestClient, dataset_id: str, settings: Settings) -> None:
    """Empty before a runner began; then what the search recorded, under the names of the field."""
    study = ask(client, dataset_id, activations=[{"family": "sine"}])
    here = study["links"]["trials"]
    assert client.get(here).json() == {"items": [], "next_cursor": None}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = RDBStorage(settings.url)
    search = optuna.create_study(storage=storage, study_name=f"{study['id']} sine", direction="maximize")
    for score in (20.5, 22.5):
        trial = search.ask({"sigma_p / sigma_a": optuna.distributions.FloatDistribution(0.1, 2.0)})
        facts = {"sigma_a": 0.02, "sigma_p": 0.01, "sigma_p_first": 0.2, "bias_first": "share 0.3", "seconds": 1.5}
        for key, value in facts.items():
            trial.set_user_attr(key, value)
        search.tell(trial, score)
    storage.remove_session()
    storage.engine.dispose()
    first = client.get(here, params={"limit": 1}).json()
    second = client.get(here, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert second["next_cursor"] is None
    (trial,) = second["items"]
    assert (trial["family"], trial["number"], trial["state"], trial["score"]) == ("sine", 1, "complete", 22.5)
    assert trial["parameters"] == {
        "sigma_a": 0.02,
        "omega": 50.0,
        "sigma_p": 0.01,
        "sigma_p_first": 0.2,
        "bias_first": "share 0.3",
    }
    assert list(trial["searched"]) == ["sigma_p / sigma_a"]
    assert trial["seconds"] == 1.5
    assert trial["started"] <= trial["finished"]
