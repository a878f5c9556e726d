"""The Python client against a real API process with keys on, and a runner; and against a server that is busy."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from live_service import SMALL, LiveService, a_picture

from service.answers_limits import Limits
from service.client import ApiError, AsyncClient, Client, Retries, UnreachableError
from service.client.retries import seconds_to_wait
from service.schemas import ActivationRequest, StudyRequest
from service.states import StudyState
from vi3nr.config import InitConfig

IMPATIENT = Retries(times=2, pause=0.01, longest=0.2)


def test_the_main_job_over_the_client(live: LiveService) -> None:
    """Upload, start, wait with progress, answer, export, report; the config is the one that from_url reads."""
    seen: list[Any] = []
    with live.client() as client:
        dataset = client.upload(("a.png", a_picture()), max_points=120)
        assert (dataset.kind, dataset.points) == ("image", 120)
        asked = StudyRequest(
            dataset_id=dataset.id, **{**SMALL, "activations": [ActivationRequest(family="sine")], "reuse": False}
        )
        study = client.start(asked)
        assert study.state is StudyState.QUEUED
        assert study.request["search"]["trials"] == 2
        with live.runner():
            ended = client.wait(study.id, seen.append, seconds=120)
        assert ended.state is StudyState.COMPLETED
        assert seen[0].state is StudyState.QUEUED
        assert seen[-1] == ended
        best = client.best(study.id).families[0].winner
        assert InitConfig.from_json(client.export(study.id).decode()) == best.init_config
        assert InitConfig.from_url(f"{live.url}/v1/studies/{study.id}/export", key=live.key) == best.init_config
        assert client.report(study.id).startswith("<!doctype html>")
        assert client.reconstruction(study.id).startswith(b"\x89PNG")
        assert client.reconstruction(study.id, "npy").startswith(b"\x93NUMPY")
        assert len(list(client.trials(study.id))) == 2
        assert study.id in {one.id for one in client.studies(state=["completed"], dataset_id=dataset.id)}
        client.delete_study(study.id)
        client.delete_dataset(dataset.id)
        with pytest.raises(ApiError, match="there is no study"):
            client.study(study.id)


def test_the_asynchronous_client_does_the_same(live: LiveService) -> None:
    """Two waits side by side on one event loop; a wait that ends before the study does is a TimeoutError."""

    async def both() -> None:
        async with AsyncClient(live.url, live.key) as client:
            dataset = await client.upload(("a.png", a_picture()))
            first, second = [await client.start({"dataset_id": dataset.id, **SMALL, "reuse": False}) for _ in range(2)]
            with pytest.raises(TimeoutError, match=f"{first.id} goes on after"):
                await client.wait(first.id, seconds=0.05)
            waits = asyncio.gather(client.wait(first.id), client.wait(second.id))
            await client.cancel(first.id)
            await client.cancel(second.id)
            assert {study.state for study in await waits} == {StudyState.CANCELLED}
            mine = [study.id async for study in client.studies(state="cancelled")]
            assert {first.id, second.id} <= set(mine)
            assert (await client.limits()).max_wait_seconds == 60.0
            config = await client.init({"family": "sine", "omega": 30.0})
            assert config.family == "sine"
            assert (await client.theory({"family": "gaussian"})).stable.kind == "root"

    asyncio.run(both())


def test_both_clients_have_the_same_methods() -> None:
    """With the same parameters and defaults."""

    def methods(of: type) -> dict[str, list[inspect.Parameter]]:
        named = {name: thing for name, thing in vars(of).items() if not name.startswith("_") or name == "__init__"}
        return {name: list(inspect.signature(thing).parameters.values()) for name, thing in named.items()}

    assert methods(Client) == methods(AsyncClient)
    assert {"upload", "start", "wait", "best", "export", "close"} <= methods(Client).keys()


def test_the_same_idempotency_key_is_the_same_study(live: LiveService) -> None:
    """A key of the caller's own; without one each start is a new study."""
    with live.client() as client:
        body = {"dataset_id": client.upload(("a.png", a_picture())).id, **SMALL, "reuse": False}
        first = client.start(body, idempotency_key="mine")
        assert client.start(body, idempotency_key="mine").id == first.id
        other = client.start(body)
        assert other.id != first.id
        for study in (first, other):
            client.cancel(study.id)


