"""Who may do what: API keys, their scopes, what belongs to whom, quotas and rates; no secret anywhere."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient
from typer.testing import CliRunner

from service.app import create_app
from service.commands import app as command_line
from service.database import upgrade
from service.keys import KeyRing, Scope
from service.logs import JsonLines
from service.rate_limit import RateLimit
from service.settings import Settings

Encode = Callable[..., bytes]


@pytest.fixture
def client(guarded: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(guarded), raise_server_exceptions=False) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def key_of(ring: KeyRing) -> Callable[..., dict[str, str]]:
    """The headers of a new key."""
    return lambda scope="write", **limits: bearer(ring.create("somebody", Scope(scope), **limits)[1])


def upload(client: TestClient, encode: Encode, headers: dict[str, str]) -> str:
    answer = client.post("/v1/datasets", files={"files": ("a.png", encode())}, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ask(client: TestClient, dataset_id: str, headers: dict[str, str], **more: Any) -> Any:
    body = {"dataset_id": dataset_id, "activations": [{"family": "sine"}], **more}
    return client.post("/v1/studies", json=body, headers=headers)


def test_every_endpoint_but_health_asks_for_a_key(client: TestClient) -> None:
    """401 with a challenge, as a problem, on every documented address that declares security; the rest are health."""
    schema = client.get("/openapi.json").json()
    assert set(schema["components"]["securitySchemes"]) == {"key", "browser"}
    open_to_all = set()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            answer = client.request(method, path.replace("{", "").replace("}", ""))
            if "security" not in operation:
                open_to_all.add(path)
                continue
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["type"] == "urn:vi3nr:problem:no-key"
    assert open_to_all == {"/healthz", "/readyz"}


def test_a_good_key_opens_and_a_wrong_or_revoked_one_does_not(client: TestClient, ring: KeyRing) -> None:
    """Another secret, another id, half a key, and a key after its revocation: 401, which repeats nothing of it."""
    key, token = ring.create("ann", Scope.READ)
    assert client.get("/v1/studies", headers=bearer(token)).status_code == 200
    other = ring.create("bob", Scope.READ)[1]
    wrong = [token[:-1] + ("A" if token[-1] != "A" else "B"), token[:19] + other[19:], token[:30], "", "vi3nr__", "é"]
    for word in wrong:
        answer = client.get("/v1/studies", headers={"Authorization": f"Bearer {word}".encode()})
        assert answer.status_code == 401, word
        assert not word or word not in answer.text
    assert ring.revoke(key.id)
    assert not ring.revoke(key.id)
    assert client.get("/v1/studies", headers=bearer(token)).status_code == 401


def test_a_database_that_is_away_is_told_alike(guarded: Settings, ring: KeyRing) -> None:
    """503 with Retry-After whatever the method: a client may ask again."""
    headers = bearer(ring.create("ann", Scope.WRITE)[1])
    database = guarded.data_dir / "vi3nr.db"
    database.rename(guarded.data_dir / "away.db")
    database.mkdir()
    with TestClient(create_app(guarded), raise_server_exceptions=False) as client:
        for method in ("GET", "POST", "DELETE"):
            answer = client.request(method, "/v1/studies", headers=headers)
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5"), method
            assert answer.json()["type"] == "urn:vi3nr:problem:unavailable"


def test_a_browser_may_look_with_its_password_and_change_nothing(client: TestClient, ring: KeyRing) -> None:
    """Basic credentials, which a browser sends unasked, count for GET alone; a page's 401 asks for them."""
    token = ring.create("ann", Scope.ADMIN)[1]
    basic = {"Authorization": "Basic " + base64.b64encode(f"me:{token}".encode()).decode()}
    assert client.get("/v1/studies", headers=basic).status_code == 200
    assert client.post("/v1/init", json={"family": "sine"}, headers=basic).status_code == 401
    assert client.get("/v1/studies", headers={"Accept": "text/html"}).headers["www-authenticate"].startswith("Basic")


def test_a_scope_is_enough_for_what_it_includes(client: TestClient, encode: Encode, key_of: Any) -> None:
    """read looks, write changes, and what is missing is named; nobody needs the other scopes' keys."""
    reader, writer = key_of("read"), key_of("write")
    dataset = upload(client, encode, writer)
    assert client.post("/v1/init", json={"family": "sine"}, headers=reader).status_code == 200
    for answer in (
        client.post("/v1/datasets", files={"files": ("a.png", encode())}, headers=reader),
        ask(client, dataset, reader),
        client.post("/v1/studies/aa/cancel", headers=reader),
    ):
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:vi3nr:problem:scope"
        assert "'write'" in answer.json()["detail"]
    assert [client.get("/metrics", headers=key).status_code for key in (reader, writer, key_of("admin"))] == [
        403, 403, 200,
    ]  # fmt: skip


