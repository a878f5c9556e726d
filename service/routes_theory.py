"""``/v1/activations``, ``/v1/theory`` and ``/v1/init``: what the library knows without training anything."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.answers_activations import Activations, activation_answer
from service.callers import Asker, Caller, Reader
from service.inits import init_of
from service.problems import Problem, documented
from service.rooms import Rooms, RoomsOf
from service.routes_datasets import find_dataset
from service.schemas_theory import InitRequest, TheoryRequest
from service.theories import TheoryAnswer, theory_of
from vi3nr.activations import families
from vi3nr.config import InitConfig
from vi3nr.signals import Signal

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["theory"])


@router.get("/activations", summary="List activation families", response_model=Activations)
def list_activations(_: Reader) -> Activations:
    """Formula, parameters, customary values, default ranges, and which moments have a closed form."""
    return Activations(items=[activation_answer(family) for family in families().values()])


@router.post("/theory", summary="Moments and stable sigma_p of an activation", responses=documented(400, 413, 415, 422))
def tell_theory(_: Asker, request: TheoryRequest) -> TheoryAnswer:
    """For any family or formula and any ratio of widths: the stable ``sigma_p`` and its kind, and moments, gain,
    condition and stability bias at it or at the ``sigma_p`` that is given. Every name of the scale is taken.
    """
    return theory_of(request)


@router.post(
    "/init",
    summary="An init config without a study",
    response_model=InitConfig,
    responses=documented(400, 409, 413, 415, 422),
)
def make_init(rooms: RoomsOf, caller: Asker, request: InitRequest) -> Response:
    """The VI3NR initialisation of a network for a given ``sigma_p``, or for the theory's own; with a dataset the
    first guess for it: what a search would try first, from the signal's spectrum, without training.

    Where the theory has no stable ``sigma_p``, it is ``sigma_a`` with the stability bias; ``stability.kind``
    tells.
    """
    # The config's own JSON, which shows omega beside sigma_a.
    signals = [] if request.dataset_id is None else _signals(rooms, caller, request.dataset_id)
    return Response(init_of(request, rooms.settings, signals).to_json(), media_type="application/json")


def _signals(rooms: Rooms, caller: Caller, dataset_id: str) -> list[Signal]:
    dataset = find_dataset(rooms, caller, dataset_id)
    if dataset is None:
        raise Problem.of_field("dataset_id", dataset_id, "there is no such dataset")
    try:
        return [Signal.from_bytes(rooms.blobs.get(stored.blob_key)) for stored in dataset.signals]
    except KeyError:
        raise Problem(409, "the dataset's bytes are no longer stored: upload it again", kind="gone") from None
