"""The response surface over HTTP, from trials as Optuna recorded them."""

from __future__ import annotations

import optuna
from optuna.distributions import FloatDistribution
from starlette.testclient import TestClient

from service.settings import Settings
from service.trial_records import optuna_name
from workers.axes import RATIO, SIGMA_A
from workers.storage import open_storage

AXES = {SIGMA_A: FloatDistribution(0.005, 0.3, log=True), RATIO: FloatDistribution(0.6, 8.0, log=True)}


def asked(client: TestClient, dataset_id: str, **fields: object) -> str:
    request = {"dataset_id": dataset_id, "activations": [{"family": "gaussian"}, {"family": "relu"}], **fields}
    return str(client.post("/v1/studies", json=request).json()["id"])


def test_the_surface_is_that_of_the_recorded_trials(client: TestClient, settings: Settings, dataset_id: str) -> None:
    """Complete and pruned trials count, the theory's line is there, and a family without trials has none."""
    study_id = asked(client, dataset_id)
    storage = open_storage(settings.url)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name=optuna_name(study_id, "gaussian"), direction="maximize")
    for scale in (0.01, 0.02, 0.04):
        for rho in (1.2, 2.4, 4.8):
            trial = study.ask(AXES)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial({SIGMA_A: scale, RATIO: rho})
            trial = study.ask(AXES)
            trial.report(20.0 - rho, 10)
            if rho > 4:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(trial, 25.0 - rho)
    storage.remove_session()
    storage.engine.dispose()
    answer = client.get(f"/v1/studies/{study_id}/surface")
    assert answer.status_code == 200, answer.text
    gaussian, relu = answer.json()["families"]
    surface = gaussian["surface"]
    assert surface["trials"] == 9
    assert {axis["name"] for axis in surface["axes"]} == set(AXES)
    assert [(axis["low"], axis["high"], axis["log"]) for axis in surface["axes"]] == [
        (0.005, 0.3, True),
        (0.6, 8.0, True),
    ]
    assert surface["axes"][1]["importance"] > surface["axes"][0]["importance"]
    assert surface["theory"]["kind"] == "root"
    assert surface["theory"]["rho"] > 1.0
    assert relu == {"family": "relu", "surface": None}


def test_before_the_first_trials_there_is_no_surface(client: TestClient, dataset_id: str) -> None:
    """null for each family, whatever the objective; 404 for a study that is none."""
    study_id = asked(client, dataset_id, objective={"name": "steps_to_target", "target": 30})
    body = client.get(f"/v1/studies/{study_id}/surface").json()
    assert body["unit"] == "steps"
    assert [family["surface"] for family in body["families"]] == [None, None]
    assert client.get(f"/v1/studies/{study_id}").json()["links"]["surface"] == f"/v1/studies/{study_id}/surface"
    assert client.get("/v1/studies/abc/surface").status_code == 404
