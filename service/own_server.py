"""Asking a server of this machine."""

from __future__ import annotations

import urllib.request

__all__ = ["ask"]

ANSWER_BYTES = 1000


def ask(url: str, seconds: float) -> bytes:
    """The beginning of what it answers to GET; never through a proxy, for which loopback is another machine.

    Raises OSError where nobody listens, where the answer is an error, and after so many seconds.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=seconds) as answer:
        return bytes(answer.read(ANSWER_BYTES))
