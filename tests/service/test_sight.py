"""What an operator sees: headers, request ids, JSON logs, metrics, and what is missing."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, text
from starlette.testclient import TestClient
from studies_to_store import ask, claimed, queued

from service.app import create_app
from service.database import make_engine
from service.logs import JsonLines, request_id
from service.metrics import Metrics
from service.runner_figures import Board, Figures
from service.settings import Settings
from service.store import Store
from vi3nr.ensemble.interface import Progress
from workers.events import StudyFailed, TrialFinished
from workers.gauge import BOUNDS, MeasuredPool
from workers.pool import Device, DeviceLost, Turn, TurnDone


def samples(text: str) -> dict[str, float]:
    """Prometheus text as ``name{label,...} -> value``, read by its own parser."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


@pytest.mark.parametrize("path", ["/v1/studies", "/v1/studies/aa", "/healthz", "/nowhere", "/docs"])
def test_every_answer_has_the_headers_of_a_careful_service(client: TestClient, path: str) -> None:
    """Also errors: nothing sniffed, framed, kept or loaded from elsewhere; and no word of what serves it."""
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] in ("no-store", "private, no-cache")
    assert "server" not in headers
    assert "strict-transport-security" not in headers
    secure = client.get(f"https://testserver{path}").headers
    assert "max-age=" in secure["strict-transport-security"]


