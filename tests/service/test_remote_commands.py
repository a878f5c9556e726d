"""``vi3nr studies | datasets | export | report`` against a running service and against the data folder alone."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from live_service import SMALL, LiveService, a_picture
from PIL import Image
from typer.testing import CliRunner

from service import progress_view
from service.commands import app
from vi3nr import INR, InitConfig, load_safetensors

X = torch.linspace(-1, 1, 20).reshape(10, 2)


@pytest.fixture(scope="module")
def study(live: LiveService) -> str:
    """A completed study of two families."""
    return live.completed("sine", "gaussian")


@pytest.fixture
def run(live: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``vi3nr ...`` with the service's address and key in the environment."""
    monkeypatch.setenv("VI3NR_URL", live.url)
    monkeypatch.setenv("VI3NR_API_KEY", live.key)
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return call


def score_of(file: str | Path) -> float:
    """The PSNR of a network in a file on the picture that the studies are of."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 10), torch.linspace(-1, 1, 12), indexing="ij")
    with torch.no_grad():
        made = load_safetensors(file)(torch.stack([columns, rows], -1).reshape(-1, 2)).reshape(10, 12, 3)
    picture = torch.from_numpy(np.asarray(Image.open(io.BytesIO(a_picture()))).astype(np.float32) / 127.5 - 1)
    return 10 * float(torch.log10(4 / (made - picture).square().mean()))


def good(done: Result) -> str:
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def test_a_dataset_comes_and_goes(run: Any, tmp_path: Path) -> None:
    """upload, list, show, delete; in text and in JSON; what the service refuses is a sentence and status 2."""
    (tmp_path / "photo.png").write_bytes(a_picture())
    made = json.loads(good(run("datasets", "upload", "photo.png", "--max-points", "60", "--json")))
    assert made["points"] <= 60
    assert made["id"] in good(run("datasets", "list", "--kind", "image"))
    assert made["id"] in {one["id"] for one in json.loads(good(run("datasets", "list", "--json")))}
    assert "image" in good(run("datasets", "show", made["id"]))
    assert good(run("datasets", "delete", made["id"])) == f"deleted: {made['id']}\n"
    gone = run("datasets", "show", made["id"])
    assert (gone.exit_code, gone.stderr) == (2, f"vi3nr: there is no dataset '{made['id']}'\n")
    refused = run("datasets", "upload", "photo.png", "--crop", "everything")
    assert refused.exit_code == 2
    assert "crop" in refused.stderr
    assert run("datasets", "upload", "nowhere.png").stderr == "vi3nr: nowhere.png: No such file or directory\n"


def test_studies_are_started_listed_shown_cancelled_and_deleted(run: Any, live: LiveService, study: str) -> None:
    """One that was started here and waits, one that is completed; the answer's table is that of ``search``."""
    with live.client() as client:
        dataset = client.upload(("a.png", a_picture()))
    words = ["studies", "start", dataset.id, "--activation", "relu", "--width", "8", "--steps", "7", "--json"]
    refused = run(*words, "--objective", "loss")
    assert refused.exit_code == 2
    assert all(word in refused.stderr for word in ("objective", "loss", "held_out"))
    words += ["--objective", "area"]
    asked = json.loads(good(run(*words)))
    waiting = asked["id"]
    assert asked["request"]["objective"] == "area"
    assert (asked["request"]["network"]["width"], asked["request"]["training"]["steps"]) == (8, 7)
    assert json.loads(good(run(*words)))["id"] == waiting, "the same study"
    listed = good(run("studies", "list"))
    assert listed.index(waiting) < listed.index(study), "newest first"
    assert [one["id"] for one in json.loads(good(run("studies", "list", "--state", "queued", "--json")))] == [waiting]
    shown = good(run("studies", "show", study))
    assert "sine" in shown
    assert "PyTorch default" in shown
    told = json.loads(good(run("studies", "show", study, "--wait", "--json")))
    assert {one["family"] for one in told["result"]["families"]} == {"sine", "gaussian"}
    early = run("studies", "delete", study[:-1] + "x")
    assert (early.exit_code, early.stdout) == (2, "")
    assert good(run("studies", "cancel", waiting)) == f"{waiting} is cancelled\n"
    ended = run("studies", "show", waiting, "--wait", "--json")
    assert ended.exit_code == 1, "it ended without an answer"
    assert json.loads(ended.stdout)["state"] == "cancelled"
    assert json.loads(good(run("studies", "delete", waiting, "--json"))) == {"deleted": [waiting]}


