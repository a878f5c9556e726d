"""The report of a study as a page: what it says, what it needs, and what becomes of hostile names."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from html.parser import HTMLParser

import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from service.app import create_app
from service.blobs import BlobStore
from service.commands import app
from service.database import make_engine, upgrade
from service.keepsakes import unpack
from service.runner import Runner
from service.schemas import ActivationRequest, Confirm, StudyRequest, Training
from service.settings import Settings
from service.states import StudyState
from service.store import Store, new_id
from service.surfaces import learn
from vi3nr.activations import family_of
from vi3nr.config import InitConfig
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Member, Recipe
from vi3nr.metrics import psnr
from vi3nr.networks import INR
from vi3nr.signals import image_signal
from workers.engine import Engine
from workers.exhibits import shown_points
from workers.hardware import model_of
from workers.objective import Objective
from workers.plan import Budget, FamilyPlan, Network, StudyPlan
from workers.pool_local import LocalPool
from workers.storage import open_storage

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e.png'


class Page(HTMLParser):
    """What a page consists of: tags, ids, addresses and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.tags, self.ids, self.addresses, self.words = html, [], [], [], []
        self.handlers: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href"):
                self.addresses.append(value)
            if name.startswith("on") or name == "style":
                self.handlers.append(name)

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


class House:
    """A finished study of two families under a hostile name, and one that waits, in a folder."""

    def __init__(self, folder):
        self.settings = Settings(data_dir=folder)
        database = make_engine(self.settings.url)
        upgrade(database)
        self.store, self.blobs = Store(database), BlobStore(self.settings.blob_place)
        storage = open_storage(self.settings.url)
        y, x = np.mgrid[0:12, 0:10] / 12
        self.signal = image_signal(np.stack([x, y, (x + y) / 2], axis=-1) * 0.9)
        key = self.blobs.put(self.signal.to_bytes())
        meta = {
            "options": {"max_points": 120, "crop": [[0, 10], [2, None]]},
            "notes": ["it was turned"],
            "sha256": "5e",
        }
        dataset = self.store.add_dataset(name=HOSTILE, content_hash="c", signal=self.signal, blob_key=key, meta=meta)
        self.done, self.waiting = self._add(dataset.id), self._add(dataset.id)
        runner = Runner(self.store, self.blobs, Engine(LocalPool(), storage), owner="test", only=self.done)
        runner.run(threading.Event(), lambda: self.store.study(self.done).state is StudyState.COMPLETED)
        self.close = lambda: (database.dispose(), storage.engine.dispose())

    def _add(self, dataset):
        plan = StudyPlan(
            study_id=new_id(), families=(FamilyPlan("gaussian"), FamilyPlan("sine")), network=Network(8, 1),
            recipe=Recipe(40), budget=Budget(4), seed=0, search_steps=16, method="analytic", objective=Objective(),
            finalists=1, seeds=2, baselines=("pytorch_default",),
        )  # fmt: skip
        asked = StudyRequest(
            dataset_id=dataset, activations=[ActivationRequest(family=HOSTILE[:60])], training=Training(steps=40),
            confirm=Confirm(seeds=2),
        )  # fmt: skip
        return self.store.add_study(plan=plan, dataset_id=dataset, request=asked.model_dump(mode="json")).id


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house"))
    yield house
    house.close()


@pytest.fixture(scope="module")
def client(house):
    with TestClient(create_app(house.settings)) as client:
        yield client


@pytest.fixture(scope="module")
def page(client, house):
    answer = client.get(f"/v1/studies/{house.done}/report")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    return Page(answer.text)


def test_the_answer_comes_first(page, house):
    """Family, sigma_a, score and gain of the ranked winner stand before anything else, as the result has them."""
    best = house.store.result(house.done).families[0]
    top = page.text[: page.text.index("Use it")]
    for word in (
        best.family,
        f"{best.winner.sigma_a:.4g}",
        f"{best.winner.score.mean:.2f} dB",
        best.comparison.sentence,
    ):
        assert word in top


def test_which_family_suits_is_part_of_the_answer(client, page, house):
    """The difference of the winners, seed by seed, as data of ``best`` and as a sentence before anything else."""
    best = client.get(f"/v1/studies/{house.done}/best").json()
    told, (first, second) = best["family_comparison"], best["families"]
    assert (told["best"], told["second"]) == (first["family"], second["family"])
    apart = [one - other for one, other in zip(first["winner"]["values"], second["winner"]["values"], strict=True)]
    assert told["gain"]["mean"] == pytest.approx(sum(apart) / 2)
    assert told["gain"]["n"] == 2
    assert told["sentence"] in page.text[: page.text.index("Use it")]


def test_the_config_that_it_offers_is_the_winners(page, house):
    """The link to the init config holds the JSON that the service answers with, byte for byte."""
    links = [address for address in page.addresses if address.startswith("data:application/json;base64,")]
    told = [InitConfig.from_json(base64.b64decode(link.partition(",")[2]).decode()) for link in links]
    assert told == [family.winner.init_config for family in house.store.result(house.done).families]


