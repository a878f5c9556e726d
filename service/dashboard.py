"""The Optuna dashboard over our database, for looking only.

It has no authentication and its write routes are open, so everything but GET and HEAD is refused before it
arrives.
"""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from workers.storage import open_storage

__all__ = ["read_only", "serve_dashboard"]

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


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _QuietHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the dashboard polls."""


def serve_dashboard(database_url: str, listener: socket.socket) -> None:
    """Serve until the process ends."""
    from optuna_dashboard import wsgi

    server = _Server(listener)
    server.set_app(read_only(wsgi(open_storage(database_url))))
    server.serve_forever(poll_interval=0.2)
