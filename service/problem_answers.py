"""Problems as answers: ``application/problem+json``, whatever went wrong."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from service.blobs import BlobsUnavailableError
from service.problems import (
    BY_STATUS,
    HIDDEN,
    MEDIA_TYPE,
    SECRET,
    SHOWN,
    FieldError,
    Kind,
    Problem,
    ProblemBody,
    busy,
    shown,
)

__all__ = ["DATABASE_AWAY", "add_problem_handlers", "answer_of", "database_away", "problem_response"]

NOT_JSON = "the body is not JSON"
URN = "urn:vi3nr:problem:"
DATABASE_AWAY = (OperationalError, PoolTimeoutError)  # no answer, or every connection waits for one
log = logging.getLogger(__name__)


def problem_response(
    status: int,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    kind: Kind | None = None,
) -> Response:
    """The answer itself. ASCII only, so that no received text can break it."""
    body = ProblemBody(
        type=URN + (kind or BY_STATUS.get(status, "http")), title=HTTPStatus(status).phrase, status=status,
        detail=detail, errors=list(errors),
    )  # fmt: skip
    content = json.dumps(body.model_dump(), ensure_ascii=True, allow_nan=False)
    return Response(content, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error as a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    for error in DATABASE_AWAY:
        app.add_exception_handler(error, _on_database)
    app.add_exception_handler(BlobsUnavailableError, _on_blobs)
    app.add_exception_handler(OSError, _on_system)
    app.add_exception_handler(Exception, _on_surprise)


def answer_of(error: Problem) -> Response:
    """The answer to a problem."""
    return problem_response(error.status, error.detail, error.errors, error.headers, error.kind)


def database_away(error: Exception) -> Response:
    """The answer to one of ``DATABASE_AWAY``, which is logged."""
    log.error("the database cannot be used", exc_info=error)
    return answer_of(busy("the database cannot be used now"))


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer_of(error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    sent = request.headers.get("content-type", "")[:SHOWN]
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return problem_response(400, f"{NOT_JSON}: {found[0].get('ctx', {}).get('error', '')}", kind="not-json")
    if any(len(item["loc"]) == 1 and isinstance(item.get("input"), bytes) for item in found):
        return problem_response(415, f"the body must be application/json, got {sent!a}")
    if any(item["loc"] == ("body", "files") for item in found) and not sent.startswith("multipart/form-data"):
        return problem_response(415, f"the body must be multipart/form-data, got {sent!a}")
    errors = [_field_error(item) for item in found]
    return problem_response(422, Problem.of_fields(errors).detail, errors)


def _field_error(item: Mapping[str, Any]) -> FieldError:
    missing = item["type"] == "missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    message = {"extra_forbidden": "there is no such field", "missing": "is required"}.get(item["type"], message)
    message = message[:1].lower() + message[1:]
    hidden = SECRET in item["loc"]
    value = None if missing else HIDDEN if hidden else shown(item.get("input"))
    return FieldError(field=_path(item["loc"]), value=value, message=message)


def _path(location: Sequence[str | int]) -> str:
    """``("body", "activations", 0, "<range>", "low")`` as ``activations[0].low``: <...> are a union's
    branches.
    """
    path = ""
    for part in location[1:] if len(location) > 1 else location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith("<"):
            path += f".{ascii(part)[1:-1]}" if path else ascii(part)[1:-1]
    return path[:SHOWN]


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:
        detail = {404: "there is nothing at this address", 405: "this address does not take this method"}.get(
            error.status_code, detail
        )
    errors: Sequence[FieldError] = getattr(error, "errors", ())  # service.body_limit's
    return problem_response(error.status_code, str(detail), errors, error.headers)


async def _on_database(_: Request, error: Exception) -> Response:
    return database_away(error)


async def _on_blobs(_: Request, error: Exception) -> Response:
    log.error("the object store cannot be used", exc_info=error)
    return answer_of(busy("the object store cannot be used now"))


async def _on_system(request: Request, error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        log.error("the disk is full", exc_info=error)
        return problem_response(507, "the service's disk is full; try again later", headers={"Retry-After": "60"})
    return await _on_surprise(request, error)


async def _on_surprise(_: Request, error: Exception) -> Response:
    log.error("an error that nobody foresaw", exc_info=error)
    return problem_response(500, "the service failed in a way that nobody foresaw; its log tells more")