def test_a_problem_is_one_exception_with_its_fields(live: LiveService) -> None:
    """422 with the fields as written, 401 without a key, 409 for what is not there yet."""
    with live.client() as client:
        with pytest.raises(ApiError) as caught:
            client.start({"dataset_id": "00", "activations": [{"family": "gaussian", "sigma_a": -1.0}]})
        assert caught.value.status == 422
        assert caught.value.type == "urn:vi3nr:problem:invalid"
        assert caught.value.errors[0].field == "activations[0].sigma_a"
        assert caught.value.errors[0].value == "-1.0"
        assert caught.value.request_id
        assert str(caught.value) == caught.value.detail
        dataset = client.upload(("a.png", a_picture()))
        study = client.start({"dataset_id": dataset.id, **SMALL, "reuse": False})
        with pytest.raises(ApiError, match="waits for a runner") as early:
            client.best(study.id)
        assert "data-live=" not in client.report(study.id), "a page to keep asks nobody"
        assert (early.value.status, early.value.type) == (409, "urn:vi3nr:problem:no-best")
        with pytest.raises(ValueError, match=r"an id consists of letters and digits, got '\.\./limits'"):
            client.study("../limits")
        client.cancel(study.id)
    with Client(live.url) as nobody, pytest.raises(ApiError, match="an API key is required") as denied:
        nobody.limits()
    assert denied.value.status == 401


class Busy(BaseHTTPRequestHandler):
    """Gives the answers of ``script`` one after the other, the last one for ever; None: hangs up."""

    script: list[tuple[int, dict[str, str], str] | None]
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self.rfile.read(length)
        self.asked.append((self.command, self.headers.get("Idempotency-Key")))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if answer is None:
            self.close_connection = True
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def busy() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


LIMITS = json.dumps(dict.fromkeys(Limits.model_fields, 7))
OK = (200, {}, LIMITS)
PROBLEM = '{"type": "urn:vi3nr:problem:x", "title": "X", "status": %d, "detail": "wait"}'


def answer(status: int, **headers: str) -> tuple[int, dict[str, str], str]:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, PROBLEM % status


@pytest.mark.parametrize(
    ("script", "requests"),
    [
        ([answer(503), answer(502), OK], 3),
        ([answer(429, Retry_After="0"), OK], 2),
        ([None, OK], 2),
        ([None, answer(503, Retry_After="0"), OK], 3),
    ],
    ids=("busy twice", "a rate", "hangs up", "both"),
)
def test_what_may_be_sent_again_is(busy: str, script: list[Any], requests: int) -> None:
    """After 429 with Retry-After, 502, 503 and a lost connection; synchronous and asynchronous alike."""

    async def asynchronous() -> int:
        async with AsyncClient(busy, retries=IMPATIENT) as client:
            return (await client.limits()).max_points

    def synchronous() -> int:
        with Client(busy, retries=IMPATIENT) as client:
            return client.limits().max_points

    for ask in (synchronous, lambda: asyncio.run(asynchronous())):
        Busy.script, Busy.asked = list(script), []
        assert ask() == 7
        assert len(Busy.asked) == requests


