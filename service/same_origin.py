"""Without keys whoever reaches loopback is the owner, and a browser on this machine reaches it for any web page.

So a request that another site's page makes a browser send is refused, and one under a name of the internet that was
bent to lead here.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from service.problems import Problem

__all__ = ["check_origin"]


def check_origin(headers: Headers) -> None:
    """Raises Problem: 403 for a request that no page of ours and no program of this machine's owner sends."""
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Problem(403, "API keys are off, and this request comes from another site's page", kind="cross-site")
    host = headers.get("host", "")
    origin = headers.get("origin")  # where a browser does not trust the address it sends nothing else
    if "sec-fetch-site" not in headers and origin is not None and urlsplit(origin).netloc != host:
        raise Problem(403, "API keys are off, and this request comes from another site's page", kind="cross-site")
    name = host.partition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]
    if "." in name and not name.endswith(".localhost") and not _is_address(name):
        sentence = f"API keys are off: the service answers to localhost and to addresses, not to {name[:200]!a}"
        raise Problem(403, sentence, kind="host")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