def test_what_belongs_to_another_key_is_not_there(client: TestClient, encode: Encode, key_of: Any) -> None:
    """404 on every documented address of it, no line in a list, no study on it; an admin sees it; a file of two keys is
    two.
    """
    ann, bob, admin = key_of(), key_of(), key_of("admin")
    client.app.state.rooms.watchers.closing = True  # type: ignore[attr-defined]  # streams end at once
    dataset = upload(client, encode, ann)
    study = ask(client, dataset, ann).json()["id"]
    places = [place for place in client.get("/openapi.json").json()["paths"].items() if "_id}" in place[0]]
    assert len(places) >= 10
    for path, operations in places:
        where = path.format(study_id=study, dataset_id=dataset)
        for method in operations:
            assert client.request(method, where, headers=bob).status_code == 404, (method, path)
        if "get" in operations:
            mine, admins = (client.get(where, headers=headers).status_code for headers in (ann, admin))
            assert (mine != 404, admins) == (True, mine), path
    assert client.get(f"/v1/studies/{study}", headers=ann).json()["state"] == "queued"
    assert ask(client, dataset, bob).status_code == 422
    assert client.post("/v1/init", json={"family": "sine", "dataset_id": dataset}, headers=bob).status_code == 422
    for headers, seen in ((ann, 1), (bob, 0), (admin, 1)):
        assert len(client.get("/v1/studies", headers=headers).json()["items"]) == seen
        assert len(client.get("/v1/datasets", headers=headers).json()["items"]) == seen
    assert upload(client, encode, bob) != dataset


def test_the_same_request_of_another_key_is_another_study(client: TestClient, encode: Encode, key_of: Any) -> None:
    """Neither answered with the other's study nor started from its trials: both would tell of it. An Idempotency-Key is
    its key's own, and so is what an admin asks for on another's dataset.
    """
    ann, bob, admin = ({**key_of(scope), "Idempotency-Key": "k"} for scope in ("write", "write", "admin"))
    dataset = upload(client, encode, ann)
    asked = [ask(client, dataset, ann), ask(client, upload(client, encode, bob), bob), ask(client, dataset, admin)]
    assert [answer.status_code for answer in asked] == [202] * 3
    assert len({answer.json()["id"] for answer in asked}) == 3


def test_a_key_may_have_so_many_studies_and_no_more(client: TestClient, encode: Encode, key_of: Any) -> None:
    """The queue: 429 with Retry-After, naming limit and count; free again when one ends. All that are kept: 429. The
    limits that the key is told are its own.
    """
    own = {"max_queued": 2, "max_studies": 3}
    ann, bob = key_of(**own, per_minute=777), key_of()
    told = client.get("/v1/limits", headers=ann).json()
    assert {**own, "requests_per_minute": 777}.items() <= told.items()
    dataset = upload(client, encode, ann)
    first = ask(client, dataset, ann, reuse=False).json()["id"]
    assert ask(client, dataset, ann, reuse=False).status_code == 202
    refused = ask(client, dataset, ann, reuse=False)
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:vi3nr:problem:max-queued")
    assert refused.json()["errors"][0]["field"] == "max_queued"
    assert refused.json()["errors"][0]["value"] == "2"
    assert int(refused.headers["retry-after"]) >= 1
    assert ask(client, upload(client, encode, bob), bob).status_code == 202
    client.post(f"/v1/studies/{first}/cancel", headers=ann)
    third = ask(client, dataset, ann, reuse=False).json()["id"]
    client.post(f"/v1/studies/{third}/cancel", headers=ann)
    full = ask(client, dataset, ann, reuse=False)
    assert (full.status_code, full.json()["errors"][0]["field"]) == (429, "max_studies")


def test_a_key_may_keep_so_many_datasets_and_no_more(guarded: Settings, encode: Encode, key_of: Any) -> None:
    """One too many is a 429; what is there already, and another key's, are none too many."""
    client = TestClient(create_app(guarded.model_copy(update={"max_datasets": 2})))
    ann, bob = key_of(), key_of()
    kept = [send(client, encode, ann, number) for number in (1, 2)]
    assert [answer.status_code for answer in kept] == [201, 201]
    refused = send(client, encode, ann, 3)
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:vi3nr:problem:max-datasets")
    assert (refused.json()["errors"][0]["field"], refused.json()["errors"][0]["value"]) == ("max_datasets", "2")
    assert send(client, encode, ann, 2).status_code == 200
    assert send(client, encode, bob, 3).status_code == 201
    client.delete(kept[0].headers["location"], headers=ann)
    assert send(client, encode, ann, 3).status_code == 201


