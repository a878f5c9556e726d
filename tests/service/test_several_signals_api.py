"""Datasets of several files and studies over them, from the upload to the answer."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from service.blobs import BlobStore
from service.database import make_engine
from service.runner import Runner
from service.settings import Settings
from service.store import Store
from vi3nr.guess import start_points
from vi3nr.signals import Signal
from workers.engine import Engine
from workers.pool_local import LocalPool
from workers.storage import open_storage

Encode = Callable[..., bytes]
ASKED = {
    "activations": [{"family": "gaussian"}],
    "network": {"width": 8, "hidden_layers": 1},
    "training": {"steps": 14},  # the last tenth is one step: the score is of the network that is given back
    "search": {"trials": 4},
    "confirm": {"finalists": 1, "seeds": 2},
    "baselines": ["xavier"],
}


def uploaded(client: TestClient, encode: Encode, count: int = 4) -> dict:
    """Pictures of one height and growing width."""
    files = [("files", (f"{k}.png", encode("PNG", 10 + k, 8))) for k in range(count)]
    answer = client.post("/v1/datasets", files=files)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_several_files_are_one_dataset(client: TestClient, encode: Encode) -> None:
    """Each is a signal in the order of the upload, stored once as a whole; another order is another dataset."""
    body = uploaded(client, encode, 3)
    assert (body["name"], body["kind"], body["points"]) == ("0.png and 2 more", "image", 8 * (10 + 11 + 12))
    assert [(one["name"], one["shape"]) for one in body["signals"]] == [(f"{k}.png", [8, 10 + k]) for k in range(3)]
    files = [("files", (f"{k}.png", encode("PNG", 10 + k, 8))) for k in range(3)]
    assert client.post("/v1/datasets", files=files).json()["id"] == body["id"]
    other = client.post("/v1/datasets", files=files[::-1])
    assert (other.status_code, other.json()["id"] != body["id"]) == (201, True)


def test_the_first_guess_is_for_all_signals(client: TestClient, encode: Encode, settings: Settings) -> None:
    """A calm picture and a busy one: the init config is what a search over both tries first, whichever comes first."""
    busy = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 20, 3)).astype(np.uint8)).save(busy, "PNG")
    files = [("files", ("calm.png", encode("PNG", 24, 16))), ("files", ("busy.png", busy.getvalue()))]
    made = []
    for order in (files, files[::-1]):
        dataset = client.post("/v1/datasets", files=order).json()["id"]
        answer = client.post("/v1/init", json={"family": "gaussian", "dataset_id": dataset})
        assert answer.status_code == 200, answer.text
        made.append(answer.json())
    engine = make_engine(settings.url)
    stored = Store(engine).dataset(dataset)
    engine.dispose()
    assert stored is not None
    signals = [Signal.from_bytes(BlobStore(settings.blob_dir).get(one.blob_key)) for one in stored.signals]
    first = start_points("gaussian", signals)[0]
    moment = sum(signal.input_second_moment for signal in signals) / 2
    for config in made:
        assert config["sigma_p_first"] == pytest.approx(first.sigma_p_first)
        assert config["input_second_moment"] == pytest.approx(moment)
    assert all(first.sigma_p_first != pytest.approx(start_points("gaussian", one)[0].sigma_p_first) for one in signals)


def test_a_study_answers_how_its_config_carries_over(client: TestClient, encode: Encode, settings: Settings) -> None:
    """Two signals are searched on, two held out: the answer has each arm's score on every signal, each held-out gain
    and their mean with an interval, and a sentence about it.
    """
    asked = {**ASKED, "dataset_id": uploaded(client, encode)["id"], "held_out_signals": 2}
    study = client.post("/v1/studies", json=asked)
    assert study.status_code == 202, study.text
    engine, storage = make_engine(settings.url), open_storage(settings.url)
    store = Store(engine)
    runner = Runner(store, BlobStore(settings.blob_dir), Engine(LocalPool(2), storage), owner="test")
    runner.run(threading.Event(), until=lambda: store.result(study.json()["id"]) is not None)
    storage.engine.dispose()
    engine.dispose()
    best = client.get(f"/v1/studies/{study.json()['id']}/best").json()
    assert (best["signals"], best["held_out_signals"], best["points"]) == (2, 2, 80)
    family = best["families"][0]
    assert all(len(scores) == 4 for arm in family["arms"] for scores in arm["per_signal"])
    winner = family["winner"]
    assert winner["values"] == pytest.approx([sum(scores[:2]) / 2 for scores in winner["per_signal"]])
    carried = family["carry_over"]
    assert [one["signal"] for one in carried["signals"]] == [2, 3]
    gains = [one["gain"] for one in carried["signals"]]
    assert gains == pytest.approx([one["found"] - one["baseline"] for one in carried["signals"]])
    assert (carried["over"], carried["gain"]["mean"]) == ("signals", pytest.approx(sum(gains) / 2))
    assert "On 2 held-out signals" in carried["sentence"]
    report = client.get(f"/v1/studies/{study.json()['id']}/report").text
    assert "On 2 held-out signals" in report
    _every_signal_is_given_back(client, encode, study.json()["id"], family, report)


def _every_signal_is_given_back(client: TestClient, encode: Encode, study: str, family: dict, report: str) -> None:
    """Each as a picture whose left half is its upload, with the score that the answer has for it; in the report by its
    name, with its use; what the dataset has not is refused with the field.
    """
    here, winner = f"/v1/studies/{study}/reconstruction", family["winner"]
    metrics = {one["signal"]: one for one in family["metrics"] if one["arm"] == winner["name"]}
    assert sorted(metrics) == [0, 1, 2, 3]
    for place in range(4):
        shown = np.asarray(Image.open(io.BytesIO(client.get(here, params={"signal": place}).content)))
        original = np.asarray(Image.open(io.BytesIO(encode("PNG", 10 + place, 8))))
        np.testing.assert_array_equal(shown[:, : 10 + place], original)
        array = np.load(io.BytesIO(client.get(here, params={"signal": place, "format": "npy"}).content))
        psnr = -10.0 * np.log10(np.mean(np.square(array - original / 255.0)))
        scores = [scores[place] for scores in winner["per_signal"]]
        assert metrics[place]["values"]["psnr"] == pytest.approx(psnr, abs=0.01)
        assert min(abs(score - psnr) for score in scores) < 0.01
        assert f'<th scope="row">{place}.png</th><td>{place}</td><td>{"held out" if place > 1 else "search"}' in report
    assert report.count("the original</figcaption>") == 4
    assert "One signal after the other, 14 steps each." in report
    for wrong in (-1, 4, "first"):
        answer = client.get(here, params={"signal": wrong})
        error = answer.json()["errors"][0]
        assert (answer.status_code, error["field"], error["value"].strip("'")) == (422, "signal", str(wrong))


def test_what_leaves_nothing_to_search_on_is_refused(client: TestClient, encode: Encode) -> None:
    """All signals held out, or more points a step than the smallest signal has: 422 with the field."""
    dataset = uploaded(client, encode, 2)["id"]
    answer = client.post("/v1/studies", json={**ASKED, "dataset_id": dataset, "held_out_signals": 2})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "held_out_signals"
    asked = {**ASKED, "dataset_id": dataset, "training": {"steps": 20, "batch_size": 85}}
    error = client.post("/v1/studies", json=asked).json()["errors"][0]
    assert (error["field"], "smallest signal has only 80" in error["message"]) == ("training.batch_size", True)
