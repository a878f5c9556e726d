"""The Python client against a real API process with keys on, and a runner."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from live_service import SMALL, LiveService, a_picture

from service.client import ApiError, AsyncClient, Client
from service.schemas import ActivationRequest, StudyRequest
from service.states import StudyState
from vi3nr.config import InitConfig


def test_the_main_job_over_the_client(live: LiveService) -> None:
    """Upload, start, wait with progress, answer, export, report; the config is the one that from_url reads."""
    seen: list[Any] = []
    with live.client() as client:
        dataset = client.upload(("a.png", a_picture()), max_points=120)
        assert (dataset.kind, dataset.points) == ("image", 120)
        asked = StudyRequest(
            dataset_id=dataset.id, **{**SMALL, "activations": [ActivationRequest(family="sine")], "reuse": False}
        )
        study = client.start(asked)
        assert study.state is StudyState.QUEUED
        assert study.request["search"]["trials"] == 2
        with live.runner():
            ended = client.wait(study.id, seen.append, seconds=120)
        assert ended.state is StudyState.COMPLETED
        assert seen[0].state in (StudyState.QUEUED, StudyState.RUNNING)  # the runner may be quicker than the first look
        assert seen[-1] == ended
        best = client.best(study.id).families[0].winner
        assert InitConfig.from_json(client.export(study.id).decode()) == best.init_config
        assert InitConfig.from_url(f"{live.url}/v1/studies/{study.id}/export", key=live.key) == best.init_config
        assert client.report(study.id).startswith("<!doctype html>")
        assert client.reconstruction(study.id).startswith(b"\x89PNG")
        assert client.reconstruction(study.id, "npy").startswith(b"\x93NUMPY")
        assert len(list(client.trials(study.id))) == 2
        assert study.id in {one.id for one in client.studies(state=["completed"], dataset_id=dataset.id)}
        client.delete_study(study.id)
        client.delete_dataset(dataset.id)
        with pytest.raises(ApiError, match="there is no study"):
            client.study(study.id)


def test_the_asynchronous_client_does_the_same(live: LiveService) -> None:
    """Two waits side by side on one event loop; a wait that ends before the study does is a TimeoutError."""

    async def both() -> None:
        async with AsyncClient(live.url, live.key) as client:
            dataset = await client.upload(("a.png", a_picture()))
            first, second = [await client.start({"dataset_id": dataset.id, **SMALL, "reuse": False}) for _ in range(2)]
            with pytest.raises(TimeoutError, match=f"{first.id} goes on after"):
                await client.wait(first.id, seconds=0.05)
            waits = asyncio.gather(client.wait(first.id), client.wait(second.id))
            await client.cancel(first.id)
            await client.cancel(second.id)
            assert {study.state for study in await waits} == {StudyState.CANCELLED}
            mine = [study.id async for study in client.studies(state="cancelled")]
            assert {first.id, second.id} <= set(mine)
            assert (await client.limits()).max_wait_seconds == 60.0
            config = await client.init({"family": "sine", "omega": 30.0})
            assert config.family == "sine"
            assert (await client.theory({"family": "gaussian"})).stable.kind == "root"

    asyncio.run(both())


def test_both_clients_have_the_same_methods() -> None:
    """With the same parameters and defaults."""

    def methods(of: type) -> dict[str, list[inspect.Parameter]]:
        named = {name: thing for name, thing in vars(of).items() if not name.startswith("_") or name == "__init__"}
        return {name: list(inspect.signature(thing).parameters.values()) for name, thing in named.items()}

    assert methods(Client) == methods(AsyncClient)
    assert {"upload", "start", "wait", "best", "export", "close"} <= methods(Client).keys()


def test_the_same_idempotency_key_is_the_same_study(live: LiveService) -> None:
    """A key of the caller's own; without one each start is a new study."""
    with live.client() as client:
        body = {"dataset_id": client.upload(("a.png", a_picture())).id, **SMALL, "reuse": False}
        first = client.start(body, idempotency_key="mine")
        assert client.start(body, idempotency_key="mine").id == first.id
        other = client.start(body)
        assert other.id != first.id
        for study in (first, other):
            client.cancel(study.id)


def test_a_problem_is_one_exception_with_its_fields(live: LiveService) -> None:
    """422 with the fields as written, 401 without a key, 409 for what is not there yet."""
    with live.client() as client:
        with pytest.raises(ApiError) as caught:
            client.start({"dataset_id": "00", "activations": [{"family": "gaussian", "sigma_a": -1.0}]})
        assert caught.value.status == 422
        assert caught.value.type == "urn:vi3nr:problem:invalid"
        assert caught.value.errors[0].field == "activations[0].sigma_a"
        assert caught.value.errors[0].value == "-1.0"
        assert caught.value.request_id
        assert str(caught.value) == caught.value.detail
        dataset = client.upload(("a.png", a_picture()))
        study = client.start({"dataset_id": dataset.id, **SMALL, "reuse": False})
        with pytest.raises(ApiError, match="waits for a runner") as early:
            client.best(study.id)
        assert "data-live=" not in client.report(study.id), "a page to keep asks nobody"
        assert (early.value.status, early.value.type) == (409, "urn:vi3nr:problem:no-best")
        with pytest.raises(ValueError, match=r"an id consists of letters and digits, got '\.\./limits'"):
            client.study("../limits")
        client.cancel(study.id)
    with Client(live.url) as nobody, pytest.raises(ApiError, match="an API key is required") as denied:
        nobody.limits()
    assert denied.value.status == 401


def test_the_pages_snippets_run(live: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/service.md, one snippet after the other, against this service."""
    page = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(snippets) == 2
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(a_picture())
    small = '"reuse": False, "network": {"width": 8, "hidden_layers": 1}, "training": {"steps": 10}'
    small += ', "confirm": {"finalists": 1, "seeds": 2}, "baselines": ["pytorch_default"], "search": {"trials": 2}'
    names: dict[str, Any] = {}
    with live.runner():
        for snippet in snippets:
            here = snippet.replace("http://localhost:8000", live.url).replace("key=None", f"key={live.key!r}")
            exec(here.replace('"search": {"trials": 8}', small), names)
    assert torch.equal(names["again"].layers[0].weight, names["network"].layers[0].weight)
    assert names["winner"].init_config == names["config"]
