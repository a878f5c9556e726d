"""``/healthz`` and ``/readyz``, for whoever supervises the process."""

from __future__ import annotations

from fastapi import APIRouter

from service.answers import Health
from service.problems import Problem, documented
from service.rooms import RoomsOf

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive?", response_model=Health)
def healthz() -> Health:
    """It is, if it answers."""
    return Health()


@router.get("/readyz", summary="Can requests be served?", response_model=Health, responses=documented(503))
def readyz(rooms: RoomsOf) -> Health:
    """The database can be reached and has the schema that this version needs."""
    reason = rooms.store.unready()
    if reason is not None:
        raise Problem(503, reason)
    return Health(status="ready")
