"""The same request is answered once; a like one starts from its trials; others know nothing of each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient
from studies_to_store import plan, result

from service.database import make_engine
from service.kinship import MOST_KIN, fingerprint, kinship, with_prior
from service.settings import Settings
from service.store import Store, new_id
from service.store_asks import Terms


@pytest.fixture
def store(settings: Settings, client: TestClient) -> Iterator[Store]:
    """The database of the client's application, as a runner sees it."""
    engine = make_engine(settings.url)
    yield Store(engine)
    engine.dispose()


def asked(client: TestClient, dataset_id: str, **fields: Any) -> Any:
    request = {"dataset_id": dataset_id, "activations": [{"family": "gaussian"}], **fields}
    return client.post("/v1/studies", json=request)


def completed(client: TestClient, store: Store, dataset_id: str, **fields: Any) -> str:
    """A study that a runner has answered."""
    study_id = str(asked(client, dataset_id, reuse=False, **fields).json()["id"])
    claim = store.claim("runner", 100.0, only=study_id)
    assert claim is not None
    store.complete(study_id, claim.lease_number, result())
    return study_id


def test_the_same_request_is_answered_with_the_study_that_is_there(
    client: TestClient, dataset_id: str, store: Store
) -> None:
    """200 and the same id, queued or completed; with reuse false a study of its own."""
    first = asked(client, dataset_id)
    again = asked(client, dataset_id)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["location"] == first.headers["location"]
    claim = store.claim("runner", 100.0)
    assert claim is not None
    store.complete(claim.id, claim.lease_number, result())
    assert asked(client, dataset_id).json()["id"] == claim.id
    assert asked(client, dataset_id, reuse=False).json()["id"] != claim.id


def test_studies_of_another_key_are_no_kin(dataset_id: str, store: Store) -> None:
    """Neither the same request nor a like one of somebody else is found: its trials would tell of them."""
    study_id = new_id()
    store.add_study(
        plan=plan(study_id), dataset_id=dataset_id, request={}, fingerprint="f", kinship="k", terms=Terms(owner="ann")
    )
    claim = store.claim("runner", 100.0)
    assert claim is not None
    store.complete(study_id, claim.lease_number, result())
    for owner, seen in (("ann", [study_id]), ("bob", []), ("", [])):
        assert [one.id for one in store.kin("k", owner)] == seen
        same = store.same_study("f", owner)
        assert [one.id for one in (same,) if one is not None] == seen


@pytest.mark.parametrize("change", [{"search": {"seed": 1}}, {"method": "quadrature"}, {"confirm": {"seeds": 3}}])
def test_another_request_is_another_study(client: TestClient, dataset_id: str, change: dict[str, Any]) -> None:
    """Whatever is asked for differently makes a new study."""
    first = asked(client, dataset_id).json()["id"]
    other = asked(client, dataset_id, **change)
    assert (other.status_code, other.json()["id"] != first) == (202, True)


def test_a_cancelled_study_answers_nobody(client: TestClient, dataset_id: str) -> None:
    """The same request after a cancel is queued anew."""
    first = asked(client, dataset_id).json()["id"]
    assert client.post(f"/v1/studies/{first}/cancel").status_code == 202
    again = asked(client, dataset_id)
    assert (again.status_code, again.json()["id"] != first) == (202, True)


def test_a_like_study_starts_from_the_completed_ones_and_says_so(
    client: TestClient, dataset_id: str, store: Store
) -> None:
    """More trials, another seed or narrower ranges are alike; the newest few are named in the plan and a warning."""
    known = [completed(client, store, dataset_id, search={"seed": seed}) for seed in range(MOST_KIN + 1)]
    answer = asked(client, dataset_id, search={"trials": 40, "seed": 9})
    claim = store.claim("runner", 100.0, only=answer.json()["id"])
    assert claim is not None
    assert claim.plan.families[0].prior == tuple(known[: -MOST_KIN - 1 : -1])
    assert any(known[-1] in warning for warning in answer.json()["warnings"])


