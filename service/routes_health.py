"""``/healthz`` and ``/readyz``, for whoever supervises the process."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest

from service.answers import Health, Ready
from service.callers import Admin
from service.metrics import Metrics
from service.problems import Problem, documented
from service.rooms import RoomsOf

__all__ = ["router"]

LEAST_FREE = 50_000_000  # bytes on the disk of the data

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive?", response_model=Health)
async def healthz() -> Health:
    """It is, if it answers; that takes no thread, of which all may be busy."""
    return Health()


@router.get("/readyz", summary="Can requests be served?", response_model=Ready, responses=documented(503))
def readyz(rooms: RoomsOf) -> Ready:
    """The database can be reached and has the schema that this version needs, and there is room for uploads: else 503,
    with what is missing. ``missing`` names what holds studies up and requests do not.
    """
    reasons = [reason for reason in (rooms.store.unready(), _room_missing(rooms.settings.blob_place)) if reason]
    if reasons:
        raise Problem(503, "; ".join(reasons), headers={"Retry-After": "5"})
    missing = [] if rooms.board.runners() else ["no runner was seen in the last minute: studies wait"]
    return Ready(missing=missing)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def show_metrics(request: Request, _: Admin) -> Response:
    """Requests of this process; queue, trials, and the runners' slots and segments from the database."""
    metrics: Metrics = request.app.state.metrics
    return Response(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")


def _room_missing(folder: Path | str) -> str | None:
    """Why nothing can be uploaded. What an object store has room for is its own matter."""
    if isinstance(folder, str):
        return None
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK):
        return f"the folder {there} cannot be written"
    free = shutil.disk_usage(there).free
    return f"the disk of {there} has {free} bytes left" if free < LEAST_FREE else None
