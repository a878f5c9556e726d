"""Letters that wait: whose turn it is, how many there are of a study, and clocks that jump."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient
from studies_to_store import ask, dataset, plan, queued

from service.database import clock
from service.outbox import LONGEST_PAUSE, Outbox
from service.store import Store, new_id
from service.store_asks import MOST_WEBHOOKS, QuotaError, Terms, WebhookTarget

SECRET = "a secret of enough letters"
HERE = WebhookTarget("https://example.org/", SECRET)


def test_a_letter_is_due_although_the_clock_was_put_back(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was made while the clock was ahead, and one that was to be tried again at a time that is far off now."""
    study_id, outbox = queued(store), Outbox(engine)
    monkeypatch.setattr("service.store_asks.clock", lambda: clock() + 3600)
    store.join_study(study_id, Terms(webhook=HERE))
    monkeypatch.undo()
    store.request_cancel(study_id)
    (letter,) = outbox.take()
    outbox.failed(letter, "x", LONGEST_PAUSE)
    assert outbox.take() == []
    with engine.begin() as connection:
        connection.execute(text("UPDATE vi3nr_webhooks SET next_attempt = next_attempt + 100"))
    assert [letter.attempt for letter in outbox.take()] == [2]


def test_no_owners_many_letters_hold_anothers_up(engine: Engine, store: Store) -> None:
    """Of three owners each has one of the next three, although one has many and older ones; each its oldest first."""
    asked = [(owner, new_id()) for owner in ("a", "a", "a", "a", "b", "c")]
    for owner, study_id in asked:
        terms = Terms(owner=owner, webhook=HERE)
        store.add_study(plan=plan(study_id), dataset_id=dataset(store), request={}, terms=terms)
        store.request_cancel(study_id)
    rounds = [[letter.study_id for letter in Outbox(engine).take()] for _ in range(3)]
    assert set(rounds[0]) == {study_id for _, study_id in (asked[0], *asked[4:])}
    assert rounds[1:] == [[study_id for _, study_id in asked[1:4]], []]


def test_an_address_is_told_once_of_a_study(engine: Engine, store: Store) -> None:
    """However often it is asked for, of so many addresses and no more; once told it is told again if asked for again,
    signed with the secret that came last.
    """
    study_id, outbox = queued(store), Outbox(engine)

    def join(number: int, secret: str = SECRET) -> None:
        store.join_study(study_id, Terms(webhook=WebhookTarget(f"https://example.org/{number}", secret)))

    for number in (*range(MOST_WEBHOOKS), 0, 0, 1):
        join(number)
    with pytest.raises(QuotaError) as refused:
        join(MOST_WEBHOOKS)
    assert (refused.value.field, refused.value.found, refused.value.most) == ("webhook", MOST_WEBHOOKS, MOST_WEBHOOKS)
    store.request_cancel(study_id)
    letters = outbox.take(100)
    assert [letter.url for letter in letters] == [f"https://example.org/{number}" for number in range(MOST_WEBHOOKS)]
    for letter in letters:
        outbox.delivered(letter)
    join(3, SECRET + "new")
    assert outbox.take() == [replace(letters[3], secret=SECRET + "new")]


def test_too_many_addresses_of_a_study_are_a_429(
    client: TestClient, dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Naming the webhook and the limit; nothing of the request is noted."""
    monkeypatch.setattr("service.store_asks.MOST_WEBHOOKS", 1)
    hooks = [{"url": f"https://example.org/{number}", "secret": SECRET} for number in range(2)]
    ask(client, dataset_id, reuse=True, webhook=hooks[0])
    refused = ask(client, dataset_id, "k", reuse=True, webhook=hooks[1])
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:vi3nr:problem:max-webhooks")
    (error,) = refused.json()["errors"]
    assert (error["field"], error["value"], "the limit is 1" in error["message"]) == ("webhook", "1", True)
    assert ask(client, dataset_id, "k", reuse=True).status_code == 200, "the key was not used up"


def test_so_many_idempotency_keys_of_a_study_are_remembered(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends the same request for ever under new keys fills no table; that of each new study is remembered."""
    monkeypatch.setattr("service.store_asks.MOST_KEYS", 2)
    study_id = queued(store)
    for number in range(5):
        assert store.join_study(study_id, Terms(idempotency_key=f"k{number}", body_hash="b"))
    terms = Terms(idempotency_key="mine", body_hash="b")
    own = store.add_study(plan=plan(new_id()), dataset_id=dataset(store), request={}, terms=terms).id
    with engine.connect() as connection:
        noted = connection.execute(text("SELECT study_id, count(*) FROM vi3nr_idempotency GROUP BY study_id")).all()
    assert {row[0]: row[1] for row in noted} == {study_id: 2, own: 1}
