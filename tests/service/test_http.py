"""HTTP that behaves: Idempotency-Key, ETag, filters, limits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient
from studies_to_store import ask, dataset, finish, plan

from service.app import create_app
from service.database import make_engine
from service.problems import ProblemBody
from service.settings import Settings
from service.states import StudyState
from service.store import Store, new_id
from service.store_asks import KeyReusedError, QuotaError, Terms

Encode = Callable[..., bytes]


def test_the_same_idempotency_key_gives_the_same_study(client: TestClient, dataset_id: str) -> None:
    """Sent again, the request makes nothing new; without a key, or with another, it does; another body is refused."""
    first = ask(client, dataset_id, "k1")
    again = ask(client, dataset_id, "k1")
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert ask(client, dataset_id, "k2").json()["id"] != first.json()["id"]
    refused = ask(client, dataset_id, "k1", search={"trials": 3})
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:vi3nr:problem:idempotency-key-reused")
    assert refused.json()["errors"] == [
        {"field": "Idempotency-Key", "value": "'k1'", "message": "was used for another request: take a new one"}
    ]
    assert len(client.get("/v1/studies").json()["items"]) == 2
    there = ask(client, dataset_id, reuse=True).json()["id"]
    assert ask(client, dataset_id, "k3", reuse=True).json()["id"] == there
    assert ask(client, dataset_id, "k3", search={"trials": 3}).status_code == 422, (
        "it counts where nothing was made too"
    )


def test_an_idempotency_key_counts_for_a_day(client: TestClient, dataset_id: str, settings: Settings) -> None:
    """Then it is a new one."""
    first = ask(client, dataset_id, "k1").json()["id"]
    engine = make_engine(settings.url)
    for seconds, same in ((86_000, True), (400, False)):
        with engine.begin() as connection:
            connection.execute(text("UPDATE vi3nr_idempotency SET created = created - :s"), {"s": seconds})
        assert (ask(client, dataset_id, "k1").json()["id"] == first) == same
    engine.dispose()


def test_twenty_at_once_under_one_key_make_one_study(store: Store) -> None:
    """Over both databases: threads that ask at the same moment get one study, and no quota is passed."""
    dataset_id, found, refused = dataset(store), set(), []
    gate = threading.Barrier(10)

    def asks(key: str | None) -> None:
        gate.wait()
        terms = Terms(idempotency_key=key, body_hash="b", max_queued=3)
        try:
            found.add(store.add_study(plan=plan(new_id()), dataset_id=dataset_id, request={}, terms=terms).id)
        except QuotaError as error:
            refused.append(error.found)

    for key in ("same", None):
        threads = [threading.Thread(target=asks, args=(key,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 3
    assert refused == [3] * 8
    with pytest.raises(KeyReusedError):
        store.replayed_study(Terms(idempotency_key="same", body_hash="other"))


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\x7f"])
def test_a_wrong_idempotency_key_is_refused(client: TestClient, dataset_id: str, key: str) -> None:
    """422, naming the header."""
    answer = ask(client, dataset_id, key)
    assert (answer.status_code, answer.json()["errors"][0]["field"].lower()) == (422, "idempotency-key")


def test_what_has_not_changed_is_not_sent_again(client: TestClient, dataset_id: str, home: Store) -> None:
    """A study, a dataset and an answer have an ETag; 304 without a body while it stands, 200 with a new one after."""
    study_id = ask(client, dataset_id).json()["id"]
    study = f"/v1/studies/{study_id}"
    before = client.get(study).headers["etag"]
    finish(home, study_id)
    assert client.get(study, headers={"If-None-Match": before}).status_code == 200
    for path in (study, f"{study}/best", f"/v1/datasets/{dataset_id}"):
        tag = client.get(path).headers["etag"]
        for sent in (tag, f'"x", W/{tag}', "*"):
            answer = client.get(path, headers={"If-None-Match": sent})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
            assert answer.headers["cache-control"] == "private, no-cache"
        assert client.get(path, headers={"If-None-Match": '"x"'}).status_code == 200


def test_lists_show_what_was_asked_for(client: TestClient, dataset_id: str, home: Store, encode: Encode) -> None:
    """By state, dataset, family (whole names) and time, over pages."""
    other = client.post("/v1/datasets", files={"files": ("b.png", encode())}).json()["id"]
    sine = ask(client, dataset_id, activations=[{"family": "sine"}]).json()
    both = ask(client, dataset_id, activations=[{"family": "exp_sin"}, {"family": "sine"}]).json()
    third = ask(client, other).json()
    client.post(f"/v1/studies/{sine['id']}/cancel")

    def listed(**query: Any) -> list[str]:
        answer = client.get("/v1/studies", params=query)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    ids = [third["id"], both["id"], sine["id"]]
    assert listed() == ids
    assert listed(state="queued") == ids[:2]
    assert listed(state=["queued", "cancelled"]) == ids
    assert listed(dataset_id=dataset_id) == ids[1:]
    assert listed(family="sine") == ids[1:]
    assert listed(family="sin") == listed(family="%") == listed(family="_ine") == []
    assert listed(created_after=both["created"]) == ids[:1]
    assert listed(created_before=both["created"]) == ids[2:]
    page = client.get("/v1/studies", params={"family": "sine", "limit": 1}).json()
    assert listed(family="sine", cursor=page["next_cursor"]) == ids[2:]
    for moment in ("2026-01-01T00:00:00", "2026-01-01", "13347", "1.5e9"):
        wrong = client.get("/v1/studies", params={"state": "done", "created_after": moment}).json()
        assert {error["field"] for error in wrong["errors"]} == {"state[0]", "created_after"}
    assert len(client.get("/v1/datasets", params={"kind": "image"}).json()["items"]) == 2
    assert client.get("/v1/datasets", params={"kind": "sound"}).json()["items"] == []
    newest = client.get(f"/v1/datasets/{other}").json()["created"]
    for word, seen in (("created_after", []), ("created_before", [dataset_id])):
        listed_so = client.get("/v1/datasets", params={word: newest}).json()["items"]
        assert [item["id"] for item in listed_so] == seen


def test_every_limit_is_told_and_kept(settings: Settings, client: TestClient, dataset_id: str) -> None:
    """What GET /v1/limits says is the settings; one above each is a problem that names field and value."""
    told = client.get("/v1/limits").json()
    assert {name: value for name, value in told.items() if name != "max_families"} == {
        name: getattr(settings, name) for name in told if name != "max_families"
    }
    family = {"family": "sine"}
    for limit, field, more in (
        ("max_families", "activations", {"activations": [family] * (told["max_families"] + 1)}),
        ("max_width", "network.width", {"network": {"width": told["max_width"] + 1}}),
        ("max_hidden_layers", "network.hidden_layers", {"network": {"hidden_layers": told["max_hidden_layers"] + 1}}),
        ("max_steps", "training.steps", {"training": {"steps": told["max_steps"] + 1}}),
        ("max_trials", "search.trials", {"search": {"trials": told["max_trials"] + 1}}),
        ("max_finalists", "confirm.finalists", {"confirm": {"finalists": told["max_finalists"] + 1}}),
        ("max_seeds", "confirm.seeds", {"confirm": {"seeds": told["max_seeds"] + 1}}),
    ):
        refused = ask(client, dataset_id, **more)
        assert refused.status_code == 422, limit
        error = ProblemBody.model_validate(refused.json()).errors[0]
        assert (error.field, str(told[limit]) in error.message) == (field, True)
        assert str(told[limit] + 1) in (error.value or "") or limit == "max_families"


def test_the_limits_of_bodies_and_of_the_queue_name_field_and_value(settings: Settings, client: TestClient) -> None:
    """Too long a body, too many files, too long a queue: a problem with the field, what came, and the limit."""
    few = settings.model_copy(update={"max_json_bytes": 500, "max_signals": 2, "max_queued": 1})
    with TestClient(create_app(few), raise_server_exceptions=False) as small:
        body = small.post("/v1/studies", content=b" " * 501, headers={"content-type": "application/json"})
        files = small.post("/v1/datasets", files=[("files", ("a.png", b"x"))] * 3)
    for answer, status, field, value, limit in (
        (body, 413, "body", "501 bytes", "500"),
        (files, 422, "files", "'3 files'", "2"),
    ):
        assert answer.status_code == status
        (error,) = answer.json()["errors"]
        assert (error["field"], error["value"], limit in error["message"]) == (field, value, True)


def test_states_of_the_filter_are_those_there_are() -> None:
    """The names that a client may ask for are the database's own."""
    assert {state.value for state in StudyState} == {
        "queued", "running", "cancelling", "cancelled", "completed", "failed",
    }  # fmt: skip
