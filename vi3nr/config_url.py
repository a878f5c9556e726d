"""An init config's text from the web, by the standard library alone, within limits of size and time."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from email.message import Message
from typing import IO, Any
from urllib.parse import urlsplit

__all__ = ["MOST_BYTES", "read_url"]

MOST_BYTES = 4_000_000  # a config of 1000 layers has a tenth of that
MOST_REDIRECTS = 5
CHUNK = 65_536
ACCEPT = "application/json, text/plain;q=0.9, */*;q=0.1"


def read_url(url: str, key: str | None = None, *, seconds: float = 30.0, most_bytes: int = MOST_BYTES) -> str:
    """The text at an address.

    Args:
        url: http or https.
        key: an API key, sent to this address alone and to none that it redirects to.
        seconds: for connecting, for each wait on the server, and for the body as a whole.
        most_bytes: of the body.

    Raises:
        ValueError: another kind of address, a body that is too long or not UTF-8.
        OSError: no answer, none in time (TimeoutError), or an answer that is an error.
    """
    request = urllib.request.Request(_checked(url), headers={"Accept": ACCEPT, "User-Agent": "vi3nr"})
    if key is not None:
        request.add_unredirected_header("Authorization", f"Bearer {key.strip()}")
    until = time.monotonic() + seconds
    try:
        with urllib.request.build_opener(_Redirects()).open(request, timeout=seconds) as answer:
            data = _body(answer, url, most_bytes, until)
    except urllib.error.HTTPError as error:
        told = _detail(error, url, until)
        error.close()
        raise OSError(f"{url} answered {error.code} {' '.join(error.reason.split())}{told}") from None
    except TimeoutError:
        raise TimeoutError(f"{url} was not read within {seconds:g} s") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise TimeoutError(f"{url} did not answer within {seconds:g} s") from None
        raise OSError(f"{url} cannot be reached: {error.reason}") from None
    except http.client.HTTPException as error:
        raise OSError(f"{url} did not answer as a web server does: {type(error).__name__}: {error}") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{url} holds no UTF-8 text, so no init config") from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few, to http and https alone, and never from https back to http."""

    max_redirections = MOST_REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        """The request that follows. Raises ValueError for an address that is not followed."""
        _checked(newurl)
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise ValueError(f"{req.full_url} leads from https to {newurl}, which is not followed")
        fp.close()  # what a redirect has to say beside the address may be endless
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # typeshed's name


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"the address of an init config must begin with http:// or https://, got {url!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address of an init config must hold no user and no password; give an API key as key")
    return url


def _body(answer: Any, url: str, most: int, until: float) -> bytes:
    parts, size = [], 0
    while part := answer.read1(CHUNK):
        size += len(part)
        if size > most:
            raise ValueError(f"{url} holds more than {most} bytes, so no init config")
        if time.monotonic() > until:
            raise TimeoutError
        parts.append(part)
    return b"".join(parts)


def _detail(error: urllib.error.HTTPError, url: str, until: float) -> str:
    """What a service of ours says is wrong; nothing where the answer is no problem document."""
    try:
        told = json.loads(_body(error, url, CHUNK, until))["detail"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f": {told}" if isinstance(told, str) else ""
