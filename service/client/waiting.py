"""Waiting for a study by long polls, without HTTP: what to ask next, and what an answer means."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from service.answers import StudyAnswer
from service.answers_limits import Limits
from service.client import calls
from service.client.calls import Call, Look
from service.states import FINISHED

__all__ = ["Waiting"]

LONGEST_POLL = 30.0  # seconds; what lies between client and service may cut longer silences


class Waiting:
    """One wait. Show the answer of ``limits`` to ``keep_to``; then ask ``call`` and show its answer to ``seen``, until
    that returns the study that has ended.

    The first call answers at once; each later one when something has changed, or when it has waited long enough.
    """

    def __init__(self, study_id: str, progress: Callable[[StudyAnswer], None] | None, seconds: float | None) -> None:
        self._study_id, self._progress, self._seconds = study_id, progress, seconds
        self._poll = LONGEST_POLL
        self._until = None if seconds is None else time.monotonic() + seconds
        self._etag: str | None = None
        self._looked = False

    def limits(self) -> Call[Limits]:
        """To ask before all else."""
        return replace(calls.limits(), until=self._until)

    def keep_to(self, limits: Limits) -> None:
        """Ask for no longer waits than the service allows."""
        self._poll = min(self._poll, limits.max_wait_seconds)

    def call(self) -> Call[Look | None]:
        """What to ask next. Raises TimeoutError when the time is over."""
        if not self._looked:
            return replace(calls.look(self._study_id, None, 0.0), until=self._until)
        wait = self._poll
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0.0:
                raise TimeoutError(f"the study {self._study_id} goes on after {self._seconds:g} s")
            wait = min(wait, left)
        return replace(calls.look(self._study_id, self._etag, wait), until=self._until)

    def seen(self, look: Look | None) -> StudyAnswer | None:
        """The study if it has ended; None: go on. Tells of what is new."""
        self._looked = True
        if look is None:
            return None
        self._etag = look.etag
        if self._progress is not None:
            self._progress(look.study)
        return look.study if look.study.state in FINISHED else None
