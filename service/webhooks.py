"""Telling whoever asked that a study has ended: signed as Standard Webhooks are, tried again, and not for spying.

The signature is ``v1,`` and the base64 of HMAC-SHA256 over ``ID.TIMESTAMP.BODY`` under the secret's UTF-8 bytes. A
receiver checks it, refuses an old timestamp, and may get a message twice (with the same id).
Source: the Standard Webhooks specification.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import logging
import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.exc import SQLAlchemyError

from service.outbox import LONGEST_PAUSE, Letter, Outbox
from service.settings import Settings
from service.webhook_targets import address_of

__all__ = ["Postman", "signature"]

SECONDS = 10.0  # for a receiver to answer
IDLE_SECONDS = 1.0
TROUBLE_SECONDS = 10.0  # between two looks while the database cannot be used
log = logging.getLogger(__name__)


class Postman:
    """A thread that sends what is due until it is stopped."""

    def __init__(self, outbox: Outbox, settings: Settings) -> None:
        self._outbox, self._settings = outbox, settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a message that is on its way is waited for a little, and is sent again by another if need be."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        pause = IDLE_SECONDS
        while not self._stop.wait(pause):
            try:
                pause = 0.0 if self.round() else IDLE_SECONDS
            except SQLAlchemyError:
                log.warning("webhooks wait: the database cannot be used")
                pause = TROUBLE_SECONDS
            except Exception:  # nobody would notice that the thread has ended
                log.exception("webhooks wait")
                pause = TROUBLE_SECONDS

    def round(self) -> int:
        """Send what is due now, and say how many that were."""
        letters = self._outbox.take()
        for letter in letters:
            self._send(letter)
        return len(letters)

    def _send(self, letter: Letter) -> None:
        where = {"study_id": letter.study_id}
        try:
            status = post(letter, private=self._settings.webhook_private_addresses)
            error = None if 200 <= status < 300 else f"it answered {status}"
        except Exception as found:  # no thread for the deadline, an answer that is none, a connection cut amid a read
            error = f"{type(found).__name__}: {found}"
        if error is None:
            self._outbox.delivered(letter)
            log.info("the webhook of study %s was delivered", letter.study_id, extra=where)
            return
        again = None
        if letter.attempt < self._settings.webhook_attempts:
            again = min(LONGEST_PAUSE, self._settings.webhook_pause_seconds * 4.0 ** (letter.attempt - 1))
        self._outbox.failed(letter, error, again)
        outlook = "it is given up" if again is None else f"again in {again:.0f} s"
        log.warning(
            "the webhook of study %s did not arrive (attempt %d): %s; %s",
            letter.study_id, letter.attempt, error, outlook, extra=where,
        )  # fmt: skip


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """What the header ``webhook-signature`` holds."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def post(letter: Letter, *, private: bool) -> int:
    """Send a message; the status of the answer. Redirections are not followed. Raises what a connection raises."""
    message_id, timestamp = f"study-{letter.study_id}-{letter.id}", int(time.time())
    ended = datetime.fromtimestamp(letter.finished, UTC).isoformat()
    data = {"study_id": letter.study_id, "state": letter.state, "finished": ended}
    body = json.dumps({"type": f"study.{letter.state}", "timestamp": ended, "data": data}).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "vi3nr-webhook/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(letter.secret, message_id, timestamp, body),
    }
    url = urlsplit(letter.url)
    connection = _Connection(url, address_of(url, private=private))
    end = threading.Timer(2 * SECONDS, connection.cut)  # a receiver may not answer a letter at a time for ever
    end.start()
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    finally:
        end.cancel()
        connection.close()


class _Connection(http.client.HTTPConnection):
    """To the one address that was found good, under the name that the certificate must have."""

    def __init__(self, url: SplitResult, address: tuple[str, int]) -> None:
        super().__init__(url.hostname or "", address[1], timeout=SECONDS)
        self._url, self._address = url, address

    def connect(self) -> None:
        """Connect, with TLS for https."""
        self.sock = socket.create_connection(self._address, SECONDS)
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self._url.hostname)

    def cut(self) -> None:
        """End whatever it waits for."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