def test_what_a_study_starts_from_stays_until_that_one_has_ended(
    client: TestClient, dataset_id: str, store: Store
) -> None:
    """A runner that takes the like one up again would else propose something different: 409, which says why."""
    known = completed(client, store, dataset_id)
    like = asked(client, dataset_id, search={"trials": 40, "seed": 9}).json()["id"]
    refused = client.delete(f"/v1/studies/{known}")
    assert refused.status_code == 409
    assert "starts from the trials" in refused.json()["detail"]
    assert client.get(f"/v1/studies/{known}").status_code == 200
    assert client.post(f"/v1/studies/{like}/cancel").status_code == 202
    assert client.delete(f"/v1/studies/{known}").status_code == 204


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"steps": 600}},
        {"network": {"width": 32}},
        {"objective": "area"},
        {"search": {"horizon": 0.5}},
        {"activations": [{"family": "sine"}]},
        {"activations": [{"family": "gaussian", "sigma_p_first": "same"}]},
        {"reuse": False},
    ],
)
def test_what_cannot_be_compared_is_not_started_from(
    client: TestClient, dataset_id: str, store: Store, change: dict[str, Any]
) -> None:
    """Another recipe, network, objective, horizon, family or set of axes: no prior. Nor where it is not wanted. Where
    the axes are the same, the best points of the newest such study are tried first.
    """
    completed(client, store, dataset_id, search={"seed": 3})
    known = completed(client, store, dataset_id)
    answer = asked(client, dataset_id, **change)
    claim = store.claim("runner", 100.0, only=answer.json()["id"])
    assert claim is not None
    (family,) = claim.plan.families
    assert family.prior == ()
    hinted = not change.keys() & {"activations", "reuse"}
    assert family.hint == (known if hinted else None)
    assert any(known in warning for warning in answer.json()["warnings"]) == hinted
    assert client.delete(f"/v1/studies/{known}").status_code == (409 if hinted else 204)


def test_a_study_that_searched_on_what_is_held_out_now_is_no_hint(dataset_id: str, store: Store) -> None:
    """Its best points were chosen on that signal too; one that held out as many is one."""
    families = [{"family": one.family} for one in plan(new_id()).families]
    request = {"activations": families, "held_out_signals": 1}
    others = []
    for held_out in (0, 1):
        study_id = new_id()
        asked_for = {**request, "held_out_signals": held_out}
        others.append(
            store.add_study(
                plan=plan(study_id), dataset_id=dataset_id, request=asked_for, fingerprint=study_id, kinship=""
            )
        )
    assert with_prior(plan(new_id()), request, [], others).families[0].hint == others[1].id
    assert with_prior(plan(new_id()), request, [], others[:1]).families[0].hint is None


def test_what_was_deleted_since_it_was_looked_up_is_not_started_from(dataset_id: str, store: Store) -> None:
    """The study is queued without it."""
    kept = new_id()
    store.add_study(plan=plan(kept), dataset_id=dataset_id, request={}, fingerprint="f", kinship="k")
    study_id = new_id()
    asked_for = plan(study_id)
    family = replace(asked_for.families[0], prior=(kept, "gone"), hint="gone too")
    store.add_study(
        plan=replace(asked_for, families=(family,)), dataset_id=dataset_id, request={}, fingerprint="g", kinship="k"
    )
    claim = store.claim("runner", 100.0, only=study_id)
    assert claim is not None
    assert (claim.plan.families[0].prior, claim.plan.families[0].hint) == ((kept,), None)


def test_what_can_be_compared_comes_before_what_cannot(client: TestClient, dataset_id: str, store: Store) -> None:
    """A like study's trials are known; a newer one's with another network is then no hint."""
    like = completed(client, store, dataset_id)
    completed(client, store, dataset_id, network={"width": 32})
    study_id = asked(client, dataset_id, search={"seed": 5}).json()["id"]
    claim = store.claim("runner", 100.0, only=study_id)
    assert claim is not None
    assert (claim.plan.families[0].prior, claim.plan.families[0].hint) == ((like,), None)


def test_marks_ignore_the_order_of_words_and_what_does_not_change_the_answer() -> None:
    """A request with its keys in another order is the same; ``reuse`` is no part of it; kin may differ in budget."""
    shared = {"dataset_id": "a", "network": {}, "training": {}, "objective": "fit", "method": "analytic"}
    one = {**shared, "search": {"horizon": None, "trials": 3}, "reuse": True}
    other = dict(reversed([*one.items()])) | {"reuse": False}
    assert fingerprint(one) == fingerprint(other)
    more = {**one, "search": {"horizon": None, "trials": 9}}
    assert fingerprint(more) != fingerprint(one)
    assert kinship(more) == kinship(one)
    assert kinship({**one, "search": {"horizon": 0.4}}) == kinship(one)
    assert kinship({**one, "dataset_id": "b"}) != kinship(one)


def test_scores_of_another_kind_are_no_kin(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a score is smoothed over belongs to what it means: neither an answer nor a trial is taken over."""
    shared = {"dataset_id": "a", "network": {}, "training": {}, "objective": "fit", "method": "analytic"}
    one = {**shared, "search": {"horizon": None, "trials": 3}}
    before = fingerprint(one), kinship(one)
    monkeypatch.setattr("service.kinship.SMOOTHED_SHARE", 0.2)
    assert fingerprint(one) != before[0]
    assert kinship(one) != before[1]
