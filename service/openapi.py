"""What the service says about itself: FastAPI's schema, made true where ours differs."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.problems import ProblemBody, documented

__all__ = ["openapi_of"]


def openapi_of(app: FastAPI, *, with_keys: bool) -> dict[str, Any]:
    """The schema, made once: our problems in the place of FastAPI's own, and keys only where they are asked for."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            tags=app.openapi_tags,
            routes=app.routes,
        )
        components = schema.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for operations in schema["paths"].values():
            for operation in operations.values():
                _drop_foreign_errors(operation)
                _tell_of_keys(operation, with_keys)
        if not with_keys:
            components.pop("securitySchemes", None)
        problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs"))
        schemas["Problem"] = problem
        app.openapi_schema = schema
    return app.openapi_schema


def _drop_foreign_errors(operation: dict[str, Any]) -> None:
    """Remove the 422 that FastAPI adds to every endpoint with a parameter: where there is one, we document it."""
    if "application/json" in operation["responses"].get("422", {}).get("content", {}):
        del operation["responses"]["422"]


def _tell_of_keys(operation: dict[str, Any], with_keys: bool) -> None:
    """What can go wrong with a key, wherever one is asked for; nothing of keys where they are off."""
    if not with_keys:
        operation.pop("security", None)
    elif "security" in operation:
        answers = {str(status): answer for status, answer in documented(401, 403, 429).items()}
        operation["responses"] = {**answers, **operation["responses"]}
