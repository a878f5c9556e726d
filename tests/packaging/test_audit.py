"""The audit of the pinned packages: a finding fails it, and without anybody to ask it is skipped aloud."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BAD = "fastapi"


class Vulnerabilities(BaseHTTPRequestHandler):
    """Answers as OSV does: one package has a vulnerability."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        fixed = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}
        affected = [{"package": {"name": BAD, "ecosystem": "PyPI"}, "ranges": [fixed]}]
        known = {"vulns": [{"id": "PYSEC-0000-1", "summary": "a hole", "affected": affected}]}
        body = json.dumps(known if asked["package"]["name"] == BAD == self.server.bad else {}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def osv() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Vulnerabilities) as server:
        server.bad = ""
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def audit(port: int) -> tuple[int, str]:
    command = [sys.executable, "deploy/audit.py", "--vulnerability-service", "osv"]
    done = subprocess.run(
        [*command, "--osv-url", f"http://127.0.0.1:{port}/"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout


def test_a_finding_fails(osv: ThreadingHTTPServer) -> None:
    """With the package, its version, the finding's name and the version that mends it; without one it passes."""
    port = osv.server_address[1]
    status, said = audit(port)
    pins = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line and line[0] != "#"]
    assert (status, said) == (0, f"audited {len(pins)} of {len(pins)} packages: no known vulnerability\n")
    osv.bad = BAD
    status, said = audit(port)
    (pin,) = [line for line in pins if line.startswith(f"{BAD}==")]
    assert (status, said.splitlines()[1:]) == (1, [f"{pin.replace('==', ' ')}: PYSEC-0000-1, mended in 99.0"])


def test_without_anybody_to_ask_it_is_skipped() -> None:
    """Nothing listens there: it says so, and does not fail."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    status, said = audit(port)
    assert status == 0
    assert said.startswith("audit skipped: ")
