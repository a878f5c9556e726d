"""Log lines: JSON with the ids of request, study and trial, or plain text for a terminal."""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

__all__ = ["IDS", "JsonLines", "request_id", "set_up"]

IDS = ("request_id", "key", "study_id", "family", "trial", "method", "path", "status", "seconds")
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)  # of the request that is being answered


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the ids that are known, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; ASCII alone, so that nothing that was received can break it."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = {name: getattr(record, name) for name in IDS if getattr(record, name, None) is not None}
        if "request_id" not in known and (current := request_id.get()) is not None:
            known["request_id"] = current
        if record.exc_info:
            known["traceback"] = self.formatException(record.exc_info)
        return json.dumps({**line, **known}, default=str)


def set_up(kind: Literal["auto", "json", "text"]) -> None:
    """Log to stderr from now on; ``auto`` is text on a terminal and JSON elsewhere. Also what Python itself would
    write there: warnings, and errors that nobody caught.
    """
    handler = logging.StreamHandler()
    if kind == "json" or (kind == "auto" and not sys.stderr.isatty()):
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not issubclass(kind, KeyboardInterrupt | SystemExit):
        logging.getLogger(__name__).critical("an error that nobody caught", exc_info=(kind, error, trace))
