"""What the Python client does with a server that is busy, hangs up, sends elsewhere or is another one."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from service.answers_limits import Limits
from service.client import ApiError, AsyncClient, Client, Retries, UnreachableError, calls
from service.client.retries import seconds_to_wait

IMPATIENT = Retries(times=2, pause=0.01, longest=0.2)


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
        """Not on the tests' standard error."""


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


@pytest.mark.parametrize("begun", [False, True], ids=("from the start", "after a first look"))
@pytest.mark.parametrize("away", ["busy", "hangs up", "silent"])
def test_a_wait_with_an_end_has_one_though_the_service_is_away(
    busy: str, away: str, begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pause reaches beyond it, however patient the client is otherwise; nor does a service that says nothing."""
    monkeypatch.setattr(calls, "GRACE", 0.1)
    patient = Retries(times=100, pause=1000.0, longest=10000.0)
    silence = socket.create_server(("127.0.0.1", 0))  # takes connections, and never says a word
    url = f"http://127.0.0.1:{silence.getsockname()[1]}" if away == "silent" else busy
    last = {"busy": answer(503, Retry_After="1000"), "hangs up": None, "silent": None}[away]

    def waited(client: Client) -> None:
        client.wait("ab", seconds=0.3)

    async def awaited(client: AsyncClient) -> None:
        async with client:
            await client.wait("ab", seconds=0.3)

    with silence, Client(url, retries=patient) as client:
        for wait in (lambda: waited(client), lambda: asyncio.run(awaited(AsyncClient(url, retries=patient)))):
            Busy.script, Busy.asked = [OK, last] if begun else [last], []
            with pytest.raises((ApiError, UnreachableError)):
                wait()


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


def test_a_redirect_is_no_answer(busy: str) -> None:
    """Nothing was deleted, and a page that says where to go is no report."""
    Busy.script = [(308, {"Location": "https://elsewhere.example/v1"}, "Permanent Redirect")]
    with Client(busy, retries=IMPATIENT) as client:
        for ask in (client.delete_study, client.delete_dataset, client.report, client.export):
            with pytest.raises(ApiError, match=r"308 Permanent Redirect: it points to 'https://elsewhere.example/v1'"):
                ask("ab")


def test_no_proxy_stands_before_this_machine(busy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on clusters whose environment names one for everything."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    Busy.script = [OK]
    with Client(busy, retries=Retries(times=0)) as client:
        assert client.limits().max_points == 7


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
    with pytest.raises(ValueError, match="no user and no password") as hidden:
        Client("http://me:topsecret@127.0.0.1:9")
    assert "topsecret" not in str(hidden.value)
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
