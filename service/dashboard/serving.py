"""Serving the dashboard behind guards.

It has no authentication of its own and its write routes are open, so everything but GET and HEAD is refused before it
arrives, and where keys are on, everybody without a key of scope admin.
"""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from starlette.datastructures import Headers

from service.blobs import BlobStore
from service.callers import find_key
from service.dashboard.storage import ToldStorage
from service.dashboard.stories import Stories
from service.database import make_engine
from service.keys import KeyRing, Scope
from service.problems import Problem
from service.settings import Settings
from service.store import Store
from workers.storage import open_storage

__all__ = ["read_only", "same_origin", "serve_dashboard", "with_key"]

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def read_only(application: Application) -> Application:
    """The same WSGI application for GET and HEAD; 405 for every other method."""

    def guard(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return application(environ, start_response)
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Allow", "GET, HEAD")]
        start_response("405 Method Not Allowed", headers)
        return [b"This dashboard is for looking; studies are changed through the API.\n"]

    return guard


def same_origin(application: Application) -> Application:
    """The same application without the header by which it would let pages of any site read its pictures."""

    def guard(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            kept = [(name, value) for name, value in headers if name.lower() != "access-control-allow-origin"]
            return start_response(status, kept, *rest)

        return application(environ, start)

    return guard


def with_key(application: Application, ring: KeyRing) -> Application:
    """The same application for whoever sends a key of scope admin; it shows the studies of every key."""

    def guard(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        given = {"authorization": environ.get("HTTP_AUTHORIZATION", ""), "accept": "text/html"}
        try:
            key = find_key(ring, Headers(given), "GET")
        except Problem as error:
            challenge = [("Content-Type", "text/plain; charset=utf-8"), *dict(error.headers or {}).items()]
            start_response("401 Unauthorized", challenge)
            return [f"{error.detail}\n".encode()]
        if not key.scope.includes(Scope.ADMIN):
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"The dashboard shows the studies of every key: it needs one of scope admin.\n"]
        return application(environ, start_response)

    return guard


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _QuietHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()


class _QuietHandler(WSGIRequestHandler):
    timeout = 30.0  # seconds: a connection that is silent so long ends, for it holds a thread

    def handle(self) -> None:
        """Answer one request, if it comes."""
        with suppress(TimeoutError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the dashboard polls."""


def serve_dashboard(settings: Settings, listener: socket.socket) -> None:
    """Serve until the process ends; behind a key where keys are on."""
    from optuna_dashboard import wsgi

    engine = make_engine(settings.url)
    stories = Stories(Store(engine), BlobStore(settings.blob_place), settings.public_url)
    storage = open_storage(settings.url, partial(ToldStorage, stories=stories))
    application = read_only(same_origin(wsgi(storage, artifact_store=stories)))
    if settings.require_keys:
        application = with_key(application, KeyRing(engine))
    server = _Server(listener)
    server.set_app(application)
    server.serve_forever(poll_interval=0.2)
