"""Answers with an ETag: whoever has it already gets 304 and no body."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import Header, Response
from pydantic import TypeAdapter

__all__ = ["NOT_MODIFIED", "IfNoneMatch", "digest", "matches", "tagged", "tagged_content"]

IfNoneMatch = Annotated[
    str | None, Header(max_length=1000, description="ETags that the client has: 304 if one of them still stands")
]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "It is as the client has it"}}


def digest(content: bytes) -> str:
    """The same for the same bytes."""
    return hashlib.sha256(content).hexdigest()[:32]


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether a client that sent this has what is tagged so."""
    words = [word.strip().removeprefix("W/") for word in (if_none_match or "").split(",")]
    return "*" in words or f'"{tag}"' in words


def tagged(
    adapter: TypeAdapter[Any], answer: Any, if_none_match: str | None, headers: dict[str, str] | None = None
) -> Response:
    """``answer`` as JSON with its ETag; 304 without it where the client has it. Checked again before each use."""
    return tagged_content(adapter.dump_json(answer), if_none_match, headers)


def tagged_content(content: bytes, if_none_match: str | None, headers: dict[str, str] | None = None) -> Response:
    """The same, of JSON that is there already."""
    tag = digest(content)
    every = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache", **(headers or {})}
    if matches(if_none_match, tag):
        return Response(status_code=304, headers=every)
    return Response(content, media_type="application/json", headers=every)
