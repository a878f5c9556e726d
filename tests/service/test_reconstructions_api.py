"""From a file to the file that a trained network gives back, for each kind, over HTTP and through a real runner."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import trimesh
from encoders import a_tone, a_volume, npy, sound
from live_service import SMALL, a_picture
from PIL import Image
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import BlobStore
from service.database import make_engine, upgrade
from service.give_back import GAP
from service.runner import Runner
from service.settings import Settings
from service.store import Store
from workers.engine import Engine
from workers.pool_local import LocalPool
from workers.storage import open_storage

FILES: dict[str, Callable[[], bytes]] = {
    "image": a_picture,
    "sound": lambda: sound(a_tone(400, channels=2)),
    "array": lambda: npy(a_volume((4, 5, 6))),
    "shape": lambda: trimesh.creation.icosphere(2, 3.0).apply_translation((10, 0, -5)).export(file_type="ply"),
}
SMOOTH = {"activations": [{"family": "sine"}], "network": {"width": 16, "hidden_layers": 2}, "training": {"steps": 100}}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A client, and the completed study of a file of each kind; one that waits."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("back"))
    database = make_engine(settings.url)
    upgrade(database)
    store, studies = Store(database), {}
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:

        def ask(data: bytes) -> str:
            options = {"max_points": "1000"}
            dataset = client.post("/v1/datasets", files={"files": ("a.bin", data)}, data=options).json()
            more = SMOOTH if dataset["kind"] == "shape" else {}
            answer = client.post("/v1/studies", json={"dataset_id": dataset["id"], **SMALL, **more})
            assert answer.status_code == 202, answer.text
            return str(answer.json()["id"])

        studies = {kind: ask(make()) for kind, make in FILES.items()}
        storage = open_storage(settings.url)
        runner = Runner(store, BlobStore(settings.blob_place), Engine(LocalPool(), storage), owner="test")
        runner.run(threading.Event(), lambda: all(store.result(study) for study in studies.values()))
        studies["waiting"] = ask(npy(np.eye(5)))
        yield client, studies, Path(settings.blob_dir)
    storage.remove_session()
    storage.engine.dispose()
    database.dispose()


def test_a_picture_comes_back_beside_the_original(answered: Any) -> None:
    """A PNG: the left half is the upload."""
    client, studies, _ = answered
    answer = client.get(f"/v1/studies/{studies['image']}/reconstruction")
    assert answer.headers["content-type"] == "image/png"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert shown.shape == (10, 12 + GAP + 12, 3)
    np.testing.assert_array_equal(shown[:, :12], np.asarray(Image.open(io.BytesIO(a_picture()))))
    assert client.get(f"/v1/studies/{studies['image']}").json()["links"]["reconstruction"] == answer.request.url.path


def test_sound_comes_back_as_sound(answered: Any) -> None:
    """A WAV of the upload's rate, length and channels."""
    client, studies, _ = answered
    answer = client.get(f"/v1/studies/{studies['sound']}/reconstruction")
    assert answer.headers["content-type"] == "audio/wav"
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert (rate, samples.shape) == (8000, (400, 2))
    assert np.ptp(samples) > 0.0


def test_an_array_comes_back_as_numbers_and_as_a_picture(answered: Any) -> None:
    """An NPY near the upload's own numbers: its error is what the score says; a PNG of a slice."""
    client, studies, _ = answered
    here = f"/v1/studies/{studies['array']}"
    picture = client.get(f"{here}/reconstruction")
    assert np.asarray(Image.open(io.BytesIO(picture.content))).shape == (5, 6 + GAP + 6)
    back = np.load(io.BytesIO(client.get(f"{here}/reconstruction", params={"format": "npy"}).content))
    volume = a_volume((4, 5, 6))
    unit = 2 * (back - volume) / np.ptp(volume)
    winner = client.get(f"{here}/best").json()["families"][0]["winner"]
    scores = [10 * np.log10(4 / np.mean(unit**2)) - value for value in winner["values"]]
    assert min(map(abs, scores)) < 0.01


