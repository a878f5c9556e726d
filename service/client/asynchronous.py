"""``AsyncClient``: the same methods as ``Client``, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

import httpx2

from service.answers import DatasetAnswer, StudyAnswer, TrialAnswer
from service.answers_limits import Limits
from service.client import calls
from service.client.calls import Call, Upload
from service.client.connection import Attempts, asks_directly, headers_of, url_of
from service.client.retries import Retries
from service.client.waiting import Waiting
from service.schemas import StudyRequest
from service.schemas_theory import InitRequest, TheoryRequest
from service.theories import TheoryAnswer
from vi3nr.config import InitConfig
from workers.result import StudyResult

__all__ = ["AsyncClient"]

T = TypeVar("T")
PAGE = 100


class AsyncClient:
    """A client of a running service for asyncio: arguments, methods and errors are those of ``Client``."""

    def __init__(
        self, url: str = "http://localhost:8000", key: str | None = None, *, timeout: float = 60.0,
        retries: Retries = Retries(),
    ) -> None:  # fmt: skip
        self._retries, self._timeout = retries, timeout
        self._http = httpx2.AsyncClient(base_url=url_of(url), headers=headers_of(key), trust_env=not asks_directly(url))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def upload(self, *files: Upload, **options: object) -> DatasetAnswer:
        """Store files as one dataset; they are read in a thread."""
        return await self._send(await asyncio.to_thread(calls.upload, files, options))

    def datasets(self, **query: object) -> AsyncIterator[DatasetAnswer]:
        """All datasets, newest first."""
        return self._pages(lambda cursor: calls.datasets(PAGE, cursor, query))

    async def dataset(self, dataset_id: str) -> DatasetAnswer:
        """One dataset."""
        return await self._send(calls.dataset(dataset_id))

    async def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset that no study uses."""
        await self._send(calls.delete_dataset(dataset_id))

    async def start(
        self, request: StudyRequest | Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> StudyAnswer:
        """Ask for a study."""
        return await self._send(calls.start(request, idempotency_key))

    def studies(self, **query: object) -> AsyncIterator[StudyAnswer]:
        """All studies, newest first."""
        return self._pages(lambda cursor: calls.studies(PAGE, cursor, query))

    async def study(self, study_id: str) -> StudyAnswer:
        """How a study stands."""
        return await self._send(calls.study(study_id))

    async def wait(
        self, study_id: str, progress: Callable[[StudyAnswer], None] | None = None, seconds: float | None = None
    ) -> StudyAnswer:
        """Wait until a study has ended. Raises TimeoutError: it goes on after so many seconds."""
        waiting = Waiting(study_id, progress, seconds)
        waiting.keep_to(await self._send(waiting.limits()))
        while True:
            ended = waiting.seen(await self._send(waiting.call()))
            if ended is not None:
                return ended

    async def cancel(self, study_id: str) -> StudyAnswer:
        """Cancel a study."""
        return await self._send(calls.cancel(study_id))

    async def delete_study(self, study_id: str) -> None:
        """Delete a study that has ended."""
        await self._send(calls.delete_study(study_id))

    def trials(self, study_id: str) -> AsyncIterator[TrialAnswer]:
        """All trials of a study."""
        return self._pages(lambda cursor: calls.trials(study_id, PAGE, cursor))

    async def best(self, study_id: str) -> StudyResult:
        """The answer of a completed study."""
        return await self._send(calls.best(study_id))

    async def report(self, study_id: str) -> str:
        """The report of a study as it stands, an HTML page that needs no network."""
        return await self._send(calls.report(study_id))

    async def reconstruction(
        self,
        study_id: str,
        form: str | None = None,
        family: str | None = None,
        arm: str | None = None,
        signal: int = 0,
    ) -> bytes:
        """The signal as a trained network gives it back."""
        return await self._send(calls.reconstruction(study_id, family, arm, form, signal))

    async def export(
        self, study_id: str, form: str = "json", family: str | None = None, arm: str | None = None
    ) -> bytes:
        """The answer as a file."""
        return await self._send(calls.export(study_id, form, family, arm))

    async def init(self, request: InitRequest | Mapping[str, Any]) -> InitConfig:
        """An init config at once."""
        return await self._send(calls.init(request))

    async def theory(self, request: TheoryRequest | Mapping[str, Any]) -> TheoryAnswer:
        """What the theory says of an activation."""
        return await self._send(calls.theory(request))

    async def limits(self) -> Limits:
        """What requests must keep to."""
        return await self._send(calls.limits())

    async def _send(self, call: Call[T]) -> T:
        attempts = Attempts(call, self._retries)
        while True:
            try:
                response = await self._http.request(call.method, call.path, **call.arguments(self._timeout))
            except httpx2.TransportError as error:
                await asyncio.sleep(attempts.pause_after_error(error))
                continue
            pause = attempts.pause_after_answer(response)
            if pause is None:
                return attempts.read(response)
            await asyncio.sleep(pause)

    async def _pages(self, page: Callable[[str | None], Call[Any]]) -> AsyncIterator[Any]:
        cursor: str | None = None
        while True:
            found = await self._send(page(cursor))
            for item in found.items:
                yield item
            if (cursor := found.next_cursor) is None:
                return
