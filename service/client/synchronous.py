"""``Client``: the API as methods that block."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
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

__all__ = ["Client"]

T = TypeVar("T")
PAGE = 100


class Client:
    """A client of a running service. Close it, or use it as a context.

    Args:
        url: of the service, ``http://localhost:8000``.
        key: an API key, where the service asks for one.
        timeout: seconds for connecting and for each answer.
        retries: what is sent again when the service is away or busy.

    Raises, from every method:
        ApiError: the service refused.
        UnreachableError: no answer came, after all retries.
        ValueError: an argument that cannot be sent.
    """

    def __init__(
        self, url: str = "http://localhost:8000", key: str | None = None, *, timeout: float = 60.0,
        retries: Retries = Retries(),
    ) -> None:  # fmt: skip
        self._retries, self._timeout = retries, timeout
        self._http = httpx2.Client(base_url=url_of(url), headers=headers_of(key), trust_env=not asks_directly(url))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def upload(self, *files: Upload, **options: object) -> DatasetAnswer:
        """Store files as one dataset: paths, or pairs of a name and bytes. ``options`` as in docs/signals.md."""
        return self._send(calls.upload(files, options))

    def datasets(self, **query: object) -> Iterator[DatasetAnswer]:
        """All datasets, newest first; ``query``: kind, created_after, created_before."""
        return self._pages(lambda cursor: calls.datasets(PAGE, cursor, query))

    def dataset(self, dataset_id: str) -> DatasetAnswer:
        """One dataset."""
        return self._send(calls.dataset(dataset_id))

    def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset that no study uses."""
        self._send(calls.delete_dataset(dataset_id))

    def start(self, request: StudyRequest | Mapping[str, Any], *, idempotency_key: str | None = None) -> StudyAnswer:
        """Ask for a study. Sent again under the same key it is the same study."""
        return self._send(calls.start(request, idempotency_key))

    def studies(self, **query: object) -> Iterator[StudyAnswer]:
        """All studies, newest first; ``query``: state, dataset_id, family, created_after, created_before."""
        return self._pages(lambda cursor: calls.studies(PAGE, cursor, query))

    def study(self, study_id: str) -> StudyAnswer:
        """How a study stands."""
        return self._send(calls.study(study_id))

    def wait(
        self, study_id: str, progress: Callable[[StudyAnswer], None] | None = None, seconds: float | None = None
    ) -> StudyAnswer:
        """Wait until a study has ended, and tell ``progress`` whenever it has changed.

        Args:
            study_id: which.
            progress: gets the study as it stands.
            seconds: None: as long as it takes.

        Raises:
            TimeoutError: it goes on after so many seconds.
            UnreachableError: the service is away, at the latest some seconds after that.
        """
        waiting = Waiting(study_id, progress, seconds)
        waiting.keep_to(self._send(waiting.limits()))
        while True:
            ended = waiting.seen(self._send(waiting.call()))
            if ended is not None:
                return ended

    def cancel(self, study_id: str) -> StudyAnswer:
        """Cancel a study; one that runs ends a moment later."""
        return self._send(calls.cancel(study_id))

    def delete_study(self, study_id: str) -> None:
        """Delete a study that has ended."""
        self._send(calls.delete_study(study_id))

    def trials(self, study_id: str) -> Iterator[TrialAnswer]:
        """All trials of a study, in the order in which they were asked for."""
        return self._pages(lambda cursor: calls.trials(study_id, PAGE, cursor))

    def best(self, study_id: str) -> StudyResult:
        """The answer of a completed study."""
        return self._send(calls.best(study_id))

    def report(self, study_id: str) -> str:
        """The report of a study as it stands, an HTML page that needs no network."""
        return self._send(calls.report(study_id))

    def reconstruction(
        self,
        study_id: str,
        form: str | None = None,
        family: str | None = None,
        arm: str | None = None,
        signal: int = 0,
    ) -> bytes:
        """The signal as a trained network gives it back: ``png``, ``wav``, ``npy`` or ``ply``, by the signal's kind.

        ``signal`` is its place in a dataset of several.
        """
        return self._send(calls.reconstruction(study_id, family, arm, form, signal))

    def export(self, study_id: str, form: str = "json", family: str | None = None, arm: str | None = None) -> bytes:
        """The answer as a file: ``json``, ``pytorch``, ``safetensors`` or ``siren``."""
        return self._send(calls.export(study_id, form, family, arm))

    def init(self, request: InitRequest | Mapping[str, Any]) -> InitConfig:
        """An init config at once, by theory, or with a ``dataset_id`` a first guess for that."""
        return self._send(calls.init(request))

    def theory(self, request: TheoryRequest | Mapping[str, Any]) -> TheoryAnswer:
        """What the theory says of an activation."""
        return self._send(calls.theory(request))

    def limits(self) -> Limits:
        """What requests must keep to."""
        return self._send(calls.limits())

    def _send(self, call: Call[T]) -> T:
        attempts = Attempts(call, self._retries)
        while True:
            try:
                response = self._http.request(call.method, call.path, **call.arguments(self._timeout))
            except httpx2.TransportError as error:
                time.sleep(attempts.pause_after_error(error))
                continue
            pause = attempts.pause_after_answer(response)
            if pause is None:
                return attempts.read(response)
            time.sleep(pause)

    def _pages(self, page: Callable[[str | None], Call[Any]]) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            found = self._send(page(cursor))
            yield from found.items
            if (cursor := found.next_cursor) is None:
                return
