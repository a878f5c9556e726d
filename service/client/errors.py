"""What goes wrong between a client and the service."""

from __future__ import annotations

import httpx2
from pydantic import ValidationError

from service.problems import FieldError, ProblemBody

__all__ = ["ApiError", "ServiceError", "UnreachableError"]

SHOWN = 300  # characters of an answer that is no problem document


class ServiceError(Exception):
    """The service did not do what was asked."""


class UnreachableError(ServiceError, ConnectionError):
    """No answer came, or none that could be read."""


class ApiError(ServiceError):
    """The service refused, with a problem (RFC 9457). ``str`` of it is the problem's sentence.

    Attributes:
        status: of HTTP.
        type: the problem's stable name, ``urn:vi3nr:problem:...``; ``about:blank`` where something between answered.
        title, detail: what kind it is, and the sentence for people.
        errors: each field that is wrong, with the value received and what is wrong with it.
        retry_after: seconds after which it may go better, None where the service does not say.
        request_id: finds the request in the service's log.
    """

    def __init__(self, problem: ProblemBody, retry_after: float | None = None, request_id: str | None = None) -> None:
        super().__init__(problem.detail)
        self.status, self.type, self.title, self.detail = problem.status, problem.type, problem.title, problem.detail
        self.errors: tuple[FieldError, ...] = tuple(problem.errors)
        self.retry_after, self.request_id = retry_after, request_id

    @staticmethod
    def of(response: httpx2.Response, retry_after: float | None) -> ApiError:
        """The error that an answer tells which is none of success."""
        try:
            problem = ProblemBody.model_validate_json(response.content)
        except ValidationError:  # a proxy's page, say
            words = " ".join(response.text.split())[:SHOWN]
            status = response.status_code
            title = response.reason_phrase or "an error"
            if elsewhere := response.headers.get("location"):
                words = f"it points to {elsewhere[:SHOWN]!r}, which is not followed"
            problem = ProblemBody(
                type="about:blank", title=title, status=status,
                detail=f"{response.request.url} answered {status} {title}: {words or 'without a word'}",
            )  # fmt: skip
        return ApiError(problem, retry_after, response.headers.get("x-request-id"))
