"""``/v1/activations`` and ``/v1/init``: what the library knows without training anything."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.answers import Activations, activation_answer
from service.inits import init_of
from service.problems import documented
from service.rooms import RoomsOf
from service.schemas import InitRequest
from vi3nr.activations import families
from vi3nr.config import InitConfig

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["theory"])


@router.get("/activations", summary="List activation families", response_model=Activations)
def list_activations() -> Activations:
    """Formula, parameters, customary values, default ranges, and which moments have a closed form."""
    return Activations(items=[activation_answer(family) for family in families().values()])


@router.post(
    "/init",
    summary="An init config without a study",
    response_model=InitConfig,
    responses=documented(400, 413, 415, 422),
)
def make_init(rooms: RoomsOf, request: InitRequest) -> Response:
    """The VI3NR initialisation of a network for a given ``sigma_p``, or for the theory's own.

    Where the theory has no stable ``sigma_p``, it is ``sigma_a`` with the stability bias; ``stability.kind``
    tells.
    """
    # The config's own JSON, which shows omega beside sigma_a.
    return Response(init_of(request, rooms.settings).to_json(), media_type="application/json")