def test_every_arm_is_in_the_table(page, house):
    """The table of confirmation has a row for each arm of each family, with its mean."""
    for family in house.store.result(house.done).families:
        for arm in family.arms:
            assert f"{arm.score.mean:.2f}" in page.text
    assert page.tags.count("caption") == page.tags.count("table") >= 3


def test_the_theorys_line_is_always_in_a_surface(page, house):
    """Of each family that has one, whichever axes matter most."""
    learned = [learn(house.store, house.store.study(house.done), family) for family in ("gaussian", "sine")]
    having = [one.surface.theory for one in learned if one.surface.theory is not None]
    assert having
    assert page.words.count("the theory's own sigma_p") == len(having)


def test_it_says_how_it_was_run(page, house):
    """Versions, trainers, seeds, times, and how the file was read: enough to run it again."""
    read = "max_points 120, crop [[0, 10], [2, null]]. It was turned. SHA-256 of the file 5e"
    for word in (
        "torch",
        "ray",
        "python",
        f"1 on CPU ({model_of('cpu')})",
        "0 for the search",
        "UTC",
        "40 steps",
        read,
    ):
        assert word in page.text, word


def test_a_hostile_name_is_only_text(page):
    """A file's name or a family that is HTML is shown and does nothing: no tag, no handler comes of it."""
    assert HOSTILE.replace("\u202e", "") in page.text.replace("\u202e", "")
    assert page.tags.count("script") == 1
    assert not page.handlers
    assert "x" not in page.addresses


def test_it_needs_no_network(page):
    """Every address in the page is inside it or its own server's start page; ids are unique."""
    assert all(address.startswith(("data:", "#")) or address == "/" for address in page.addresses), page.addresses
    assert not re.search(r"@import|url\(", page.html)
    assert len(page.ids) == len(set(page.ids))


def test_the_policy_lets_only_the_pages_own_script_run(client, house):
    """The header names the hash of the one style and the one script; no unsafe-inline, nothing foreign."""
    answer = client.get(f"/v1/studies/{house.done}/report")
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "default-src 'none'" in policy
    for name in ("script", "style"):
        (inside,) = re.findall(f"<{name}>(.*?)</{name}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy.split("; ")


def test_pictures_are_what_the_networks_make(house):
    """The kept reconstruction is the trained network's: its PSNR is that of the recorded run's training by hand at its
    last step, the run's score the smoothed one, and the kept parameters give it again."""
    result = house.store.result(house.done)
    keepsake = unpack(house.blobs.get(result.keepsake))
    runs = {(run.family, run.arm): run for run in house.store.runs(house.done) if run.replicate == 0}
    assert {one.family for one in keepsake.exhibits} == {"gaussian", "sine"}
    for one in keepsake.exhibits:
        run = runs[one.family, one.arm]
        truth = house.signal.values[shown_points(house.signal.shape, one.stride)]
        widths = run.config.layer_widths
        ensemble = CpuEnsemble(house.signal, widths=widths, family=one.family, recipe=Recipe(40), capacity=1)
        ensemble.admit(Member("by hand", run.config, one.seed, family_of(one.family).learning_rate, 40))
        (by_hand,) = ensemble.advance(40)
        assert run.score == pytest.approx(by_hand.smoothed, abs=1e-3)
        assert psnr(one.values, truth) == pytest.approx(by_hand.score, abs=1e-3)
        network = INR.from_config(run.config, seed=one.seed)
        assert sum(parameter.numel() for parameter in network.parameters()) == len(one.parameters)
        assert len(one.layers) == len(run.config.layers)


def test_lost_pictures_are_said_to_be_lost(client, house):
    """Without its keepsake the page still has its answer and says what is missing."""
    key = house.store.result(house.done).keepsake
    data = house.blobs.get(key)
    house.blobs.remove(key)
    page = Page(client.get(f"/v1/studies/{house.done}/report").text)
    assert house.blobs.put(data) == key
    assert "There is no reconstruction to show" in page.text
    assert "The versions and the device were not recorded" in page.text
    assert "Table of confirmation" in page.text


def test_a_waiting_study_has_a_page(client, house):
    """It says that it waits, and asks its own server how it stands."""
    answer = client.get(f"/v1/studies/{house.waiting}/report")
    assert "Waiting for a runner" in Page(answer.text).text
    assert f'data-live="/v1/studies/{house.waiting}"' in answer.text


def test_no_study_no_page(client):
    """404 as everywhere, as a problem."""
    answer = client.get("/v1/studies/0123456789ab/report")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_command_writes_the_same_page(house, tmp_path):
    """``vi3nr report`` writes the page as a file that asks nobody; an unknown study is refused in a sentence."""
    file = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", house.done, "-o", str(file), "--data-dir", str(house.settings.data_dir)])
    assert done.exit_code == 0, done.output
    page = Page(file.read_text(encoding="utf-8"))
    assert "Table of confirmation" in page.text
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert "data-live=" not in page.html
    refused = CliRunner().invoke(
        app, ["report", "0123456789ab", "-o", str(file), "--data-dir", str(house.settings.data_dir)]
    )
    assert refused.exit_code == 2
    assert "0123456789ab" in refused.output
