"""A transaction that meets a passing lock is tried again."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.database import writing
from service.transactions import PAUSES, transact


def error(words: str) -> OperationalError:
    return OperationalError("INSERT", {}, Exception(words))


@pytest.mark.parametrize("words", ["database is locked", "deadlock detected", "could not serialize access"])
def test_a_passing_lock_is_waited_for(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """The work is done again from its beginning, what it had written before is not there; in the end it is an error."""
    monkeypatch.setattr("service.transactions.time.sleep", lambda _: None)
    with writing(sqlite_engine).begin() as connection:
        connection.execute(text("CREATE TABLE things (n INT)"))
    left = [len(PAUSES)]

    def work(session: Session) -> int:
        session.execute(text("INSERT INTO things VALUES (1)"))
        if left[0]:
            left[0] -= 1
            raise error(words)
        return session.scalars(text("SELECT count(*) FROM things")).one()

    assert transact(writing(sqlite_engine), work) == 1
    left[0] = len(PAUSES) + 1
    with pytest.raises(OperationalError, match=words):
        transact(writing(sqlite_engine), work)


def test_another_error_is_told_at_once(sqlite_engine: Engine) -> None:
    """Nothing says that it will pass."""
    calls = []

    def work(_: Session) -> None:
        calls.append(1)
        raise error("disk I/O error")

    with pytest.raises(OperationalError, match="disk"):
        transact(sqlite_engine, work)
    assert len(calls) == 1
