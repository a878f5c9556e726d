"""Asking for studies while others ask, and while what is asked about is deleted."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient
from studies_to_store import ask, dataset, plan, queued

from service.store import Store, new_id
from service.store_asks import Terms, UnknownDatasetError


def test_the_same_request_many_times_at_once_makes_one_study(store: Store) -> None:
    """Over both databases: all have found none, and ask at the same moment. Who wants one of its own has it."""
    dataset_id, gate = dataset(store), threading.Barrier(6)

    def asks(reuse: bool) -> str:
        asked = {"plan": plan(new_id()), "dataset_id": dataset_id, "request": {}, "fingerprint": "f"}
        return store.add_study(**asked, reuse=reuse).id

    def together(_: int) -> str:
        gate.wait()
        return asks(reuse=True)

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(together, range(6)))
    assert len(set(found)) == 1
    assert asks(reuse=False) not in found


def test_a_study_that_is_deleted_meanwhile_is_not_joined(store: Store) -> None:
    """Over both databases: it is told so, with an Idempotency-Key and without."""
    study_id = queued(store)
    assert store.join_study(study_id, Terms())
    assert store.delete_study(study_id) == "deleted"
    for key in ("k", None):
        assert not store.join_study(study_id, Terms(idempotency_key=key))


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_deletion_under_way_is_waited_for(engine: Engine, store: Store) -> None:
    """Requests that meet deletions which are not yet certain hear of their outcome."""
    study_id, kept = queued(store), dataset(store)
    gone, found = dataset(store, "b"), {}

    def joins() -> None:
        found["study"] = store.join_study(study_id, Terms(owner="a", idempotency_key="k"))

    def asks() -> None:
        with pytest.raises(UnknownDatasetError):
            store.add_study(plan=plan(new_id()), dataset_id=gone, request={})
        found["dataset"] = True

    threads = [threading.Thread(target=joins), threading.Thread(target=asks)]
    with engine.begin() as deleting, engine.connect() as looking:
        deleting.execute(text("DELETE FROM vi3nr_studies WHERE id = :id"), {"id": study_id})
        deleting.execute(text("DELETE FROM vi3nr_datasets WHERE id = :id"), {"id": gone})
        for thread in threads:
            thread.start()
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while (looking.scalar(waiting) or 0) < len(threads):
            assert not found, "nobody waited"
            time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert found == {"study": False, "dataset": True}
    assert store.dataset(kept) is not None


def test_a_request_whose_study_is_deleted_meanwhile_gets_a_new_one(
    client: TestClient, dataset_id: str, home: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """202, whatever it wanted noted with the old one."""
    first = ask(client, dataset_id, reuse=True).json()["id"]
    find = Store.same_study

    def find_and_lose(self: Store, *words: str) -> Any:
        study = find(self, *words)
        assert study is not None
        assert home.delete_study(study.id) == "deleted"
        return study

    monkeypatch.setattr(Store, "same_study", find_and_lose)
    again = ask(client, dataset_id, "k", reuse=True)
    assert again.status_code == 202, again.text
    assert again.json()["id"] != first
    assert client.get(f"/v1/studies/{again.json()['id']}").status_code == 200


def test_a_request_whose_dataset_is_deleted_meanwhile_is_refused(
    client: TestClient, dataset_id: str, home: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """422, naming the dataset, as if it had never been there."""

    def lose(*_: object) -> list[object]:
        assert home.delete_dataset(dataset_id) == "deleted"
        return []

    monkeypatch.setattr(Store, "kin", lose)
    refused = ask(client, dataset_id, reuse=True)
    assert refused.status_code == 422, refused.text
    (error,) = refused.json()["errors"]
    assert (error["field"], error["value"]) == ("dataset_id", repr(dataset_id))