def test_a_shape_comes_back_as_a_mesh_and_as_a_picture(answered: Any) -> None:
    """A closed PLY in the place and the units of the upload, a ball of radius 3 off the origin; a PNG of it beside the
    original one.
    """
    client, studies, _ = answered
    here = f"/v1/studies/{studies['shape']}/reconstruction"
    answer = client.get(here, params={"format": "ply"})
    assert (answer.headers["content-type"], answer.status_code) == ("model/ply", 200)
    made = trimesh.load_mesh(io.BytesIO(answer.content), file_type="ply")
    assert made.is_watertight
    np.testing.assert_allclose(made.centroid, (10, 0, -5), atol=0.5)
    assert made.volume == pytest.approx(4 / 3 * np.pi * 27, rel=0.25)
    picture = client.get(here)
    assert picture.headers["content-type"] == "image/png"
    shown = np.asarray(Image.open(io.BytesIO(picture.content)))
    side = (shown.shape[1] - GAP) // 2
    assert shown.shape == (side, 2 * side + GAP)
    original, network = shown[:, :side] < 255, shown[:, side + GAP :] < 255
    assert original.mean() == pytest.approx(np.pi / 4 * 0.92**2, rel=0.02)
    assert (original & network).sum() / (original | network).sum() > 0.8


METRICS = {
    "image": {"psnr", "ssim"},
    "sound": {"snr", "psnr", "log_spectral_distance"},
    "array": {"psnr"},
    "shape": {"iou", "mean_absolute_distance", "chamfer"},
}


@pytest.mark.parametrize("kind", METRICS)
def test_the_answer_has_the_metrics_of_its_kind(answered: Any, kind: str) -> None:
    """Of the winner's network and of what it is compared with, each with its seed; the report says them in words."""
    client, studies, _ = answered
    (family,) = client.get(f"/v1/studies/{studies[kind]}/best").json()["families"]
    assert {one["arm"] for one in family["metrics"]} >= {family["winner"]["name"], family["comparison"]["baseline"]}
    for one in family["metrics"]:
        assert set(one["values"]) == METRICS[kind]
        assert one["signal"] == 0
    found = next(one["values"] for one in family["metrics"] if one["arm"] == family["winner"]["name"])
    if "psnr" in found:
        assert min(abs(found["psnr"] - value) for value in family["winner"]["values"]) < 0.01
    if kind == "shape":
        assert found["iou"] > 0.7
        assert 0.0 < found["chamfer"] < 0.1
    report = client.get(f"/v1/studies/{studies[kind]}/report").text
    first = {"image": "PSNR", "sound": "SNR", "array": "PSNR", "shape": "IoU"}[kind]
    assert f"</strong>: {first} " in report


def test_the_usual_initialisation_can_be_heard_too(answered: Any) -> None:
    """By its arm's name, which the answer tells; both differ."""
    client, studies, _ = answered
    here = f"/v1/studies/{studies['sound']}"
    (family,) = client.get(f"{here}/best").json()["families"]
    usual = family["comparison"]["baseline"]
    found = next(arm["name"] for arm in family["arms"] if arm["name"] != usual and len(arm["values"]) == 2)
    files = {client.get(f"{here}/reconstruction", params={"arm": arm}).content for arm in (usual, found)}
    assert len(files) == 2


@pytest.mark.parametrize(
    ("study", "query", "status", "words"),
    [
        ("image", {"format": "wav"}, 422, "format: of the kind image there are png, npy"),
        ("shape", {"format": "npy"}, 422, "format: of the kind shape there are png, ply"),
        ("image", {"signal": 1}, 422, "signal: the dataset has one signal, 0, got 1"),
        ("image", {"family": "sine"}, 422, "family: the study has gaussian"),
        ("image", {"arm": "nobody"}, 422, "arm: of this family there are kept: gaussian"),
        ("waiting", {}, 409, "the study is queued"),
        ("000000000000", {}, 404, "there is no study"),
    ],
)
def test_what_cannot_be_given_back_is_a_problem(
    answered: Any, study: str, query: dict[str, str], status: int, words: str
) -> None:
    """Another format, family or arm; a study that waits; none."""
    client, studies, _ = answered
    answer = client.get(f"/v1/studies/{studies.get(study, study)}/reconstruction", params=query)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("lost", "path"), [(0, "reconstruction"), (1, "reconstruction"), (0, "export?format=safetensors")]
)
def test_bytes_that_are_gone_are_a_problem(
    answered: Any, monkeypatch: pytest.MonkeyPatch, lost: int, path: str
) -> None:
    """Of what the study keeps, or of the dataset: 409, though the answer was given and remembered before."""
    client, studies, _ = answered
    here, read = f"/v1/studies/{studies['image']}", BlobStore.get
    calls = iter(range(9))

    def get(self: BlobStore, key: str) -> bytes:
        if next(calls) == lost:
            raise KeyError(key)
        return read(self, key)

    assert client.get(f"{here}/{path}").status_code == 200
    monkeypatch.setattr(BlobStore, "get", get)
    monkeypatch.setattr(BlobStore, "has", lambda *_: False)
    answer = client.get(f"{here}/{path}")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:vi3nr:problem:gone")
