"""Following a study over HTTP: waiting for a change, and events as they happen."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from studies_to_store import ask, claimed, finish, note, queued, result

from service import routes_events
from service.records import Study
from service.store import Store
from service.watching import Watchers, study_events, wait_for_change

Encode = Callable[..., bytes]


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


def test_a_stream_shows_that_it_lives_and_tells_a_deletion(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing changes a comment now and then; of a study that is deleted ``deleted``, and no more; at the end of
    the process it ends.
    """
    monkeypatch.setattr("service.watching.KEEPALIVE_SECONDS", -1.0)
    looks = [store.study(queued(store))] * 2

    def look() -> Study | None:
        return looks.pop() if looks else None

    async def collect(watchers: Watchers) -> list[str]:
        return [event.decode() async for event in study_events(look, lambda _: b"a", None, 0.0, watchers)]

    first, quiet, last = asyncio.run(collect(Watchers(1)))
    assert first.startswith("event: progress")
    assert quiet.startswith(":")
    assert last.startswith("event: deleted")
    ending = Watchers(1)
    ending.closing = True
    assert asyncio.run(collect(ending)) == []


def test_who_waits_and_who_follows_is_counted(
    client: TestClient, dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream counts while it goes on; with as many as may, one more is a 429 that says when to come again."""
    study = f"/v1/studies/{ask(client, dataset_id).json()['id']}"
    watchers: Watchers = client.app.state.rooms.watchers  # type: ignore[attr-defined]

    async def counts(*_: object) -> AsyncIterator[bytes]:
        yield str(watchers._count[""]).encode()

    monkeypatch.setattr("service.routes_events.study_events", counts)
    stream = client.get(f"{study}/events")
    assert (stream.text, stream.headers["x-accel-buffering"]) == ("1", "no")
    watchers._count[""] = watchers._most
    for refused in (client.get(study, params={"wait": 0.01}), client.get(f"{study}/events")):
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:vi3nr:problem:watchers")
        assert int(refused.headers["retry-after"]) >= 1
    assert client.get(study).status_code == 200


def test_of_a_burst_of_streams_so_many_begin(
    client: TestClient, dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six that come at the same moment where two may: the others are 429, and nothing is counted when all have ended,
    nor of a stream that never began.
    """
    study = f"/v1/studies/{ask(client, dataset_id).json()['id']}/events"
    watchers: Watchers = client.app.state.rooms.watchers  # type: ignore[attr-defined]
    monkeypatch.setattr(watchers, "_most", 2)
    gate, find = threading.Barrier(6), routes_events.visible_study

    def together(*asked: Any) -> Study:
        gate.wait(60)
        return find(*asked)

    async def burst() -> list[int]:
        answered, others = list[int](), asyncio.Event()

        async def until_the_others_are_answered(*_: object) -> AsyncIterator[bytes]:
            await others.wait()
            yield b""

        monkeypatch.setattr(routes_events, "study_events", until_the_others_are_answered)
        transport = httpx2.ASGITransport(client.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as asking, asyncio.timeout(60):

            async def follow() -> None:
                answered.append((await asking.get(study)).status_code)
                if len(answered) == 4:
                    others.set()

            await asyncio.gather(*(follow() for _ in range(6)))
        return answered

    monkeypatch.setattr(routes_events, "visible_study", together)
    assert asyncio.run(burst()) == [429] * 4 + [200] * 2
    monkeypatch.setattr(routes_events, "visible_study", find)
    monkeypatch.setattr(routes_events, "EventSourceResponse", None)
    assert client.get(study).status_code == 500
    assert watchers._count == {}


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


def test_a_client_that_was_cut_off_gets_what_it_missed(client: TestClient, dataset_id: str, home: Store) -> None:
    """One that names the event that it has gets the next change and not the same once more."""
    study_id = ask(client, dataset_id).json()["id"]
    path = f"/v1/studies/{study_id}"
    has = client.get(path).headers["etag"].strip('"')  # the id of the event that shows the study like this
    threading.Timer(0.2, finish, (home, study_id)).start()
    events = client.get(f"{path}/events", headers={"Last-Event-ID": has}).text
    assert events.startswith("event: finished")


def test_only_so_many_wait_at_once(store: Store) -> None:
    """One more is a 429; whoever leaves makes room; a process that ends lets all of them go."""
    from service.problems import Problem

    watchers = Watchers(1)

    def there_is_room(key: str) -> bool:
        with watchers.counted(key):
            return True

    with watchers.counted("ann"):
        assert there_is_room("bob")
        with pytest.raises(Problem, match="max_watchers") as refused:
            there_is_room("ann")
        assert refused.value.status == 429
    assert there_is_room("ann")
    study_id = queued(store)
    watchers.closing = True
    waiting = wait_for_change(lambda: store.study(study_id), lambda _: True, 1e6, 1e6, watchers)
    assert asyncio.run(waiting) is not None
