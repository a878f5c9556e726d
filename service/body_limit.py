"""Bodies have a size limit, checked before and while they are read; too large a body is answered as a
problem.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problem_answers import problem_response
from service.problems import FieldError

__all__ = ["BodyLimit"]


class BodyLimit:
    """ASGI middleware. ``limits`` maps a path to its bytes, every other path has ``otherwise``."""

    def __init__(self, app: ASGIApp, limits: dict[str, int], otherwise: int) -> None:
        self._app, self._limits, self._otherwise = app, limits, otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 -- ASGI
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.get(scope["path"], self._otherwise)
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced[:18]) > limit:
            error = BodyTooLargeError(limit, f"{announced[:18]} bytes")
            answer = problem_response(413, error.detail, error.errors, {"Connection": "close"})
            await answer(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise BodyTooLargeError(limit, f"more than {limit} bytes")
            return message

        await self._app(scope, counted, send)


class BodyTooLargeError(HTTPException):
    """A body is too long, or one that announced no length, or a false one, went on for too long.

    FastAPI lets an HTTPException pass while it reads a body, and no other.
    """

    def __init__(self, limit: int, found: str) -> None:
        message = f"is too large: {limit} bytes are allowed here"
        super().__init__(413, f"the body {message}")
        self.errors = (FieldError(field="body", value=found, message=message),)
