"""Who gets in where there are no keys, and to the dashboard."""

from __future__ import annotations

import base64
import http.client
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.binding import UnguardedError, check_binding, check_listener, listen
from service.commands import app as command_line
from service.dashboard import read_only, serve_dashboard, serving, with_key
from service.embedded import Embedded
from service.keys import KeyRing, Scope
from service.settings import Settings

Encode = Callable[..., bytes]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "no such host"])
def test_without_keys_it_listens_on_loopback_alone(host: str, tmp_path: Path) -> None:
    """Every other address is refused with a sentence that says what to do, before anything starts."""
    with pytest.raises(UnguardedError, match="vi3nr key create"):
        check_binding(Settings(data_dir=tmp_path), host)
    check_binding(Settings(data_dir=tmp_path, require_keys=True), host)
    with pytest.raises(UnguardedError), Embedded(Settings(data_dir=tmp_path / "none"), host):
        pytest.fail("it listens")
    assert not (tmp_path / "none").exists()
    for command in ("api", "dashboard"):
        done = CliRunner().invoke(command_line, [command, "--host", host, "--data-dir", str(tmp_path / "none")])
        assert done.exit_code == 2, done.output
        assert "VI3NR_REQUIRE_KEYS" in done.output


def test_an_inherited_socket_is_looked_at_too(tmp_path: Path) -> None:
    """What matters is where it is bound."""
    with socket.create_server(("127.0.0.1", 0)) as loopback, socket.create_server(("0.0.0.0", 0)) as anywhere:
        check_listener(Settings(data_dir=tmp_path), loopback)
        with pytest.raises(UnguardedError):
            check_listener(Settings(data_dir=tmp_path), anywhere)


def dashboard(ring: KeyRing, method: str, header: str = "") -> tuple[str, bytes]:
    """What the guarded dashboard answers, over an application that says "inside"."""
    said: list[str] = []

    def inside(_: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"inside"]

    environ = {"REQUEST_METHOD": method} | ({"HTTP_AUTHORIZATION": header} if header else {})
    body = b"".join(with_key(read_only(inside), ring)(environ, lambda status, _: said.append(status)))
    return said[0][:3], body


def test_the_dashboard_is_for_admins_to_look_at(ring: KeyRing) -> None:
    """Without a key 401, with one of less scope 403, as a bearer or a browser's password 200; writing 405."""
    admin, writer = ring.create("a", Scope.ADMIN)[1], ring.create("w", Scope.WRITE)[1]
    basic = "Basic " + base64.b64encode(f"me:{admin}".encode()).decode()
    assert dashboard(ring, "GET")[0] == "401"
    assert dashboard(ring, "GET", f"Bearer {writer}")[0] == "403"
    assert dashboard(ring, "GET", f"Bearer {admin}") == ("200", b"inside")
    assert dashboard(ring, "GET", basic) == ("200", b"inside")
    assert dashboard(ring, "POST", f"Bearer {admin}")[0] == "405"
    assert dashboard(ring, "POST")[0] == "401"


def test_the_dashboard_that_is_served_stands_behind_both_guards(guarded: Settings, ring: KeyRing) -> None:
    """As a server: 401 without a key, 403 for a writer's, what it shows for an admin's, and 405 for every write."""
    writer, admin = (
        {"Authorization": f"Bearer {ring.create('ann', scope)[1]}"} for scope in (Scope.WRITE, Scope.ADMIN)
    )
    listener = socket.create_server(("127.0.0.1", 0))  # the server's from now on, which ends with this process
    threading.Thread(target=serve_dashboard, args=(guarded, listener), daemon=True).start()
    found = []
    for method, headers in (("GET", {}), ("GET", writer), ("GET", admin), ("POST", admin)):
        connection = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=60)
        connection.request(method, "/api/studies", headers=headers)
        found.append(connection.getresponse().status)
        connection.close()
    assert found == [401, 403, 200, 405]


def test_silent_connections_hold_no_thread_of_the_dashboard(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that asks nothing, and one that stops amid its question: both are ended without a word in the log, and who
    asks is answered.
    """
    answers = []

    def inside(_: object, start: Callable[..., object]) -> list[bytes]:
        start("200 OK", [("Content-Length", "6")])
        return [b"inside"]

    with serving._Server(socket.create_server(("127.0.0.1", 0))) as server:
        server.set_app(inside)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for said, seconds in ((b"", 0.1), (b"GET / HTTP/1.1\r\nHost:", 0.1), (b"GET / HTTP/1.0\r\n\r\n", 30.0)):
            monkeypatch.setattr(serving._QuietHandler, "timeout", seconds)
            with socket.create_connection(server.server_address[:2], 30) as connection, connection.makefile() as sent:
                connection.sendall(said)
                answers.append(sent.read()[-6:])
        server.shutdown()
        thread.join()
    assert answers == ["", "", "inside"]
    assert capsys.readouterr().err == ""


def test_a_port_that_is_taken_is_told_in_a_sentence(tmp_path: Path) -> None:
    """By the function that all processes listen with, and by ``vi3nr api``, before it loads what takes long."""
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
            listen("127.0.0.1", port)
        command = [sys.executable, "-m", "service", "api", "--port", str(port), "--data-dir", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr == f"vi3nr: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_connections_send_what_they_have_at_once() -> None:
    """Nothing waits for a client's acknowledgement, which comes 40 ms late on a connection that is used again."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), 30):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_ipv6_is_listened_on_too() -> None:
    """An address of it is no name that leads nowhere."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with listen("::1", 0) as listener:
        assert listener.family == socket.AF_INET6
