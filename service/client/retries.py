"""When a request is sent again, and after how long. No HTTP here, so that both clients decide alike."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["Retries", "seconds_to_wait"]

BUSY = frozenset({429, 502, 503, 504, 507})  # statuses after which waiting may help


@dataclass(frozen=True)
class Retries:
    """How patient a client is.

    ``times``: requests beyond the first. ``pause``: seconds before the first of them, doubled before each next one,
    with some chance so that many clients do not return together. ``longest``: of a pause; a service that asks for a
    longer one by Retry-After is not waited for.
    """

    times: int = 4
    pause: float = 0.5
    longest: float = 60.0

    def __post_init__(self) -> None:
        if self.times < 0 or self.pause < 0 or self.longest < 0:
            raise ValueError(f"retries must not be negative, got {self!r}")

    def after_answer(self, sent: int, status: int, retry_after: float | None) -> float | None:
        """Seconds to wait after the ``sent``-th request was answered with this status; None: that is the answer."""
        if status not in BUSY or sent > self.times or (status == 429 and retry_after is None):
            return None  # a quota without Retry-After stays used up until something is deleted
        if retry_after is None:
            return self._backoff(sent)
        return retry_after if retry_after <= self.longest else None

    def after_silence(self, sent: int) -> float | None:
        """Seconds to wait after the ``sent``-th request got no answer; None: enough."""
        return None if sent > self.times else self._backoff(sent)

    def _backoff(self, sent: int) -> float:
        return min(self.longest, self.pause * 2.0 ** (sent - 1)) * random.uniform(0.5, 1.0)


def seconds_to_wait(header: str | None) -> float | None:
    """What a Retry-After header says: seconds, or a date; None for neither."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
