"""Webhooks: signed, tried again, lost by no crash, sent by one process, and no way into our own network."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient
from studies_to_store import LONG, dataset, plan, result

from service.app import create_app
from service.database import make_engine
from service.outbox import Letter, Outbox
from service.settings import Settings
from service.store import Store, new_id
from service.store_asks import Terms, WebhookTarget
from service.webhook_targets import ForbiddenAddressError, address_of
from service.webhooks import Postman, post, signature

SECRET = "a secret of enough letters"


class Receiver:
    """A server that keeps what it gets, and answers with each of ``statuses`` in turn, the last one for ever."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.got: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?a=1"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def ended(store: Store, receiver: Receiver) -> Callable[..., str]:
    """A study with a webhook that has ended, or that still runs."""

    def make(url: str = "", complete: bool = True) -> str:
        study_id = new_id()
        terms = Terms(webhook=WebhookTarget(url or receiver.url, SECRET))
        store.add_study(plan=plan(study_id), dataset_id=dataset(store), request={}, terms=terms)
        claim = store.claim("runner", LONG)
        assert claim is not None
        if complete:
            store.complete(study_id, claim.lease_number, result())
        return study_id

    return make


def postman(engine: Engine, **changes: Any) -> Postman:
    defaults = {"webhook_private_addresses": True, "webhook_pause_seconds": 0.001}
    return Postman(Outbox(engine), Settings(**{**defaults, **changes}))


def rounds_until(condition: Callable[[], object], *men: Postman) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        for man in men:
            man.round()


def test_the_end_of_a_study_is_told_and_signed(engine: Engine, receiver: Receiver, ended: Callable[..., str]) -> None:
    """One message with the study and its state; id, timestamp and signature as Standard Webhooks has them."""
    running, study_id = ended(complete=False), ended()
    man = postman(engine)
    assert man.round() == 1
    assert man.round() == 0
    ((headers, body),) = receiver.got
    said = json.loads(body)
    assert (said["type"], said["data"]["study_id"], said["data"]["state"]) == (
        "study.completed", study_id, "completed",
    )  # fmt: skip
    assert running not in body.decode()
    sent = int(headers["webhook-timestamp"])
    assert abs(sent - time.time()) < 300
    assert headers["webhook-signature"] == signature(SECRET, headers["webhook-id"], sent, body)
    assert headers["webhook-signature"] != signature(SECRET + "x", headers["webhook-id"], sent, body)


def test_the_signature_is_that_of_the_specification() -> None:
    """Against a value that OpenSSL gave for the same bytes."""
    assert signature("key", "msg_1", 1700000000, b'{"a":1}') == "v1,KSgv0SSgWzG5LPnm9tfWJRfBlWqAqHz+OlObgspQi/g="


def test_what_does_not_arrive_is_sent_again(engine: Engine, receiver: Receiver, ended: Callable[..., str]) -> None:
    """After a 500, a redirection (not followed) and a 404 it arrives, under the same id."""
    ended()
    receiver.statuses = [500, 302, 404, 204]
    man = postman(engine)
    rounds_until(lambda: len(receiver.got) == 4, man)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    for _ in range(3):
        assert man.round() == 0


def test_each_pause_is_longer(engine: Engine, receiver: Receiver, ended: Callable[..., str]) -> None:
    """Four times the one before; after the last attempt there is none."""
    pauses: list[float | None] = []

    class Told(Outbox):
        def failed(self, letter: Letter, error: str, again_in: float | None) -> None:
            pauses.append(again_in)
            super().failed(letter, error, again_in)

    ended()
    receiver.statuses = [503]
    settings = Settings(webhook_private_addresses=True, webhook_pause_seconds=0.001, webhook_attempts=4)
    rounds_until(lambda: len(pauses) == 4, Postman(Told(engine), settings))
    assert pauses == [0.001, 0.004, 0.016, None]


def test_a_receiver_that_never_ends_its_answer_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each letter comes in time, the answer's end never: the connection is cut."""
    connect = socket.create_connection
    monkeypatch.setattr("service.webhooks.SECONDS", 0.1)
    monkeypatch.setattr(socket, "create_connection", lambda address, _: connect(address, 200))  # whatever the machine
    over = threading.Event()

    def dribble() -> None:
        connection, _ = listener.accept()
        with connection:
            while not over.wait(0.01):
                try:
                    connection.send(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=dribble)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(http.client.BadStatusLine):
            post(Letter(1, url, SECRET, 1, "s", "completed", 0.0), private=True)
        over.set()
        thread.join()


