"""The states of a study and the legal transitions between them: the one place that knows.

``service.store_studies`` turns each transition into one conditional UPDATE and looks at the row count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["FINISHED", "LONGEST_LEASE", "TRANSITIONS", "StudyState", "Transition"]


class StudyState(StrEnum):
    """Where a study stands. The value is what the database holds and what clients see."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"  # a runner holds it and has yet to notice that it should stop
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"


LONGEST_LEASE = 120.0  # seconds; one that ends later was given by a clock that has been put back since
FINISHED = frozenset({StudyState.CANCELLED, StudyState.COMPLETED, StudyState.FAILED})


@dataclass(frozen=True)
class Transition:
    """From any state in ``sources`` to ``target``. ``leased``: only the runner that holds the lease may do
    it.
    """

    sources: frozenset[StudyState]
    target: StudyState
    leased: bool


def _from(*sources: StudyState, to: StudyState, leased: bool) -> Transition:
    return Transition(frozenset(sources), to, leased)


_S = StudyState
TRANSITIONS: Mapping[str, Transition] = {
    # Asked for by clients.
    "cancel_waiting": _from(_S.QUEUED, to=_S.CANCELLED, leased=False),
    "cancel_running": _from(_S.RUNNING, to=_S.CANCELLING, leased=False),
    # A runner takes a study: a waiting one, or one whose lease has run out, by the database's clock.
    "claim": _from(_S.QUEUED, to=_S.RUNNING, leased=False),
    "reclaim": _from(_S.RUNNING, to=_S.RUNNING, leased=False),
    "reclaim_cancelling": _from(_S.CANCELLING, to=_S.CANCELLING, leased=False),
    # The runner that holds the lease.
    "release": _from(_S.RUNNING, to=_S.QUEUED, leased=True),
    "cancelled": _from(_S.CANCELLING, to=_S.CANCELLED, leased=True),
    # A study may end between the wish to cancel it and the runner's next look: then the result stands.
    "complete": _from(_S.RUNNING, _S.CANCELLING, to=_S.COMPLETED, leased=True),
    "fail": _from(_S.RUNNING, _S.CANCELLING, to=_S.FAILED, leased=True),
}
