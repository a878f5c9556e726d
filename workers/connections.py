"""What every connection to PostgreSQL is told, by the API, the runner and Optuna's storage alike."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import OperationalError

__all__ = ["STALLED_SECONDS", "end_stalled_transactions", "patience"]

STALLED_SECONDS = 30.0  # that a client may keep a transaction open without a word
# Of libpq. A server that is gone without a word, after a failover, would else be waited for a quarter of an hour.
PATIENCE = {
    "connect_timeout": 5, "tcp_user_timeout": 15_000, "keepalives_idle": 10, "keepalives_interval": 5,
    "keepalives_count": 3,
}  # fmt: skip
ENDED = "25P03"  # PostgreSQL's code for a transaction that it has ended for that


def patience(url: str) -> dict[str, int]:
    """How long a connection to PostgreSQL waits, as arguments of the driver; what the URL says itself counts."""
    return {name: value for name, value in PATIENCE.items() if name not in make_url(url).query}


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