def send(client: TestClient, encode: Encode, key: Any, number: int) -> Any:
    """Another picture for each number."""
    return client.post("/v1/datasets", files={"files": ("a.png", encode(height=10 + number))}, headers=key)


def test_a_key_may_ask_so_often_and_no_oftener(client: TestClient, key_of: Any) -> None:
    """Six a minute: one at once, the next is a 429 that says when; another key is not held up."""
    ann, bob = key_of(per_minute=6), key_of()
    assert client.get("/v1/studies", headers=ann).status_code == 200
    refused = client.get("/v1/studies", headers=ann)
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:vi3nr:problem:rate-limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    (error,) = refused.json()["errors"]
    assert (error["field"], error["value"]) == ("requests_per_minute", "'more than 6'")
    assert client.get("/v1/studies", headers=bob).status_code == 200


def test_a_bucket_fills_at_its_rate() -> None:
    """60 a minute: ten at once, then one a second, and never more than ten saved up."""
    now = 100.0
    limit = RateLimit(lambda: now)
    assert [limit.wait("a", 60) for _ in range(11)] == [0] * 10 + [1]
    now += 1.0
    assert [limit.wait("a", 60) for _ in range(2)] == [0, 1]
    now += 1e6
    assert [limit.wait("a", 60) for _ in range(11)] == [0] * 10 + [1]


def test_no_secret_is_stored_or_logged(
    guarded: Settings, client: TestClient, encode: Encode, key_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the database file, a log line at any level or any answer; who asked is told by the id of the key."""
    caplog.set_level(logging.DEBUG)
    headers = key_of("admin")
    secret = headers["Authorization"].split("_", 2)[2]
    dataset = upload(client, encode, headers)
    answers = [
        ask(client, dataset, headers), ask(client, "x", headers), client.get("/v1/studies", headers=headers),
        client.get("/nowhere", headers=headers), client.post("/v1/studies", content=b"{", headers=headers),
        client.get("/v1/studies", headers={"Authorization": headers["Authorization"] + "x"}),
    ]  # fmt: skip
    assert all(secret not in answer.text + str(answer.headers) for answer in answers)
    assert secret not in caplog.text
    lines = [JsonLines().format(record) for record in caplog.records]  # with what only JSON shows
    assert secret not in "".join(lines)
    assert headers["Authorization"].split("_")[1] in {json.loads(line).get("key") for line in lines}
    assert all(secret.encode() not in file.read_bytes() for file in guarded.data_dir.glob("vi3nr.db*"))


def test_a_body_is_not_read_before_its_key(guarded: Settings) -> None:
    """Without a key the answer is there although nothing of the body was asked for."""
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("somebody reads the body")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/datasets", "headers": [], "query_string": b"", "state": {}}
    asyncio.run(create_app(guarded)(scope, receive, send))
    assert sent[0]["status"] == 401


def test_keys_on_the_command_line(guarded: Settings, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """create prints a key that works, list shows its beginning and no secret, revoke ends it."""

    def vi3nr(*words: str) -> str:
        done = CliRunner().invoke(command_line, ["key", *words, "--data-dir", str(guarded.data_dir)])
        assert done.exit_code == 0, done.output
        return str(done.stdout)

    made = json.loads(vi3nr("create", "ann", "--scope", "read", "--max-queued", "5", "--json"))
    token = vi3nr("create", "bob").strip()
    assert (made["scope"], made["max_queued"], made["per_minute"]) == ("read", 5, None)
    assert client.get("/v1/studies", headers=bearer(token)).status_code == 200
    listed = vi3nr("list") + vi3nr("list", "--json")
    assert made["prefix"] in listed
    assert all(one.split("_", 2)[2] not in listed for one in (token, made["key"]))
    vi3nr("revoke", "_".join(token.split("_", 2)[:2]))
    assert client.get("/v1/studies", headers=bearer(token)).status_code == 401
    assert client.get("/v1/studies", headers=bearer(made["key"])).status_code == 200
    again = CliRunner().invoke(command_line, ["key", "revoke", made["id"][::-1], "--data-dir", str(guarded.data_dir)])
    assert again.exit_code == 2


def test_keys_live_in_both_databases(engine: Engine) -> None:
    """Made, found, listed and revoked over SQLite and PostgreSQL; the secret is in no column."""
    upgrade(engine)
    ring = KeyRing(engine)
    key, token = ring.create("ann", Scope.ADMIN, per_minute=7)
    assert ring.find(token) == key
    assert ring.list() == [key]
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM vi3nr_keys")).one()
    assert token.split("_", 2)[2] not in str(row)
    assert ring.revoke(key.id)
    assert ring.find(token) is None
