"""``/v1/studies/{id}/export``: the answer in the forms that people load."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.callers import Reader
from service.export_forms import Form
from service.exports import export_study
from service.problems import documented
from service.rooms import RoomsOf
from service.study_queries import visible_study

__all__ = ["router"]

router = APIRouter(prefix="/v1/studies", tags=["studies"])
CONTENT = {
    form.media_type: {"schema": {"type": "object"} if form is Form.JSON else {"type": "string", "format": "binary"}}
    for form in Form
}


@router.get(
    "/{study_id}/export",
    summary="The answer as a file to load",
    response_class=Response,
    responses={200: {"description": "the file", "content": CONTENT}, **documented(404, 409, 422)},
)
def export(
    rooms: RoomsOf,
    caller: Reader,
    study_id: str,
    format: Annotated[
        Form,
        Query(description="the init config; a PyTorch script that draws its network; the trained weights; as siren's"),
    ] = Form.JSON,
    family: Annotated[str | None, Query(max_length=64, description="left out: the best one")] = None,
    arm: Annotated[str | None, Query(max_length=255, description="left out: the family's winner")] = None,
) -> Response:
    """``json``: what ``InitConfig.from_url`` of this address reads. ``pytorch``: Python source that needs PyTorch
    alone. ``safetensors``: the weights after the confirmation, under the names of ``vi3nr.INR``, with the config in
    the file's metadata; ``siren``: the same for modules that compute ``sin(omega_0 * linear(x))``. 409 until the study
    is completed.
    """
    study = visible_study(rooms, caller, study_id)
    made = export_study(rooms.store, rooms.blobs, study, format, family, arm)
    disposition = "inline" if format is Form.JSON else "attachment"
    headers = {
        "Content-Disposition": f'{disposition}; filename="{made.name}"',
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(made.data, media_type=made.media_type, headers=headers)
