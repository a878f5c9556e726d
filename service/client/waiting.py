"""Waiting for a study by long polls, without HTTP: what to ask next, and what an answer means."""

from __future__ import annotations

import time
from collections.abc import Callable

from service.answers import StudyAnswer
from service.client import calls
from service.client.calls import Call, Look
from service.states import FINISHED

__all__ = ["Waiting"]

LONGEST_POLL = 30.0  # seconds; what lies between client and service may cut longer silences


class Waiting:
    """One wait. Ask ``call``, show its answer to ``seen``, until that returns the study that has ended.

    The first call answers at once; each later one when something has changed, or when it has waited long enough.
    """

    def __init__(
        self, study_id: str, progress: Callable[[StudyAnswer], None] | None, seconds: float | None, longest: float
    ) -> None:
        self._study_id, self._progress, self._seconds = study_id, progress, seconds
        self._poll = min(LONGEST_POLL, longest)
        self._until = None if seconds is None else time.monotonic() + seconds
        self._etag: str | None = None
        self._looked = False

    def call(self) -> Call[Look | None]:
        """What to ask next. Raises TimeoutError when the time is over."""
        if not self._looked:
            return calls.look(self._study_id, None, 0.0)
        wait = self._poll
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0.0:
                raise TimeoutError(f"the study {self._study_id} goes on after {self._seconds:g} s")
            wait = min(wait, left)
        return calls.look(self._study_id, self._etag, wait)

    def seen(self, look: Look | None) -> StudyAnswer | None:
        """The study if it has ended; None: go on. Tells of what is new."""
        self._looked = True
        if look is None:
            return None
        self._etag = look.etag
        if self._progress is not None:
            self._progress(look.study)
        return look.study if look.study.state in FINISHED else None
