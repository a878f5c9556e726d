"""A photograph and two families in, the best init config out: over HTTP, through Ray, Optuna and the database."""

import json
import os
import subprocess
import sys

import httpx2
import psutil
import pytest
from live import FINISHED, photograph, wait_until


@pytest.fixture(scope="module")
def completed(client, dataset):
    """A finished study of two families."""
    study_id = client.start(dataset, activations=[{"family": "gaussian"}, {"family": "sine"}])
    return client.finished(study_id)


def test_the_answer_holds_config_score_and_comparison(client, completed):
    """Both families are ranked; each has a config with every layer's std, a score with an interval, and a verdict."""
    best = client.get(f"/v1/studies/{completed['id']}/best")
    assert {family["family"] for family in best["families"]} == {"gaussian", "sine"}
    means = [family["winner"]["score"]["mean"] for family in best["families"]]
    assert means == sorted(means, reverse=True)
    for family in best["families"]:
        winner = family["winner"]
        assert len(winner["init_config"]["layers"]) == 4
        assert winner["score"]["low"] <= winner["score"]["mean"] <= winner["score"]["high"]
        assert winner["score"]["n"] == 3
        assert family["comparison"]["verdict"] in ("better", "as_good", "worse")
        assert {arm["kind"] for arm in family["arms"]} == {"finalist", "baseline", "theory"}


def test_exactly_the_trials_asked_for_are_recorded(client, completed):
    """Twelve counted trials, six a family in the mean and three at least, with parameters in the words of the field."""
    trials = client.trials(completed["id"])
    for family in ("gaussian", "sine"):
        counted = [t for t in trials if t["family"] == family and t["state"] in ("complete", "pruned")]
        assert len(counted) >= 3
        for trial in counted:
            assert {"sigma_a", "sigma_p", "sigma_p_first", "bias_first"} <= set(trial["parameters"])
    assert completed["progress"]["trials_done"] == 12


def test_the_dashboard_shows_the_trials_under_names_that_people_understand(embedded, completed):
    """The Optuna dashboard knows both studies by name, their trials and the parameters; and refuses to write."""
    with httpx2.Client(base_url=embedded.dashboard_url, timeout=30) as dashboard:
        studies = dashboard.get("/api/studies").json()["study_summaries"]
        mine = {s["study_name"]: s["study_id"] for s in studies if completed["id"] in s["study_name"]}
        assert len(mine) == 2
        name = next(name for name in mine if "gaussian" in name)
        detail = dashboard.get(f"/api/studies/{mine[name]}").json()
        shown = {p["name"] for trial in detail["trials"] for p in trial["params"]}
        assert {"sigma_a", "sigma_p / sigma_a", "first-layer bandwidth", "first-layer bias share"} == shown
        assert dashboard.delete(f"/api/studies/{mine[name]}").status_code == 405
        assert dashboard.get(f"/api/studies/{mine[name]}").status_code == 200


def test_the_api_process_has_neither_torch_nor_ray_loaded(embedded):
    """No library of torch, ray or optuna's GP is mapped into the API's memory after a study has been served."""
    maps = {m.path for m in psutil.Process(embedded.children["api"].pid).memory_maps()}
    assert not [path for path in maps if "/torch/" in path or "/ray/" in path]


def test_a_cancelled_study_ends_and_says_so(client, dataset):
    """A running study is cancelled: answered at once, soon over, and asking for its best is a clear 409."""
    study_id = client.start(dataset, training={"steps": 2000}, search={"trials": 200, "seed": 5})
    wait_until(lambda: client.study(study_id)["state"] == "running", "a runner")
    assert client.http.post(f"/v1/studies/{study_id}/cancel").status_code in (200, 202)
    study = wait_until(lambda: (s := client.study(study_id))["state"] in FINISHED and s, "the cancellation")
    assert study["state"] == "cancelled"
    problem = client.http.get(f"/v1/studies/{study_id}/best")
    assert problem.status_code == 409
    assert "cancelled" in problem.json()["detail"]


REPRODUCE = """
import sys
for name in ("optuna", "ray", "fastapi", "sqlalchemy", "pydantic", "PIL", "workers", "service"):
    sys.modules[name] = None
import json, math, torch
from vi3nr import INR, InitConfig
from vi3nr.signals import Signal

folder, steps, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
config = InitConfig.from_json(open(f"{folder}/best.json").read())
signal = Signal.from_bytes(open(f"{folder}/signal.npz", "rb").read())
x, y = torch.tensor(signal.coordinates), torch.tensor(signal.values)
scores = []
for seed in range(100, 104):
    network = INR.from_config(config, seed=seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(network(x), y).backward()
        optimiser.step()
    with torch.no_grad():
        scores.append(10 * math.log10(4 / torch.nn.functional.mse_loss(network(x), y).item()))
print(json.dumps(scores))
"""


def test_the_config_reproduces_its_score_with_the_library_alone(client, settings, dataset, completed, tmp_path, here):
    """Loaded from its JSON in a fresh Python without the service's packages and trained with torch.optim.Adam from
    other seeds, the config scores what was reported: the means differ by less than the seeds' spread allows."""
    from service.blobs import BlobStore
    from service.database import make_engine
    from service.store import Store

    family = client.get(f"/v1/studies/{completed['id']}/best")["families"][0]
    (tmp_path / "best.json").write_text(json.dumps(family["winner"]["init_config"]))
    database = make_engine(settings.url)
    record = Store(database).dataset(dataset)
    database.dispose()
    (tmp_path / "signal.npz").write_bytes(BlobStore(settings.blob_dir).get(record.blob_key))
    command = [sys.executable, "-c", REPRODUCE, str(tmp_path), "60", str(family["learning_rate"])]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == 0, done.stderr
    theirs, ours = json.loads(done.stdout), family["winner"]["values"]
    spread = max(max(ours) - min(ours), max(theirs) - min(theirs), 0.2)
    assert abs(sum(theirs) / len(theirs) - sum(ours) / len(ours)) < 1.5 * spread


def test_the_same_photograph_is_stored_once(client, dataset):
    """Uploading the same bytes again gives the same dataset."""
    assert client.upload(photograph(32)) == dataset
