"""HTTP that behaves: Idempotency-Key, ETag, waits, events, filters, deletion, limits."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel
from sqlalchemy import Engine, text
from starlette.testclient import TestClient
from studies_to_store import LONG, claimed, dataset, note, plan, queued, result, run

from service.app import create_app
from service.database import make_engine
from service.problems import ProblemBody
from service.records import Study
from service.settings import Settings
from service.states import StudyState
from service.store import Store, new_id
from service.store_asks import KeyReusedError, QuotaError, Terms
from service.store_deletes import TABLES
from service.trial_records import optuna_name
from service.watching import Watchers, study_events, wait_for_change

Encode = Callable[..., bytes]


@pytest.fixture
def home(settings: Settings, client: TestClient) -> Iterator[Store]:
    """The database of the client's application, as a runner sees it."""
    engine = make_engine(settings.url)
    yield Store(engine)
    engine.dispose()


def ask(client: TestClient, dataset_id: str, key: str | None = None, **fields: Any) -> Any:
    body = {"dataset_id": dataset_id, "activations": [{"family": "gaussian"}], "reuse": False, **fields}
    return client.post("/v1/studies", json=body, headers={} if key is None else {"Idempotency-Key": key})


def finish(home: Store, study_id: str) -> None:
    claim = home.claim("runner", LONG, only=study_id)
    assert claim is not None
    home.complete(study_id, claim.lease_number, result())


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
        assert client.get(path, headers={"If-None-Match": '"x"'}).status_code == 200


def test_a_wait_ends_with_the_change(client: TestClient, dataset_id: str, home: Store) -> None:
    """A client that waits gets the finished study; one that names what it has gets the next change; time runs out."""
    study_id = ask(client, dataset_id).json()["id"]
    path = f"/v1/studies/{study_id}"
    tag = client.get(path).headers["etag"]
    assert client.get(path, params={"wait": 0.01}).json()["state"] == "queued"
    assert client.get(path, params={"wait": 0.01}, headers={"If-None-Match": tag}).status_code == 304
    assert client.get(path, params={"wait": 50}, headers={"If-None-Match": '"old"'}).json()["state"] == "queued"
    threading.Timer(0.2, finish, (home, study_id)).start()
    assert client.get(path, params={"wait": 50}).json()["state"] == "completed"
    refused = client.get(path, params={"wait": 61})
    assert (refused.status_code, refused.json()["errors"][0]["value"]) == (422, "61.0")


def test_events_tell_of_every_change_once(store: Store) -> None:
    """First the study as it stands, then each change, at last ``finished``; nothing while nothing changes."""
    study_id, lease = claimed(store)
    looks: list[Callable[[], object]] = [
        lambda: None, lambda: None, lambda: store.record_progress(study_id, lease, note(10)), lambda: None,
        lambda: store.complete(study_id, lease, result()),
    ]  # fmt: skip

    def look() -> Study | None:
        if looks:
            looks.pop(0)()
        return store.study(study_id)

    def content(study: Study) -> bytes:
        return json.dumps([study.state, study.progress and study.progress.member_steps_done]).encode()

    async def collect(last_id: str | None) -> list[str]:
        return [event.decode() async for event in study_events(look, content, last_id, 0.0, Watchers(1))]

    events = asyncio.run(collect(None))
    assert [event.splitlines()[:2] for event in events] == [
        ["event: progress", 'data: ["running", null]'],
        ["event: progress", 'data: ["running", 10]'],
        ["event: finished", 'data: ["completed", 10]'],
    ]
    ids = [event.splitlines()[2].removeprefix("id: ") for event in events]
    assert len(set(ids)) == 3
    assert asyncio.run(collect(ids[0])) == events[2:], "what it has missed"
    assert asyncio.run(collect(ids[2])) == [], "what it has"


