"""What both clients do around one request: where it goes, and whether it is sent again."""

from __future__ import annotations

import ipaddress
import time
from contextlib import suppress
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import httpx2

from service.client.calls import Call
from service.client.errors import ApiError, UnreachableError
from service.client.retries import Retries, seconds_to_wait

__all__ = ["Attempts", "asks_directly", "headers_of", "url_of"]

T = TypeVar("T")


def url_of(url: str) -> str:
    """The service's address. Raises ValueError for what is none."""
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("the service's address must hold no user and no password; an API key is given beside it")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"the service's address must begin with http:// or https://, got {url!r}")
    return url.rstrip("/")


def asks_directly(url: str) -> bool:
    """Whether the service is on this machine, where no proxy of the environment leads to it."""
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def headers_of(key: str | None) -> dict[str, str]:
    """Of every request. Raises ValueError for a key that no header can hold; it is not repeated."""
    found = {"Accept": "application/json, */*;q=0.5", "User-Agent": "vi3nr-client"}
    if key is not None:
        word = key.strip()
        if not word.isascii() or not word.isprintable() or not word:
            raise ValueError("an API key is one line of ASCII, as `vi3nr key create` printed it")
        found["Authorization"] = f"Bearer {word}"
    return found


class Attempts(Generic[T]):
    """The requests made for one call."""

    def __init__(self, call: Call[T], retries: Retries) -> None:
        self._call, self._retries, self._sent = call, retries, 0

    def pause_after_error(self, error: httpx2.TransportError) -> float:
        """Seconds until it is sent again. Raises UnreachableError when it was tried often enough."""
        self._sent += 1
        pause = self._retries.after_silence(self._sent)
        if pause is None or self._too_long(pause):
            raise UnreachableError(
                f"{_where(error)} cannot be reached: {str(error) or type(error).__name__}"
            ) from error
        return pause

    def pause_after_answer(self, response: httpx2.Response) -> float | None:
        """Seconds until it is sent again; None: this is the answer."""
        self._sent += 1
        pause = self._retries.after_answer(self._sent, response.status_code, _retry_after(response))
        return None if pause is None or self._too_long(pause) else pause

    def _too_long(self, pause: float) -> bool:
        return self._call.until is not None and time.monotonic() + pause > self._call.until

    def read(self, response: httpx2.Response) -> T:
        """The answer as a value. Raises ApiError, and UnreachableError for what only a foreign server answers."""
        status = response.status_code
        answered = response.is_success or status == 304  # a redirect is none: what it leads to was not asked
        if not answered and not (status == 404 and self._call.gone_is_done and self._sent > 1):
            raise ApiError.of(response, _retry_after(response))
        try:
            return self._call.read(response)
        except ValueError as error:
            told = f"{response.request.url} does not answer as this version's service does (status {status})"
            raise UnreachableError(f"{told}: {str(error).splitlines()[0]}") from error


def _retry_after(response: httpx2.Response) -> float | None:
    return seconds_to_wait(response.headers.get("retry-after"))


def _where(error: httpx2.TransportError) -> str:
    try:
        return str(error.request.url)
    except RuntimeError:
        return "the service"
