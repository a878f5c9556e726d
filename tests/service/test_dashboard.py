"""What the Optuna dashboard tells of studies: over HTTP from a small real study, and in a real browser."""

from __future__ import annotations

import io
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
import optuna
import optuna_dashboard
import pytest
from live_service import a_picture
from optuna_dashboard._serializer import serialize_frozen_study
from PIL import Image
from sqlalchemy import text

from service.blobs import BlobStore
from service.dashboard import serve_dashboard
from service.dashboard.storage import ToldStorage
from service.dashboard.stories import Stories
from service.dashboard.words import plain
from service.database import make_engine
from service.runner import Runner
from service.settings import Settings
from service.store import Store, new_id
from service.trial_records import optuna_name
from vi3nr.ensemble.interface import Recipe
from vi3nr.signals import image_signal
from workers.axes import RATIO, SIGMA_A
from workers.engine import Engine
from workers.objective import Objective
from workers.plan import Budget, FamilyPlan, Network, StudyPlan
from workers.pool_local import LocalPool
from workers.storage import open_storage

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = "<img src=x onerror=alert(1)> & *cat*_1_.png"
PUBLIC = "https://vi3nr.example.org"
PIXELS = np.asarray(Image.open(io.BytesIO(a_picture())))
MILLISECONDS = 100_000  # that anything on a page may take: a machine under load


class House:
    """A finished study of one family under a hostile name, in a folder, and its dashboard."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.engine = settings, make_engine(settings.url)
        self.store, self.blobs = Store(self.engine), BlobStore(settings.blob_place)
        signal = image_signal(PIXELS)
        dataset = self.store.add_dataset(
            name=HOSTILE, content_hash="c", signal=signal, blob_key=self.blobs.put(signal.to_bytes()), meta={}
        )
        asked = StudyPlan(
            study_id=new_id(), families=(FamilyPlan("gaussian"),), network=Network(8, 1), recipe=Recipe(30),
            budget=Budget(6), seed=0, search_steps=12, method="analytic", objective=Objective(), finalists=1, seeds=2,
            baselines=("pytorch_default",),
        )  # fmt: skip
        request = {"network": {"hidden_layers": 1, "width": 8}, "training": {"steps": 30}, "search": {"trials": 6}}
        self.study = self.store.add_study(plan=asked, dataset_id=dataset.id, request=request).id
        storage = open_storage(settings.url)
        runner = Runner(self.store, self.blobs, Engine(LocalPool(), storage), owner="test")
        runner.run(threading.Event(), lambda: self.store.result(self.study) is not None)
        optuna.create_study(storage=storage, study_name="somebody's own")
        storage.remove_session()
        storage.engine.dispose()
        listener = socket.create_server(("127.0.0.1", 0))  # the server's from now on, which ends with this process
        threading.Thread(target=serve_dashboard, args=(settings, listener), daemon=True).start()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    @property
    def winner(self) -> Any:
        return self.family.winner

    @property
    def family(self) -> Any:
        found = self.store.result(self.study)
        assert found is not None
        return found.families[0]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, upgraded: Path) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("dashboard")
    shutil.copy(upgraded, folder / "vi3nr.db")
    house = House(Settings(data_dir=folder, public_url=PUBLIC))
    yield house
    house.engine.dispose()


@pytest.fixture(scope="module")
def http(house: House) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=house.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def number(http: httpx2.Client) -> int:
    """What Optuna calls the study."""
    found = http.get("/api/studies").json()["study_summaries"]
    return int(next(one["study_id"] for one in found if "gaussian" in one["study_name"]))


@pytest.fixture(scope="module")
def detail(http: httpx2.Client, number: int) -> Any:
    """What the study's page is made of."""
    return http.get(f"/api/studies/{number}").json()


@pytest.fixture
def told(house: House) -> Iterator[ToldStorage]:
    """The storage that the dashboard reads."""
    stories = Stories(house.store, house.blobs)
    storage = open_storage(house.settings.url, partial(ToldStorage, stories=stories))
    assert isinstance(storage, ToldStorage)
    yield storage
    stories.close()
    storage.remove_session()
    storage.engine.dispose()


