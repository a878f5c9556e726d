"""``InitConfig.from_url``: over real sockets, with a server that misbehaves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vi3nr.activations import activation
from vi3nr.config import InitConfig
from vi3nr.config_url import read_url
from vi3nr.profile import vi3nr_config

CONFIG = vi3nr_config(activation("gaussian", 0.05), (2, 8, 8, 3))
PROBLEM = b'{"detail": "there is no study \'00\'", "status": 404}'


class Handler(BaseHTTPRequestHandler):
    """Answers by path; remembers what came with each request."""

    seen: dict[str, str | None]

    def do_GET(self) -> None:
        self.seen[self.path] = self.headers.get("Authorization")
        answer = getattr(self, self.path.strip("/").replace("-", "_"), self.missing)
        answer()

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def config(self) -> None:
        self.say(200, CONFIG.to_json().encode())

    def moved(self) -> None:
        self.say(302, b"", Location="/config")

    def elsewhere(self) -> None:
        self.say(302, b"", Location="file:///etc/hostname")

    def in_circles(self) -> None:
        self.say(302, b"", Location="/in-circles")

    def missing(self) -> None:
        self.say(404, PROBLEM)

    def broken(self) -> None:
        self.say(500, b"<html>oops")

    def deep(self) -> None:
        self.say(200, b"[" * 200_000)

    def broken_deeply(self) -> None:
        self.say(500, b"[" * 60_000)

    def page(self) -> None:
        self.say(200, b"<html>hello</html>")

    def picture(self) -> None:
        self.say(200, b"\x89PNG\xff\xfe")

    def long(self) -> None:
        self.say(200, b" " * 5000)

    def endless(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        drop = threading.Event()
        while not drop.wait(0.02):
            try:
                self.wfile.write(b" ")
            except OSError:
                return

    def endless_error(self) -> None:
        self.endless(500)

    def endless_redirect(self) -> None:
        self.endless(302, Location="/config")

    def log_message(self, *_: object) -> None:
        """Nothing is printed for a request."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    Handler.seen = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_config_comes_as_it_was_written(server: str) -> None:
    """From its address, and from one that redirects there; the key goes to the first address alone."""
    assert InitConfig.from_url(f"{server}/config") == CONFIG
    assert Handler.seen["/config"] is None
    assert InitConfig.from_url(f"{server}/moved", key="vi3nr_a_b\n") == CONFIG
    assert Handler.seen == Handler.seen | {"/moved": "Bearer vi3nr_a_b", "/config": None}


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("missing", OSError, "answered 404 Not Found: there is no study '00'"),
        ("broken", OSError, "answered 500 Internal Server Error$"),
        ("in-circles", OSError, "answered 302"),
        ("elsewhere", OSError, "file:///etc/hostname"),
        ("broken-deeply", OSError, "answered 500 Internal Server Error$"),
        ("page", ValueError, "is not JSON"),
        ("deep", ValueError, "nested too deeply"),
        ("picture", ValueError, "no UTF-8 text"),
    ],
)
def test_what_is_no_config_is_an_error_that_names_the_address(
    server: str, path: str, kind: type[Exception], words: str
) -> None:
    """A problem's own sentence is told; a redirect leads to http alone and not in circles."""
    with pytest.raises(kind, match=words) as caught:
        InitConfig.from_url(f"{server}/{path}")
    assert server in str(caught.value)


def test_size_and_time_have_limits(server: str) -> None:
    """A body that is too long is not read on; one that never ends is given up."""
    assert len(read_url(f"{server}/long", most_bytes=5000)) == 5000
    with pytest.raises(ValueError, match="more than 4999 bytes"):
        read_url(f"{server}/long", most_bytes=4999)
    with pytest.raises(TimeoutError, match=r"was not read within 0\.2 s"):
        read_url(f"{server}/endless", seconds=0.2)
    with pytest.raises(OSError, match="answered 500"):
        read_url(f"{server}/endless-error", seconds=0.2)
    assert InitConfig.from_url(f"{server}/endless-redirect") == CONFIG


def test_a_server_that_is_silent_or_away(server: str) -> None:
    """One that accepts and never answers is a TimeoutError, one that is not there an OSError; both name it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/config"
        with pytest.raises(TimeoutError, match=url):
            read_url(url, seconds=0.2)
    with pytest.raises(OSError, match=f"{url} cannot be reached"):
        read_url(url)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://a/b", "best.json", "http://", "https:///x", ""])
def test_other_addresses_are_refused(url: str) -> None:
    """Only http and https, with a host."""
    with pytest.raises(ValueError, match=r"must begin with http:// or https://"):
        InitConfig.from_url(url)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    """It would be shown in every error."""
    with pytest.raises(ValueError, match="no user and no password") as caught:
        InitConfig.from_url("http://ann:secret@127.0.0.1/config")
    assert "secret" not in str(caught.value)
