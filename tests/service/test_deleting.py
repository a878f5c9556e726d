"""Deleting studies and datasets: nothing of them stays, nothing of others goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel
from sqlalchemy import Engine, event, text
from starlette.testclient import TestClient
from studies_to_store import LONG, SIGNAL, ask, claimed, dataset, plan, result, run

from service.records import Dataset, StoredSignal, Study
from service.settings import Settings
from service.store import Store, new_id
from service.store_asks import Terms
from service.store_deletes import TABLES
from service.trial_records import optuna_name

Encode = Callable[..., bytes]


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


def test_bytes_that_go_while_another_dataset_comes_to_need_them(
    client: TestClient, encode: Encode, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same picture is found there, and the dataset that it was of is deleted before the new one is recorded."""

    def upload(most: str) -> str:
        made = client.post("/v1/datasets", files={"files": ("a.png", encode())}, data={"max_points": most})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    first, record = upload("5000"), Store.add_dataset

    def delete_and_record(self: Store, **fields: Any) -> Dataset:
        assert client.delete(f"/v1/datasets/{first}").status_code == 204
        return record(self, **fields)

    monkeypatch.setattr(Store, "add_dataset", delete_and_record)
    upload("6000")
    assert len([file for file in settings.blob_dir.rglob("*") if file.is_file()]) == 1


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_no_dataset_is_added_while_blobs_are_forgotten(engine: Engine, store: Store) -> None:
    """Whoever adds one that names such a blob waits until it is gone, and so sees that it is."""
    order: list[str] = []
    adds = threading.Thread(target=lambda: order.append(dataset(store)))

    def forget(key: str) -> None:
        adds.start()
        with engine.connect() as looking:
            while not looking.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                assert not order, "it did not wait"
                time.sleep(0.01)
        order.append(key)

    store.forget_signals(["k" * 64], forget)
    adds.join()
    assert order == ["k" * 64, order[1]]
    store.forget_signals(["k" * 64], order.append)
    assert len(order) == 2, "now it is named"


def test_blobs_that_nobody_names_are_found_among_many(engine: Engine, store: Store) -> None:
    """Over both databases: of the signals of any dataset, whichever place they have, with one look for all; and of the
    answers' keepsakes.
    """
    signals = [StoredSignal("b", key * 64, (1,), 1, {}) for key in "bc"]
    store.add_dataset(name="a", content_hash="x", signal=SIGNAL, blob_key="a" * 64, meta={}, more=signals)
    forgotten: list[str] = []
    looks: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *found: looks.append(found[2]))
    store.forget_signals([key * 64 for key in "abcdef"], forgotten.append)
    assert sum("vi3nr_" in statement for statement in looks) == 1
    assert sorted(forgotten) == [key * 64 for key in "def"]
    study_id, lease = claimed(store)
    store.complete(study_id, lease, replace(result(), keepsake="d" * 64))
    store.forget_keepsake("d" * 64, forgotten.append)
    assert len(forgotten) == 3
    store.forget_keepsake("e" * 64, forgotten.append)
    assert forgotten[3:] == ["e" * 64]


def test_a_refused_upload_leaves_no_bytes(client: TestClient, encode: Encode, settings: Settings) -> None:
    """Of several files the last one will not do: what the first ones became goes, but for what a dataset needs."""
    there, new = ("a.png", encode()), ("b.png", encode("PNG", 8, 8))
    assert client.post("/v1/datasets", files=[("files", there)]).status_code == 201
    bad = ("c.png", b"no picture")
    assert client.post("/v1/datasets", files=[("files", one) for one in (there, new, bad)]).status_code == 415
    assert len([file for file in settings.blob_dir.rglob("*") if file.is_file()]) == 1


def test_bytes_that_two_datasets_share_stay_for_the_other(
    client: TestClient, encode: Encode, settings: Settings
) -> None:
    """The same picture with another option is another dataset of the same bytes; they go with the last one."""
    made = [
        client.post("/v1/datasets", files={"files": ("a.png", encode())}, data={"max_points": most}).json()["id"]
        for most in ("5000", "6000")
    ]
    for left, dataset_id in zip((1, 0), made, strict=True):
        assert client.delete(f"/v1/datasets/{dataset_id}").status_code == 204
        assert len([file for file in settings.blob_dir.rglob("*") if file.is_file()]) == left
