"""Where a webhook may go: to a public address by https, so that nobody reaches our own network through us."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from service.problems import Problem
from service.schemas import WebhookRequest
from service.settings import Settings
from service.store_asks import WebhookTarget

__all__ = ["ForbiddenAddressError", "address_of", "webhook_target"]

TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # NAT64: holds an IPv4 address, private ones too


class ForbiddenAddressError(OSError):
    """A name that leads to an address of our own network."""


def webhook_target(asked: WebhookRequest, settings: Settings) -> WebhookTarget:
    """What is stored of a request's webhook.

    Raises:
        Problem: 422 for an address that may not be. What a name leads to is looked at when the message is sent.
    """

    def wrong(message: str) -> Problem:
        shown = "(not shown: it holds a password)" if "@" in asked.url else asked.url
        return Problem.of_field("webhook.url", shown, message, kind="webhook-address")

    try:
        url = urlsplit(asked.url)
        host, _ = url.hostname, url.port
    except ValueError:
        raise wrong("is no address") from None
    schemes = ("https", "http") if settings.webhook_private_addresses else ("https",)
    if url.scheme not in schemes or not host:
        raise wrong(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host")
    if not asked.url.isascii() or not asked.url.isprintable() or " " in asked.url:
        raise wrong("must be written in printable ASCII, without spaces")
    if url.username is not None or url.fragment:
        raise wrong("must hold neither a user's name nor a fragment")
    if not settings.webhook_private_addresses and _is_our_own(host):
        raise wrong("leads to a private address, which this service does not reach for others")
    return WebhookTarget(asked.url, asked.secret)


def _is_our_own(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not _is_public(host)
    except ValueError:
        return False  # a name: looked at when the message is sent


def address_of(url: SplitResult, *, private: bool) -> tuple[str, int]:
    """The address to connect to, and to no other, so that a name cannot lead elsewhere a moment later.

    Raises:
        ForbiddenAddressError: one of the name's addresses is not public, and ``private`` is not allowed.
        OSError: the name leads nowhere.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)]
    if not private and not all(_is_public(address) for address in found):
        raise ForbiddenAddressError(f"{url.hostname} leads to a private address")
    return found[0], port


def _is_public(address: str) -> bool:
    """Whether anybody on the internet could be meant. Raises ValueError for what is no address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in TRANSLATED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None and not _is_public(str(inner)):
            return False
    return ip.is_global and not ip.is_multicast
