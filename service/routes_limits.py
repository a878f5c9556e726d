"""``/v1/limits``: what requests must keep to, so that a client can ask before it is refused."""

from __future__ import annotations

from fastapi import APIRouter

from service.answers_limits import Limits
from service.callers import Reader
from service.problems import documented
from service.rooms import RoomsOf
from service.schemas import MOST_FAMILIES

__all__ = ["router"]

router = APIRouter(prefix="/v1/limits", tags=["limits"])


@router.get("", summary="What requests must keep to", response_model=Limits, responses=documented())
def show_limits(rooms: RoomsOf, caller: Reader) -> Limits:
    """The settings of this deployment, and of the key that asks."""
    own = {
        "max_families": MOST_FAMILIES,
        "max_queued": caller.max_queued,
        "max_studies": caller.max_studies,
        "requests_per_minute": caller.per_minute,
    }
    settings = rooms.settings.model_dump(include=Limits.model_fields.keys() - own.keys())
    return Limits(**settings, **own)