AWAY = OperationalError("SELECT", {}, Exception("server closed the connection"))


@pytest.mark.parametrize("trouble", [AWAY, MemoryError(), RuntimeError("can't start new thread")])
def test_the_sender_outlives_trouble(engine: Engine, monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    """A database that is away, or a machine that has no memory or no thread left: it looks again."""
    monkeypatch.setattr("service.webhooks.TROUBLE_SECONDS", 0.0)
    monkeypatch.setattr("service.webhooks.IDLE_SECONDS", 0.0)
    looks, looked = [], threading.Event()

    def away(*_: object) -> list[Letter]:
        looks.append(1)
        if len(looks) > 1:
            looked.set()
        raise trouble

    monkeypatch.setattr(Outbox, "take", away)
    man = postman(engine)
    man.start()
    assert looked.wait(60)
    man.stop()


def test_a_letter_that_could_not_be_posted_is_tried_again(
    engine: Engine, receiver: Receiver, ended: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread for its deadline, say: that was an attempt like any other."""
    ended()
    man = postman(engine)
    with monkeypatch.context() as full:
        full.setattr(threading.Timer, "start", lambda _: (_ for _ in ()).throw(RuntimeError("can't start new thread")))
        assert man.round() == 1
    assert receiver.got == []
    rounds_until(lambda: receiver.got, man)


def test_it_is_given_up_after_so_many_attempts(engine: Engine, receiver: Receiver, ended: Callable[..., str]) -> None:
    """A receiver that always fails is asked that often and no oftener."""
    ended()
    receiver.statuses = [503]
    man = postman(engine, webhook_attempts=3)
    rounds_until(lambda: len(receiver.got) == 3, man)
    time.sleep(0.05)  # longer than any pause here
    assert man.round() == 0
    assert len(receiver.got) == 3


def test_a_crash_between_taking_and_sending_loses_nothing(
    engine: Engine, receiver: Receiver, ended: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that took the message and died: when its minute is over another one sends it, and only then."""
    ended()
    assert len(Outbox(engine).take()) == 1  # and it dies here
    man = postman(engine)
    assert man.round() == 0
    monkeypatch.setattr("service.outbox.SENDING_SECONDS", -1.0)
    ended()
    assert len(Outbox(engine).take()) == 1
    monkeypatch.undo()
    rounds_until(lambda: len(receiver.got) == 1, man)


def test_several_processes_send_it_once(engine: Engine, receiver: Receiver, ended: Callable[..., str]) -> None:
    """Four take at the same moment: each message has one taker."""
    studies = {ended() for _ in range(6)}
    gate, taken = threading.Barrier(4), []

    def takes() -> None:
        outbox = Outbox(engine)
        gate.wait()
        for _ in range(6):
            taken.extend(letter.study_id for letter in outbox.take(2))

    threads = [threading.Thread(target=takes) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(studies)


def test_a_name_that_leads_into_our_network_is_not_reached(
    engine: Engine, receiver: Receiver, ended: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at when the message is sent, every address of the name; a setting allows it."""
    from urllib.parse import urlsplit

    def leads(*addresses: str) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    url = urlsplit("https://innocent.example.org/")
    leads("192.168.1.1")
    with pytest.raises(ForbiddenAddressError):
        address_of(url, private=False)
    leads("8.8.8.8", "127.0.0.1")
    with pytest.raises(ForbiddenAddressError):
        address_of(url, private=False)
    leads("8.8.8.8")
    assert address_of(url, private=False) == ("8.8.8.8", 443)
    monkeypatch.undo()
    ended()
    assert postman(engine, webhook_private_addresses=False).round() == 1
    assert receiver.got == []


def test_the_api_process_sends_by_itself(settings: Settings, upgraded: Path, receiver: Receiver) -> None:
    """While the application runs, what is due goes out without anybody asking."""
    settings.data_dir.mkdir()
    shutil.copy(upgraded, settings.data_dir / "vi3nr.db")
    engine = make_engine(settings.url)
    store, study_id = Store(engine), new_id()
    terms = Terms(webhook=WebhookTarget(receiver.url, SECRET))
    store.add_study(plan=plan(study_id), dataset_id=dataset(store), request={}, terms=terms)
    store.request_cancel(study_id)
    with TestClient(create_app(settings.model_copy(update={"webhook_private_addresses": True}))):
        deadline = time.monotonic() + 60
        while not receiver.got:
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)
    engine.dispose()
    assert json.loads(receiver.got[0][1])["type"] == "study.cancelled"
