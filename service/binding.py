"""Where a server may listen: without API keys only on loopback."""

from __future__ import annotations

import ipaddress
import socket

from service.settings import Settings

__all__ = ["UnguardedError", "check_binding", "check_listener", "listen", "prompt"]

BACKLOG = 256  # connections that wait to be taken


class UnguardedError(ValueError):
    """Others than this machine could ask, and nobody would check who they are."""


def check_binding(settings: Settings, host: str) -> None:
    """Refuse to listen where others can reach a service that asks for no key.

    Raises:
        UnguardedError: ``host`` is not a loopback address, or a name that leads to another one.
    """
    if not settings.require_keys and not _is_loopback(host):
        raise UnguardedError(
            f"listening on {host!r} lets others in, and API keys are off: set VI3NR_REQUIRE_KEYS=true and make a key "
            "with `vi3nr key create`, or listen on 127.0.0.1"
        )


def check_listener(settings: Settings, listener: socket.socket) -> None:
    """The same for a socket that is bound already; one in the file system is this machine's own."""
    if listener.family != getattr(socket, "AF_UNIX", None):
        check_binding(settings, listener.getsockname()[0])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is a free one. Raises OSError with a sentence that names the place."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        both = host == "::" and socket.has_dualstack_ipv6()
        return prompt(socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both))
    except OSError as error:
        why = str(error.strerror or error).partition(" (while")[0]  # Python adds the address once more
        raise OSError(f"cannot listen on {host}:{port}: {why}") from error


def prompt(listener: socket.socket) -> socket.socket:
    """The same socket, whose connections send what they have at once. Otherwise the body of an answer waits until the
    client has acknowledged its head, 40 ms on Linux, on every connection that is used again. asyncio sees to it only
    for sockets that it has made itself.
    """
    if listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # those that it accepts inherit this
    return listener


def _is_loopback(host: str) -> bool:
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in found)
