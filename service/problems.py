"""Errors as RFC 9457 problems: the field and the value named. ``service.problem_answers`` makes answers of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BY_STATUS",
    "HIDDEN",
    "MEDIA_TYPE",
    "SECRET",
    "SHOWN",
    "FieldError",
    "Kind",
    "Problem",
    "ProblemBody",
    "busy",
    "documented",
    "shown",
]

MEDIA_TYPE = "application/problem+json"
SHOWN = 200  # characters of a value that an answer repeats
SECRET, HIDDEN = "secret", "(not shown)"  # a field of this name is repeated nowhere
# What a problem's type ends with. None ever changes its meaning; docs/service.md says what each means.
Kind = Literal[
    "bad-request", "cross-site", "disk-full", "gone", "has-ended", "host", "http", "idempotency-key-reused", "in-use",
    "internal", "invalid", "max-datasets", "max-queued", "max-studies", "max-webhooks", "media-type", "method",
    "no-best", "no-file", "no-key", "not-found", "not-json", "rate-limited", "scope", "too-large", "unavailable",
    "watchers", "webhook-address",
]  # fmt: skip
BY_STATUS: dict[int, Kind] = {  # where nothing narrower is said
    400: "bad-request", 401: "no-key", 403: "scope", 404: "not-found", 405: "method", 413: "too-large",
    415: "media-type", 422: "invalid", 500: "internal", 503: "unavailable", 507: "disk-full",
}  # fmt: skip


class FieldError(BaseModel):
    """One thing wrong with one field."""

    field: str = Field(description="where, e.g. activations[0].sigma_a.low")
    value: str | None = Field(description="what was received, as text, cut after 200 characters")
    message: str = Field(description="what is wrong with it")


class ProblemBody(BaseModel):
    """RFC 9457 problem details. ``detail`` is a sentence for people."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="what kind of problem it is, the same for ever: urn:vi3nr:problem:...")
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class Problem(Exception):  # noqa: N818 -- RFC 9457 calls it so
    """An error that knows its status and its sentence. Raised anywhere in a request, answered as a
    problem.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        kind: Kind | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, tuple(errors), headers
        self.kind: Kind = kind or BY_STATUS[status]

    @classmethod
    def of_field(
        cls,
        field: str,
        value: Any,
        message: str,
        status: int = 422,
        *,
        headers: Mapping[str, str] | None = None,
        kind: Kind | None = None,
    ) -> Problem:
        """A problem with one field."""
        error = FieldError(field=field, value=shown(value), message=message)
        return cls(status, _sentence(error), [error], headers, kind)

    @classmethod
    def of_fields(cls, errors: Sequence[FieldError], status: int = 422) -> Problem:
        """A problem with several fields; the detail tells all of them."""
        return cls(status, "; ".join(_sentence(error) for error in errors), errors)


def busy(sentence: str) -> Problem:
    """503: it may succeed soon."""
    return Problem(503, f"{sentence}; try again", headers={"Retry-After": "5"})


def shown(value: Any) -> str:
    """A received value as text that any encoding can carry, without its secrets."""
    text = ascii(_without_secrets(value))
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: HIDDEN if key == SECRET else _without_secrets(inner) for key, inner in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


def _sentence(error: FieldError) -> str:
    got = "" if error.value is None else f", got {error.value}"
    return f"{error.field}: {error.message}{got}"


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of the problems that an endpoint can answer with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
