"""What runs on this machine is asked directly, whatever proxy the environment names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from service.client import AsyncClient, Client, Retries
from service.own_server import ask

PAGE = b'{"items": [], "next_cursor": null}'
ONCE = Retries(times=0)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server here that gives an empty page to everybody, as itself or as a proxy."""
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def through(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """The environment sends everything there."""
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


async def studies(url: str) -> list[Any]:
    async with AsyncClient(url, retries=ONCE) as client:
        return [study async for study in client.studies()]


def test_a_server_of_this_machine_is_asked_directly(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is not there, and nobody needs it: neither the start of the embedded service nor the clients."""
    through(monkeypatch, "http://127.0.0.1:9")
    url = f"http://127.0.0.1:{port}"
    assert ask(url, 30.0) == PAGE
    for place in (url, f"http://localhost:{port}"):
        with Client(place, retries=ONCE) as client:
            assert list(client.studies()) == []
        assert asyncio.run(studies(place)) == []


def test_another_machine_is_asked_through_the_proxy(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers for a name that leads nowhere."""
    through(monkeypatch, f"http://127.0.0.1:{port}")
    with Client("http://vi3nr.invalid", retries=ONCE) as client:
        assert list(client.studies()) == []
