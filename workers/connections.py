"""What every connection to PostgreSQL is told, by the API, the runner and Optuna's storage alike."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError

__all__ = ["STALLED_SECONDS", "end_stalled_transactions"]

STALLED_SECONDS = 30.0  # that a client may keep a transaction open without a word
ENDED = "25P03"  # PostgreSQL's code for a transaction that it has ended for that


def end_stalled_transactions(engine: Engine, seconds: float = STALLED_SECONDS) -> None:
    """Let the server end transactions whose client stands still: a frozen process or machine would keep its locks, and
    whoever takes its studies over would wait for them. The client finds its connection closed, as OperationalError.

    Nothing is done for other databases than PostgreSQL. SQLite has no such limit.
    """
    if engine.dialect.name != "postgresql":
        return

    def limit(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = {round(1000 * seconds)}")
        connection.commit()

    def closed(context: ExceptionContext) -> OperationalError | None:
        error = context.original_exception
        if getattr(error, "sqlstate", None) != ENDED:
            return None
        context.is_disconnect = True
        return OperationalError(  # psycopg calls it an internal error
            context.statement, context.parameters, error, hide_parameters=engine.hide_parameters
        )

    event.listen(engine, "connect", limit)
    event.listen(engine, "handle_error", closed, retval=True)