def test_a_stream_over_http_ends_and_is_not_asked_for_again(client: TestClient, dataset_id: str, home: Store) -> None:
    """text/event-stream with the study as JSON; with the last event's id 204, on which a browser stops asking."""
    study_id = ask(client, dataset_id).json()["id"]
    finish(home, study_id)
    answer = client.get(f"/v1/studies/{study_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = answer.text.splitlines()
    assert lines[0] == "event: finished"
    assert json.loads(lines[1].removeprefix("data: "))["state"] == "completed"
    last = lines[2].removeprefix("id: ")
    assert client.get(f"/v1/studies/{study_id}/events", headers={"Last-Event-ID": last}).status_code == 204
    assert client.get(f"/v1/studies/{study_id[::-1]}/events").status_code == 404


def test_only_so_many_wait_at_once(store: Store) -> None:
    """One more is a 429; whoever leaves makes room; a process that ends lets all of them go."""
    from service.problems import Problem

    watchers = Watchers(1)
    watchers.check("ann")
    with watchers.counted("ann"):
        watchers.check("bob")
        with pytest.raises(Problem, match="max_watchers") as refused:
            watchers.check("ann")
        assert refused.value.status == 429
    watchers.check("ann")
    study_id = queued(store)
    watchers.closing.set()
    waiting = wait_for_change(lambda: store.study(study_id), lambda _: True, 1e6, 1e6, watchers)
    assert asyncio.run(waiting) is not None


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
    wrong = client.get("/v1/studies", params={"state": "done", "created_after": "2026-01-01T00:00:00"}).json()
    assert {error["field"] for error in wrong["errors"]} == {"state[0]", "created_after"}
    assert len(client.get("/v1/datasets", params={"kind": "image"}).json()["items"]) == 2
    assert client.get("/v1/datasets", params={"kind": "sound"}).json()["items"] == []


def test_deleting_leaves_nothing(engine: Engine, store: Store) -> None:
    """Rows, runs, keys, webhooks and every row of Optuna's: gone, and the other study's are all there."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    gone, lease = claimed(store)
    store.record_run(gone, lease, run(gone))
    kept = new_id()
    store.add_study(plan=plan(kept), dataset_id=dataset(store), request={}, terms=Terms(idempotency_key="k"))
    store.join_study(gone, Terms(idempotency_key="other"))
    storage = RDBStorage(engine.url.render_as_string(hide_password=False))
    for study_id in (gone, kept):
        search = optuna.create_study(storage=storage, study_name=optuna_name(study_id, "sine"))
        search.set_user_attr("a", 1)
        trial = search.ask()
        trial.suggest_float("x", 0.0, 1.0)
        trial.set_user_attr("a", 1)
        trial.report(1.0, 1)
        search.tell(trial, 1.0)
    storage.remove_session()
    storage.engine.dispose()
    assert store.delete_study(gone) == "unfinished"
    store.fail(gone, lease, "x")
    assert store.delete_study(gone) == "deleted"
    assert store.delete_study(gone) == "unknown"
    assert store.study(gone) is None
    ours = ("vi3nr_studies", "vi3nr_idempotency", "studies", "trials", "trial_params", "trial_values")
    theirs = ("trial_user_attributes", "trial_intermediate_values", "study_user_attributes", "study_directions")
    with engine.connect() as connection:
        counts = {name: connection.scalar(text(f"SELECT count(*) FROM {name}")) for name in (*ours, *theirs)}
        runs = connection.scalar(text("SELECT count(*) FROM vi3nr_runs"))
    assert counts == dict.fromkeys((*ours, *theirs), 1)
    assert runs == 0
    assert [trial.family for trial in store.trials(replace(_of(store, kept), families=("sine",))).items] == ["sine"]


def _of(store: Store, study_id: str) -> Study:
    study = store.study(study_id)
    assert study is not None
    return study


def test_optunas_tables_are_the_ones_that_are_emptied() -> None:
    """Every table of the installed Optuna that refers to a study or a trial is in our list, under the same columns."""
    children = {
        name: {key.column.name for key in table.foreign_keys}
        for name, table in BaseModel.metadata.tables.items()
        if table.foreign_keys and name != "trials"
    }
    assert {table.name: {column.name for column in table.columns} for table in TABLES} == children


def test_deleting_over_http(client: TestClient, dataset_id: str, home: Store, settings: Settings) -> None:
    """A running study: 409. A dataset with studies: 409. Then both go, and the bytes with them."""
    study_id = ask(client, dataset_id).json()["id"]
    claim = home.claim("runner", LONG)
    assert claim is not None
    study, data = f"/v1/studies/{study_id}", f"/v1/datasets/{dataset_id}"
    for path in (study, data):
        refused = client.delete(path)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:vi3nr:problem:in-use")
    client.post(f"{study}/cancel")
    assert client.delete(study).status_code == 409
    home.cancelled(study_id, claim.lease_number)
    blobs = [file for file in settings.blob_dir.rglob("*") if file.is_file()]
    assert len(blobs) == 1
    for path in (study, data):
        assert (client.delete(path).status_code, client.get(path).status_code) == (204, 404)
        assert client.delete(path).status_code == 404
    assert not [file for file in settings.blob_dir.rglob("*") if file.is_file()]


def test_a_waiting_study_is_deleted_at_once(client: TestClient, dataset_id: str, home: Store) -> None:
    """No runner can claim it afterwards."""
    study_id = ask(client, dataset_id).json()["id"]
    assert client.delete(f"/v1/studies/{study_id}").status_code == 204
    assert home.claim("runner", LONG) is None


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
