"""The API's calls as plain data: what is sent, and how the answer is read. Both clients send these."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import uuid4

import httpx2
from pydantic import BaseModel, TypeAdapter

from service.answers import DatasetAnswer, Datasets, Studies, StudyAnswer, Trials
from service.answers_limits import Limits
from service.schemas import StudyRequest
from service.schemas_theory import InitRequest, TheoryRequest
from service.theories import TheoryAnswer
from vi3nr.config import InitConfig
from workers.result import StudyResult

__all__ = ["Call", "Look"]

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
RESULT = TypeAdapter(StudyResult)
GRACE = 5.0  # seconds that an answer may come late before a wait that has an end gives up
Upload = str | Path | tuple[str, bytes]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. ``read`` makes its answer, one of success or 304, into a value.

    ``patience`` is how many seconds longer than usual the answer may take. ``gone_is_done``: a 404 to a request that
    was sent again means that the first one had arrived. ``until``: the moment of ``time.monotonic()`` after which it is
    not sent again, and not waited for much longer.
    """

    method: str
    path: str
    read: Callable[[httpx2.Response], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    files: Sequence[tuple[str, tuple[str, bytes]]] = ()
    form: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0
    gone_is_done: bool = False
    until: float | None = None

    def arguments(self, timeout: float) -> dict[str, Any]:
        """What httpx2's ``request`` takes beside method and path."""
        kind = {"Content-Type": "application/json"} if self.body is not None else {}
        query = {name: value for name, value in self.query.items() if value is not None}
        read = timeout + self.patience
        if self.until is not None:
            left = max(0.0, self.until - time.monotonic()) + GRACE
            timeout, read = min(timeout, left), min(read, left)
        return {
            "params": query, "headers": {**self.headers, **kind}, "content": self.body,
            "files": list(self.files) or None, "data": dict(self.form) or None,
            "timeout": httpx2.Timeout(timeout, read=read),
        }  # fmt: skip


@dataclass(frozen=True)
class Look:
    """A study as it stood, and the tag by which the service knows whether that has changed."""

    study: StudyAnswer
    etag: str | None


def upload(files: Sequence[Upload], options: Mapping[str, object]) -> Call[DatasetAnswer]:
    """Store files. Reads them now. Raises OSError, and ValueError without a file."""
    if not files:
        raise ValueError("an upload needs at least one file, got none")
    named = [_named(file) for file in files]
    form = {name: str(value) for name, value in options.items() if value is not None}
    return Call("POST", "/v1/datasets", _model(DatasetAnswer), files=[("files", one) for one in named], form=form)


def _named(file: Upload) -> tuple[str, bytes]:
    return file if isinstance(file, tuple) else (Path(file).name, Path(file).read_bytes())


def datasets(limit: int, cursor: str | None, query: Mapping[str, object]) -> Call[Datasets]:
    """A page of datasets."""
    return Call("GET", "/v1/datasets", _model(Datasets), {**query, "limit": limit, "cursor": cursor})


def dataset(dataset_id: str) -> Call[DatasetAnswer]:
    """One dataset."""
    return Call("GET", f"/v1/datasets/{_part(dataset_id)}", _model(DatasetAnswer))


def delete_dataset(dataset_id: str) -> Call[None]:
    """Delete one."""
    return Call("DELETE", f"/v1/datasets/{_part(dataset_id)}", _nothing, gone_is_done=True)


def start(request: StudyRequest | Mapping[str, Any], idempotency_key: str | None) -> Call[StudyAnswer]:
    """Ask for a study; under a new key unless one is given."""
    headers = {"Idempotency-Key": idempotency_key or uuid4().hex}
    return Call("POST", "/v1/studies", _model(StudyAnswer), body=_json(request), headers=headers)


def studies(limit: int, cursor: str | None, query: Mapping[str, object]) -> Call[Studies]:
    """A page of studies."""
    return Call("GET", "/v1/studies", _model(Studies), {**query, "limit": limit, "cursor": cursor})


def study(study_id: str) -> Call[StudyAnswer]:
    """How a study stands."""
    return Call("GET", f"/v1/studies/{_part(study_id)}", _model(StudyAnswer))


def look(study_id: str, etag: str | None, wait: float) -> Call[Look | None]:
    """How a study stands once it is no longer as ``etag`` has it, without one once it has ended; at the latest after
    ``wait`` seconds: None if it still is as ``etag`` has it.
    """
    headers = {} if etag is None else {"If-None-Match": etag}
    query = {"wait": f"{wait:g}"} if wait else {}
    return Call("GET", f"/v1/studies/{_part(study_id)}", _look, query, headers=headers, patience=wait)


def _look(response: httpx2.Response) -> Look | None:
    if response.status_code == 304:
        return None
    return Look(StudyAnswer.model_validate_json(response.content), response.headers.get("etag"))


def cancel(study_id: str) -> Call[StudyAnswer]:
    """Cancel a study."""
    return Call("POST", f"/v1/studies/{_part(study_id)}/cancel", _model(StudyAnswer))


def delete_study(study_id: str) -> Call[None]:
    """Delete one that has ended."""
    return Call("DELETE", f"/v1/studies/{_part(study_id)}", _nothing, gone_is_done=True)


def trials(study_id: str, limit: int, cursor: str | None) -> Call[Trials]:
    """A page of a study's trials."""
    return Call("GET", f"/v1/studies/{_part(study_id)}/trials", _model(Trials), {"limit": limit, "cursor": cursor})


def best(study_id: str) -> Call[StudyResult]:
    """The answer of a completed study."""
    return Call("GET", f"/v1/studies/{_part(study_id)}/best", lambda response: RESULT.validate_json(response.content))


def report(study_id: str) -> Call[str]:
    """The report, HTML that asks nobody."""
    return Call("GET", f"/v1/studies/{_part(study_id)}/report", lambda response: response.text, {"live": "false"})


def reconstruction(study_id: str, family: str | None, arm: str | None, form: str | None, signal: int) -> Call[bytes]:
    """What a trained network makes of a signal, as a file."""
    query = {"family": family, "arm": arm, "format": form, "signal": signal or None}
    return Call("GET", f"/v1/studies/{_part(study_id)}/reconstruction", lambda response: response.content, query)


def export(study_id: str, form: str, family: str | None, arm: str | None) -> Call[bytes]:
    """The answer as a file."""
    query = {"format": str(form), "family": family, "arm": arm}
    return Call("GET", f"/v1/studies/{_part(study_id)}/export", lambda response: response.content, query)


def init(request: InitRequest | Mapping[str, Any]) -> Call[InitConfig]:
    """An init config without a study."""
    read: Callable[[httpx2.Response], InitConfig] = lambda response: InitConfig.from_json(response.text)  # noqa: E731
    return Call("POST", "/v1/init", read, body=_json(request))


def theory(request: TheoryRequest | Mapping[str, Any]) -> Call[TheoryAnswer]:
    """What the theory says of an activation."""
    return Call("POST", "/v1/theory", _model(TheoryAnswer), body=_json(request))


def limits() -> Call[Limits]:
    """What requests must keep to."""
    return Call("GET", "/v1/limits", _model(Limits))


def _model(model: type[M]) -> Callable[[httpx2.Response], M]:
    return lambda response: model.model_validate_json(response.content)


def _nothing(_: httpx2.Response) -> None:
    return None


def _json(request: BaseModel | Mapping[str, Any]) -> bytes:
    """What was set is sent, and no default of this client's version."""
    if isinstance(request, BaseModel):
        return request.model_dump_json(exclude_unset=True).encode()
    return json.dumps(request, allow_nan=False).encode()


def _part(word: str) -> str:
    """An id as a part of a path. Raises ValueError for a word that can be none, and would lead elsewhere."""
    if not word.isalnum() or not word.isascii():
        raise ValueError(f"an id consists of letters and digits, got {word!r}")
    return word
