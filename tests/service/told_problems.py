"""Answers that tell a problem, checked for their form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.problems import ProblemBody

Encode = Callable[..., bytes]


def problem(answer: Any, status: int) -> ProblemBody:
    """The answer as a problem, checked for its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = ProblemBody.model_validate(answer.json())
    assert body.status == status
    assert body.detail
    return body