@pytest.mark.parametrize(
    ("script", "requests"),
    [
        ([answer(503)], 3),
        ([answer(503, Retry_After="3600")], 1),
        ([answer(429)], 1),
        ([answer(500)], 1),
        ([answer(404)], 1),
    ],
    ids=("for ever", "too long", "a quota", "a fault", "not there"),
)
def test_what_will_not_go_better_is_told(busy: str, script: list[Any], requests: int) -> None:
    """Enough is enough; an hour is not waited for; a quota, a fault and a refusal are not tried again."""
    Busy.script, Busy.asked = list(script), []
    with Client(busy, retries=IMPATIENT) as client, pytest.raises(ApiError, match="wait") as caught:
        client.limits()
    assert caught.value.status == script[0][0]
    assert caught.value.retry_after == (3600.0 if "Retry-After" in script[0][1] else None)
    assert len(Busy.asked) == requests


def test_a_study_is_asked_for_again_under_the_same_key(busy: str) -> None:
    """So that a lost answer makes no second study; another start has another key."""
    with Client(busy, retries=IMPATIENT) as client:
        for _ in range(2):
            Busy.script, Busy.asked = [answer(503, Retry_After="0"), answer(422)], getattr(Busy, "asked", [])
            with pytest.raises(ApiError):
                client.start({"dataset_id": "a", "activations": []})
    keys = [key for command, key in Busy.asked[-4:] if command == "POST"]
    assert len(keys) == 4
    assert len(set(keys)) == 2
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_a_deletion_whose_answer_was_lost_is_done(busy: str) -> None:
    """404 to the second request is what the first one wanted; to the first it is an error."""
    with Client(busy, retries=IMPATIENT) as client:
        Busy.script, Busy.asked = [None, answer(404)], []
        client.delete_study("ab")
        Busy.script = [answer(404)]
        with pytest.raises(ApiError):
            client.delete_study("ab")


def test_nobody_and_somebody_else(busy: str) -> None:
    """A port where nobody listens, and a server of another kind, are told in a sentence with the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Client(nobody, retries=IMPATIENT) as client, pytest.raises(UnreachableError, match=nobody):
        client.limits()
    Busy.script = [(200, {}, "<html>hello")]
    with Client(busy) as client, pytest.raises(UnreachableError, match="does not answer as this version's service"):
        client.limits()
    Busy.script = [(404, {"Content-Type": "text/html"}, "<html>no such page")]
    with Client(busy) as client, pytest.raises(ApiError, match="404 Not Found: <html>no such page") as caught:
        client.limits()
    assert caught.value.type == "about:blank"
    for url in ("localhost:8000", "ftp://x", ""):
        with pytest.raises(ValueError, match="must begin with http"):
            Client(url)
    with pytest.raises(ValueError, match="one line of ASCII") as wrong:
        Client(busy, "vi3nr_a\nb")
    assert "vi3nr_a" not in str(wrong.value)


def test_retry_after_is_seconds_or_a_date() -> None:
    """Both forms of RFC 9110; anything else is none."""
    assert seconds_to_wait("7") == 7.0
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert 20.0 < (seconds_to_wait(format_datetime(soon, usegmt=True)) or 0.0) <= 30.0
    assert seconds_to_wait(format_datetime(soon - timedelta(hours=1), usegmt=True)) == 0.0
    assert seconds_to_wait("soon") is None
    assert seconds_to_wait(None) is None


def test_the_pages_snippets_run(live: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/service.md, one snippet after the other, against this service."""
    page = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(snippets) == 2
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(a_picture())
    small = '"reuse": False, "network": {"width": 8, "hidden_layers": 1}, "training": {"steps": 10}'
    small += ', "confirm": {"finalists": 1, "seeds": 2}, "baselines": ["pytorch_default"], "search": {"trials": 2}'
    names: dict[str, Any] = {}
    with live.runner():
        for snippet in snippets:
            here = snippet.replace("http://localhost:8000", live.url).replace("key=None", f"key={live.key!r}")
            exec(here.replace('"search": {"trials": 8}', small), names)
    assert torch.equal(names["again"].layers[0].weight, names["network"].layers[0].weight)
    assert names["winner"].init_config == names["config"]