def test_studies_are_listed_in_words(http: httpx2.Client, house: House, detail: Any) -> None:
    """Dataset, family, stage and the id by which the API knows it; what is not of ours keeps its own name."""
    names = [one["study_name"] for one in http.get("/api/studies").json()["study_summaries"]]
    assert names == [f"{HOSTILE}, gaussian: completed ({house.study})", "somebody's own"]
    assert detail["name"] == names[0]


def test_the_list_tells_no_stories(house: House, told: ToldStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list is cheap: nothing of a study is read before its own page is asked for."""
    asked: list[str] = []
    monkeypatch.setattr(Stories, "story", lambda _, study, family: asked.append(study))
    studies = told.get_all_studies()
    for one in studies:
        serialize_frozen_study(one)
    assert studies[0].system_attrs["study:metric_names"]
    assert asked == []
    assert "study:metric_names" in list(studies[0].system_attrs)
    assert asked == [house.study]


def test_the_note_holds_the_answer(detail: Any, house: House) -> None:
    """sigma_a, sigma_p, score and gain as the result has them, what was asked, the theory's sigma_p, and the report's
    address; a hostile name is only text.
    """
    body = detail["note"]["body"]
    told = body.replace("\\", "")
    for value in (house.winner.sigma_a, house.winner.sigma_p, house.family.stability_sigma_p):
        assert f"{value:.4g}" in told
    assert f"{house.winner.score.mean:.2f} dB" in told
    assert house.family.comparison.sentence in told
    assert f"{HOSTILE} (image, 12 x 10 pixels), gaussian, 1 hidden layer of 8 units, 30 steps of Adam, 6 trials" in told
    assert f"[the report]({PUBLIC}/v1/studies/{house.study}/report)" in body
    assert plain(HOSTILE) in body
    assert "<" not in body.replace("\\<", "")


def test_the_dashboards_own_function_reads_the_note(house: House, told: ToldStorage) -> None:
    """Through this storage the note is where the Python API of the dashboard looks for it."""
    study = optuna.load_study(study_name=optuna_name(house.study, "gaussian"), storage=told)
    assert "sigma_a" in optuna_dashboard.get_note(study)


def test_the_finalists_trial_says_how_it_did(detail: Any, house: House) -> None:
    """Its note has the confirmed score, and its files are what its network makes of the picture; no other trial's."""
    arm = next(arm for arm in house.family.arms if arm.kind == "finalist")
    trials = {one["number"]: one for one in detail["trials"]}
    assert f"{arm.score.mean:.2f} dB" in trials[arm.trial]["note"]["body"].replace("\\", "")
    assert len(trials[arm.trial]["artifacts"]) == 2
    assert [one["number"] for one in detail["trials"] if one["note"]["body"] or one["artifacts"]] == [arm.trial]


def test_parameters_have_the_fields_names(detail: Any) -> None:
    """The searched axes, and first beside them what they come to; what recovery keeps is not shown."""
    for trial in detail["trials"]:
        assert {one["name"] for one in trial["params"]} >= {SIGMA_A, RATIO}
        known = [one["key"] for one in trial["user_attrs"]]
        assert known[:4] == ["sigma_a", "sigma_p", "sigma_p_first", "bias_first"]
        assert "seed" in known
        assert "lease" not in known


def test_the_figure_is_the_surface_with_the_theorys_line(detail: Any, house: House) -> None:
    """Over sigma_a and sigma_p / sigma_a: one dot a finished trial, the theory's rho all along its line, the basin."""
    (graph,) = detail["plotly_graph_objects"]
    figure = json.loads(graph["graph_object"])
    traces = {one["name"].partition(":")[0]: one for one in figure["data"]}
    axis = traces["the theory's own sigma_p"]
    assert len(set(axis["y"])) == 1
    assert axis["y"][0] == pytest.approx(house.family.stability_sigma_p / house.winner.sigma_a, rel=1e-6)
    assert figure["layout"]["xaxis"]["type"] == figure["layout"]["yaxis"]["type"] == "log"
    finished = [one for one in detail["trials"] if one["state"] in ("Complete", "Pruned")]
    dots = traces["trials, by their score"]
    searched = [{p["name"]: float(p["param_external_value"]) for p in one["params"]} for one in finished]
    assert sorted(zip(dots["x"], dots["y"], strict=True)) == sorted((one[SIGMA_A], one[RATIO]) for one in searched)
    assert "good basin" in traces
    assert np.shape(traces["expected score"]["z"]) == (17, 17)


def test_pictures_are_the_reports(http: httpx2.Client, detail: Any, number: int) -> None:
    """Original, reconstructions and error maps are served as PNG files, to pages of the dashboard's own alone."""
    names = [one["filename"] for one in detail["artifacts"]]
    assert len(names) in (3, 5)  # the winner may be the usual one
    assert names == sorted(names)
    assert names[0].startswith("1 Original")
    for one in detail["artifacts"]:
        answer = http.get(f"/artifacts/{number}/{one['artifact_id']}")
        assert answer.headers["content-type"] == "image/png"
        assert "access-control-allow-origin" not in answer.headers
        assert Image.open(io.BytesIO(answer.content)).size == (12, 10)
    original = http.get(f"/artifacts/{number}/{detail['artifacts'][0]['artifact_id']}")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(original.content))), PIXELS)
    assert http.get(f"/artifacts/{number}/{detail['artifacts'][0]['artifact_id']}0").status_code == 404


