"""Around every request: its id, its line in the log, its place in the metrics, and an answer where nobody has one."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs import request_id
from service.metrics import Metrics
from service.problem_answers import problem_response

__all__ = ["RequestLog"]

GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")  # of an id that a client or a proxy may bring along
QUIET = ("/healthz", "/readyz", "/metrics")
log = logging.getLogger("service.requests")


class RequestLog:
    """ASGI middleware around all that may fail. Of a path the query is not logged, nothing of headers and bodies is."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 -- ASGI
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        word = given if GIVEN.fullmatch(given) else secrets.token_hex(8)
        token = request_id.set(word)
        began, status, location = time.perf_counter(), 0, ""
        answered = began

        async def named(message: Message) -> None:
            nonlocal status, answered, location
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"], location = word, headers.get("location", "")
            await send(message)

        self._metrics.open.inc()
        try:
            await self._app(scope, receive, named)
        except Exception as error:
            log.error("an error that nobody foresaw", exc_info=error)
            if status:
                raise  # the answer has begun: only the connection can be broken off
            sentence = "the service failed in a way that nobody foresaw; its log tells more"
            await problem_response(500, sentence)(scope, receive, named)
        finally:
            self._metrics.open.dec()
            self._record(scope, status, answered - began, location)
            request_id.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float, location: str) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", "none")  # the template: a path of its own would be a label each
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        if scope["path"] in QUIET:
            return
        caller = scope.get("state", {}).get("caller")
        facts = {
            "method": method, "path": scope["path"][:200], "status": status, "seconds": round(seconds, 4),
            "key": getattr(caller, "owner", None) or None,
            "study_id": scope.get("path_params", {}).get("study_id") or _study_at(location),
        }  # fmt: skip
        log.info("%s %s %d", method, ascii(scope["path"][:200])[1:-1], status, extra=facts)


def _study_at(location: str) -> str | None:
    """The id of the study that a request has made or found."""
    _, found, word = location.partition("/v1/studies/")
    return word if found else None


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