def test_an_error_that_nobody_foresaw_is_like_any_other(
    settings: Settings, client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """500 as a problem, with the headers and the request's id, under which the log has the traceback."""

    def fails(*_: Any) -> None:
        raise RuntimeError("out of the blue")

    monkeypatch.setattr(Store, "studies", fails)
    answer = client.get("/v1/studies", headers={"X-Request-ID": "abc-1"})
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:vi3nr:problem:internal")
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "blue" not in answer.text
    told = [json.loads(JsonLines().format(record)) for record in caplog.records if record.exc_info]
    assert told
    assert all("out of the blue" in line["traceback"] for line in told)


def test_a_page_of_another_site_gets_nothing_out_of_loopback(client: TestClient) -> None:
    """Keys are off: neither a cross-site request nor a name that was bent to lead here is served."""
    elsewhere = {"Origin": "http://evil.example", "Host": "0.0.0.0:8000"}  # browsers send no Sec-Fetch-Site there
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Host": "rebound.example.org:8000"}, elsewhere):
        answer = client.get("/v1/studies", headers=headers)
        assert answer.status_code == 403
    for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000", "a.localhost", "api"):
        assert client.get("/v1/studies", headers={"Host": host, "Sec-Fetch-Site": "same-origin"}).status_code == 200
        assert client.get("/v1/studies", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


def test_request_ids_are_given_or_made(client: TestClient) -> None:
    """One that came along is kept if it is harmless; else there is a new one each time."""
    assert client.get("/healthz", headers={"X-Request-ID": "a.b-c_9"}).headers["x-request-id"] == "a.b-c_9"
    given = ("", "a b", "x" * 65)
    made = {client.get("/healthz", headers={"X-Request-ID": word}).headers["x-request-id"] for word in given}
    assert len(made - set(given)) == 3


def test_log_lines_are_json_with_ids(client: TestClient, dataset_id: str, caplog: pytest.LogCaptureFixture) -> None:
    """A request's line has its id, path without query, status and study, which one that makes a study has too; a
    trial's has study, family and number.
    """
    caplog.set_level(logging.INFO)
    made = ask(client, dataset_id).json()["id"]
    assert [record.study_id for record in caplog.records if record.name == "service.requests"] == [made]
    caplog.clear()
    client.get("/v1/studies/abc?x=secret", headers={"X-Request-ID": "r1"})
    token = request_id.set("r1")
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "service.requests"]
    request_id.reset(token)
    (line,) = lines
    assert (line["request_id"], line["path"], line["status"], line["study_id"]) == ("r1", "/v1/studies/abc", 404, "abc")
    assert "secret" not in str(lines)
    record = logging.makeLogRecord({"msg": "trial\n%s", "args": ("é",), "study_id": "s", "trial": 3, "family": "sine"})
    text = JsonLines().format(record)
    assert "\n" not in text
    assert (json.loads(text)["trial"], json.loads(text)["message"]) == (3, "trial\né")


class Turns:
    """A pool that ends turns as it is told."""

    def __init__(self) -> None:
        self.ended: list[Any] = []

    def devices(self) -> list[Device]:
        return [Device("d1", "cpu", 2), Device("d2", "cpu", 1)]

    def start(self, device_id: str, turn: Turn) -> None:
        """Begin."""

    def wait(self, timeout: float) -> list[Any]:
        ended, self.ended = self.ended, []
        return ended


def progress(key: str, finished: bool) -> Progress:
    return Progress(key, 1, 0.0, 0.0, 0.0, 1, diverged=False, finished=finished, seconds=0.1, state=None)


def test_metrics_tell_what_happened(engine: Engine, store: Store) -> None:
    """Queue, running, trials, errors, slots in use and seconds a segment: from the database, whatever process asks."""
    claimed(store)
    queued(store)
    turns = Turns()
    pool = MeasuredPool(turns)  # type: ignore[arg-type]
    for device in ("d1", "d2"):
        pool.start(device, Turn(admit=(None,) * len(device[1:]), evict=(), steps=1))  # type: ignore[arg-type]
    turns.ended = [
        TurnDone("d1", (progress("a", False), progress("b", True))),
        DeviceLost("d2", "gone"),
    ]  # fmt: skip
    pool.wait(0.0)
    figures = Figures(Board(engine), "host:1", pool.figures)
    for state in ("complete", "complete", "pruned"):
        figures.note(TrialFinished("s", "sine", 1, state, 1.0))
    figures.note(StudyFailed("s", "x"))
    figures.tell(held=1)
    from prometheus_client import generate_latest

    found = samples(generate_latest(Metrics(store, Board(engine)).registry).decode())
    assert found["vi3nr_database_up{}"] == 1
    assert found["vi3nr_studies{state=queued}"] == 1
    assert found["vi3nr_studies{state=running}"] == 1
    assert found["vi3nr_runners{}"] == 1
    assert found["vi3nr_runner_trials_total{runner=host:1,state=complete}"] == 2
    assert found["vi3nr_runner_studies_ended_total{runner=host:1,state=failed}"] == 1
    assert found["vi3nr_runner_studies_held{runner=host:1}"] == 1
    assert found["vi3nr_runner_slots{runner=host:1}"] == 3
    assert found["vi3nr_runner_slots_in_use{runner=host:1}"] == 1
    assert found["vi3nr_runner_devices_lost_total{runner=host:1}"] == 1
    assert found["vi3nr_runner_segment_seconds_count{runner=host:1}"] == 1
    bars = [found[f"vi3nr_runner_segment_seconds_bucket{{le={end},runner=host:1}}"] for end in (*BOUNDS, "+Inf")]
    assert bars == sorted(bars), "each bar counts all that are quicker"
    assert bars[-1] == 1
    assert found["vi3nr_runner_segment_seconds_sum{runner=host:1}"] > 0
    Figures(Board(engine), "host:1", pool.figures).tell(held=0)
    found = samples(generate_latest(Metrics(store, Board(engine)).registry).decode())
    assert found["vi3nr_runner_slots_in_use{runner=host:1}"] == 0, "nobody trains"


@pytest.mark.usefixtures("store")
def test_a_runner_counts_as_long_as_it_is_seen(engine: Engine) -> None:
    """One that is silent for more than a minute does not, nor one that was last seen by a clock that was put back."""
    board = Board(engine)
    board.pin("host:1", {})
    for seconds, seen in ((-10, 1), (-60, 0), (200, 0)):
        with engine.begin() as connection:
            connection.execute(text("UPDATE vi3nr_runners SET seen = seen + :s"), {"s": seconds})
        assert len(board.runners()) == seen, seconds


def test_metrics_over_http(client: TestClient, dataset_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests by route, not by path: an address that nobody foresaw makes no label of its own. Trials by state, the
    requests that are being answered.
    """
    monkeypatch.setattr(Store, "trial_counts", lambda _: {"complete": 7})
    for word in ("aa", "bb", "cc"):
        client.get(f"/v1/studies/{word}")
        client.get(f"/{word}")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = samples(answer.text)
    route = "/v1/studies/{study_id}"
    assert found[f"vi3nr_http_requests_total{{method=GET,route={route},status=404}}"] == 3
    assert found["vi3nr_http_requests_total{method=GET,route=none,status=404}"] == 3
    assert found[f"vi3nr_http_seconds_count{{method=GET,route={route}}}"] == 3
    assert found["vi3nr_http_open_requests{}"] == 1, "this one"
    assert found["vi3nr_trials_stored{state=complete}"] == 7


def test_readiness_says_what_is_missing(settings: Settings, client: TestClient, tmp_path: Path) -> None:
    """Without a runner: ready, and studies wait. With one: nothing. Without a disk to write on: 503."""
    assert client.get("/readyz").json() == {
        "status": "ready", "missing": ["no runner was seen in the last minute: studies wait"],
    }  # fmt: skip
    client.app.state.rooms.board.pin("host:1", {})  # type: ignore[attr-defined]
    assert client.get("/readyz").json() == {"status": "ready", "missing": []}
    engine = make_engine(settings.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE vi3nr_runners SET seen = seen - 61"))
    engine.dispose()
    assert len(client.get("/readyz").json()["missing"]) == 1, "it has been silent for a minute"


def test_a_folder_that_cannot_be_written_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, naming it."""
    monkeypatch.setattr("service.routes_health.os.access", lambda *_: False)
    answer = client.get("/readyz")
    assert (answer.status_code, "cannot be written" in answer.json()["detail"]) == (503, True)


def test_a_full_disk_is_told(settings: Settings, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, with the bytes that are left."""
    from service import routes_health

    monkeypatch.setattr(routes_health, "LEAST_FREE", 2**63)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "bytes left" in answer.json()["detail"]


def test_metrics_without_a_database_say_so(tmp_path: Path) -> None:
    """vi3nr_database_up is 0; nothing fails, and nothing stands there as if it were known."""
    url = f"postgresql+psycopg://nobody@/none?host={tmp_path}&connect_timeout=1"
    client = TestClient(create_app(Settings(data_dir=tmp_path, database_url=url)), raise_server_exceptions=False)
    found = samples(client.get("/metrics").text)
    assert found["vi3nr_database_up{}"] == 0
    assert not any(name.startswith("vi3nr_studies") for name in found)