def test_nothing_is_written(http: httpx2.Client, house: House, number: int) -> None:
    """However often it is looked at, Optuna's tables hold what the search wrote; storing a file is refused."""
    query = text("SELECT COUNT(*), COALESCE(SUM(LENGTH(value_json)), 0) FROM study_system_attributes")
    with house.engine.connect() as connection:
        before = tuple(connection.execute(query).one())
    assert http.get(f"/api/studies/{number}").status_code == 200
    with house.engine.connect() as connection:
        assert tuple(connection.execute(query).one()) == before
    with pytest.raises(PermissionError, match="for looking"):
        Stories(house.store, house.blobs).remove("0")


def test_what_is_lost_costs_the_pictures_alone(house: House, told: ToldStorage) -> None:
    """Without the blobs there are note and figure and no artifact; without our tables there is what Optuna has."""
    nowhere = Stories(house.store, BlobStore(house.settings.data_dir / "none"))
    story = nowhere.story(house.study, "gaussian")
    assert story is not None
    assert (story.files, bool(story.figure), bool(story.note)) == ((), True, True)
    nowhere.close()
    told._stories._store = None  # whatever goes wrong there
    assert [one.study_name for one in told.get_all_studies()] == [
        optuna_name(house.study, "gaussian"),
        "somebody's own",
    ]
    assert told.get_study_system_attrs(1).keys() == {"study:metric_names"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="the browser is driven by playwright: pip install playwright"
    )
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def test_a_person_sees_the_story(house: House, browser: Any, number: int, detail: Any) -> None:
    """In a real browser: the name in the list, the figure with its line, the pictures, the note's table; no script of a
    hostile name runs, and no other host is asked.
    """
    hosts, context = set(), browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(MILLISECONDS)
    page = context.new_page()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(house.url)
    page.get_by_text(detail["name"]).first.click()
    legend = page.locator("[id='user-defined-plot:response-surface'] .legendtext")
    legend.filter(has_text="the theory's own sigma_p").wait_for()
    assert legend.count() == 4
    pictures = page.locator("img[src^='/artifacts/']")
    pictures.first.wait_for()
    assert pictures.count() == len(detail["artifacts"])
    page.wait_for_function("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
    page.locator(f"a[href$='/studies/{number}/note']").first.click()
    page.locator("td strong", has_text=f"{house.winner.score.mean:.2f} dB").wait_for()
    assert HOSTILE in page.inner_text("body")
    context.close()
    assert hosts - {""} == {urlsplit(house.url).netloc}