@pytest.mark.parametrize("where", ["service", "folder"])
def test_an_answer_can_be_taken_away_in_every_form(
    run: Any, live: LiveService, study: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Config, script, trained and initial weights, siren's form: all are networks of the same config."""
    if where == "folder":
        monkeypatch.delenv("VI3NR_URL")
    words = ["export", study, "--family", "sine", *(["--data-dir", str(live.settings.data_dir)] * (where == "folder"))]
    config = InitConfig.from_json(good(run(*words)))
    assert config.family == "sine"
    drawn = INR.from_config(config, seed=0)(X)
    script: dict[str, Any] = {"__name__": "script"}
    exec(good(run(*words, "--format", "pytorch")), script)
    torch.testing.assert_close(script["network"](X), drawn, rtol=1e-4, atol=1e-4)
    made = json.loads(good(run(*words, "--format", "safetensors", "-o", "trained.safetensors", "--json")))
    assert made["file"] == "trained.safetensors"
    trained = load_safetensors("trained.safetensors")(X)
    assert not torch.allclose(trained, drawn)
    good(run(*words, "--format", "siren", "-o", "siren.safetensors"))
    assert torch.equal(load_safetensors("siren.safetensors")(X), trained)
    good(run(*words, "--format", "safetensors", "--weights", "initial", "-o", "initial.safetensors"))
    assert torch.equal(load_safetensors("initial.safetensors")(X), drawn)
    good(run(*words, "--format", "siren", "--weights", "initial", "--seed", "3"))
    (unnamed,) = tmp_path.glob(f"{study}*.initial.siren.safetensors")
    assert torch.equal(load_safetensors(unnamed)(X), INR.from_config(config, seed=3)(X))
    gaussian = ["export", study, "--family", "gaussian", *words[4:]]
    for more in ([], ["--weights", "initial"]):
        refused = run(*gaussian, "--format", "siren", *more)
        assert refused.exit_code == 2
        assert "'gaussian' has no such layer" in refused.stderr


def test_weights_can_be_trained_again(run: Any, live: LiveService, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the winner they are those that were kept; of an arm whose weights were not kept they give its score."""
    refused = run("export", study, "--format", "safetensors", "--weights", "retrained")
    assert (refused.exit_code, "leave out --url" in refused.stderr) == (2, True)
    with live.client() as client:
        family = next(one for one in client.best(study).families if one.family == "sine")
    monkeypatch.delenv("VI3NR_URL")
    words = ["export", study, "--family", "sine", "--format", "safetensors", "--data-dir", str(live.settings.data_dir)]
    for weights in ("trained", "retrained"):
        good(run(*words, "--weights", weights, "-o", weights))
    torch.testing.assert_close(load_safetensors("retrained")(X), load_safetensors("trained")(X), rtol=1e-4, atol=1e-5)
    theory = next(arm for arm in family.arms if arm.kind == "theory")
    assert "the weights are kept of" in run(*words, "--arm", theory.name).stderr
    good(run(*words, "--arm", theory.name, "--weights", "retrained", "-o", "theory"))
    assert abs(score_of("theory") - theory.values[0]) < 0.01


def test_the_trained_weights_give_the_score(live: LiveService, study: str, tmp_path: Path) -> None:
    """The file's network makes of the picture what the study kept of it."""
    with live.client() as client:
        (tmp_path / "a").write_bytes(client.export(study, "safetensors"))
        best = client.best(study).families[0].winner
    assert min(abs(score_of(tmp_path / "a") - value) for value in best.values) < 0.01


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"family": "relu"}, 422, "family: the study has"),
        ({"arm": "nobody"}, 422, "arm: of this family there are"),
        ({"format": "keras"}, 422, "format"),
    ],
)
def test_what_cannot_be_exported_is_a_problem(
    live: LiveService, study: str, query: dict[str, str], status: int, words: str
) -> None:
    """Another family, arm or form."""
    import httpx2

    key = {"Authorization": f"Bearer {live.key}"}
    answer = httpx2.get(f"{live.url}/v1/studies/{study}/export", params=query, headers=key)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


def test_the_report_of_a_running_service(run: Any, study: str, tmp_path: Path) -> None:
    """The page goes into the file that is named."""
    assert json.loads(good(run("report", study, "-o", "r.html", "--json"))) == {"study": study, "report": "r.html"}
    assert "Table of confirmation" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_nobody_there_is_status_3(run: Any) -> None:
    """With a sentence that names the address; a wrong key is refused with status 2."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    done = run("studies", "list", "--url", url)
    assert done.exit_code == 3
    assert url in done.stderr
    assert "vi3nr serve" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_key_comes_from_a_file(run: Any, live: LiveService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without one the service refuses; with a wrong one too, and it is not repeated."""
    monkeypatch.delenv("VI3NR_API_KEY")
    assert run("studies", "list").exit_code == 2
    (tmp_path / "key").write_text(live.key + "\n")
    good(run("studies", "list", "--key-file", "key"))
    (tmp_path / "key").write_text("vi3nr_000000000000_nonsense")
    refused = run("studies", "list", "--key-file", "key")
    assert refused.exit_code == 2
    assert "nonsense" not in refused.output


def test_ctrl_c_ends_the_wait_and_not_the_study(run: Any, live: LiveService, monkeypatch: pytest.MonkeyPatch) -> None:
    """``studies show --wait`` ends with status 130 and says how to go on."""

    @contextmanager
    def interrupted(console: object) -> Iterator[Any]:
        yield lambda *_: os.kill(os.getpid(), signal.SIGINT)  # pressed when the first news is shown

    monkeypatch.setattr(progress_view, "shown_progress", interrupted)
    with live.client() as client:
        dataset = client.upload(("a.png", a_picture()))
        waiting = client.start({"dataset_id": dataset.id, **SMALL, "reuse": False}).id
        done = run("studies", "show", waiting, "--wait")
        assert done.exit_code == 130
        assert f"vi3nr studies show {waiting} --wait --url {live.url}\n" in done.stderr
        assert client.cancel(waiting).state == "cancelled", "it went on"
