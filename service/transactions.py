"""One transaction around some work, tried again when it met a passing lock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

__all__ = ["transact"]

T = TypeVar("T")
PAUSES = (0.05, 0.2, 1.0)  # seconds before another attempt at a transaction that met a lock
PASSING = ("database is locked", "deadlock detected", "could not serialize access")


def transact(engine: Engine, work: Callable[[Session], T]) -> T:
    """One transaction around ``work``, tried again if it met a passing lock; ``work`` must only touch the
    session.
    """
    for pause in PAUSES:
        try:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                return work(session)
        except DBAPIError as error:
            if not any(words in str(error.orig) for words in PASSING):
                raise
            time.sleep(pause)
    with Session(engine, expire_on_commit=False) as session, session.begin():
        return work(session)
