"""``/v1/studies/{id}/reconstruction``: what the trained networks of a study make of its signal, as files."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.answer_memory import Answer
from service.callers import Reader
from service.give_back import FORMATS, Format, Made, NothingToShowError
from service.keepsakes import unpack
from service.problems import Problem, documented
from service.records import Dataset, StoredSignal, Study
from service.rooms import Rooms, RoomsOf
from service.study_queries import visible_study
from vi3nr.signals import Signal
from workers.exhibits import Exhibit
from workers.result import StudyResult

__all__ = ["router"]

router = APIRouter(prefix="/v1/studies", tags=["studies"])
GONE = "what the networks made of the signal is no longer kept"
MEDIA = {
    one.media_type: {"schema": {"type": "string", "format": "binary"}} for of in FORMATS.values() for one in of.values()
}


@router.get(
    "/{study_id}/reconstruction",
    summary="The signal as a trained network gives it back",
    response_class=Response,
    responses={200: {"description": "the file", "content": MEDIA}, **documented(404, 409, 422)},
)
def show_reconstruction(
    rooms: RoomsOf,
    caller: Reader,
    study_id: str,
    family: Annotated[str | None, Query(max_length=64, description="left out: the best one")] = None,
    arm: Annotated[str | None, Query(max_length=255, description="left out: the family's winner")] = None,
    format: Annotated[
        str | None,
        Query(max_length=8, description="image: png, npy; sound: wav, npy; array: png, npy; shape: png, ply"),
    ] = None,
    signal: Annotated[int, Query(description="of several: its place in the dataset, from 0")] = 0,
) -> Response:
    """After a confirmation run. An image: a PNG, the original to the left; a sound: a WAV at its own rate; an array: a
    PNG of a slice beside the original one, or an NPY in the upload's own units. A shape: a PNG of its surface beside
    the original one, or the mesh as a PLY, by marching cubes. Of a grid of more points than are kept every second
    (third, ...) point along each axis is given, as the report shows it.
    """
    study = visible_study(rooms, caller, study_id)
    dataset = rooms.store.dataset(study.dataset_id)
    if dataset is None:
        raise Problem(409, GONE, kind="gone")
    forms = FORMATS.get(dataset.kind, {})
    if not forms:
        raise Problem(409, f"signals of the kind {dataset.kind} are not given back as files", kind="no-file")
    if format is not None and format not in forms:
        raise Problem.of_field("format", format, f"of the kind {dataset.kind} there are {', '.join(forms)}")
    _check_signal(signal, dataset)
    form = forms[format or next(iter(forms))]
    place = ("reconstruction", study.id, family, arm, form.suffix, signal)
    answer = rooms.answers.get(place)
    if answer is None:
        result = _result(rooms, study)
        answer = _file(rooms, study, _exhibit(rooms, result, family, arm, signal), form, dataset.signals[signal])
        rooms.answers.keep(place, answer, result.keepsake, dataset.signals[signal].blob_key)
    return Response(answer.content, media_type=form.media_type, headers=answer.headers)


def _file(rooms: Rooms, study: Study, exhibit: Exhibit, form: Format, stored: StoredSignal) -> Answer:
    """The file. Raises Problem: 409 where the signal is gone, or there is no surface."""
    try:
        original = Signal.from_bytes(rooms.blobs.get(stored.blob_key))
    except KeyError:
        raise Problem(409, GONE, kind="gone") from None
    try:
        data = form.write(Made.of(original, exhibit.values, exhibit.stride, stored.meta, exhibit.distances))
    except NothingToShowError as error:
        raise Problem(409, str(error), kind="no-file") from None
    which = f" signal {exhibit.signal}" if exhibit.signal else ""
    name = re.sub("[^A-Za-z0-9.]+", "_", f"{study.id} {exhibit.arm}{which}")[:100]
    disposition = f'inline; filename="{name}.{form.suffix}"'
    return Answer(data, {"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff"})


def _check_signal(signal: int, dataset: Dataset) -> None:
    last = len(dataset.signals) - 1
    if not 0 <= signal <= last:
        told = f"the dataset has the signals 0 to {last}" if last else "the dataset has one signal, 0"
        raise Problem.of_field("signal", signal, told)


def _result(rooms: Rooms, study: Study) -> StudyResult:
    result = rooms.store.result(study.id)
    if result is None:
        raise Problem(409, f"the study is {study.state.value}: nothing is given back yet", kind="no-best")
    return result


def _exhibit(rooms: Rooms, result: StudyResult, family: str | None, arm: str | None, signal: int) -> Exhibit:
    """The network that is asked for. Raises Problem: 409 where none is kept, 422 where there is no such one."""
    try:
        kept = () if result.keepsake is None else unpack(rooms.blobs.get(result.keepsake)).exhibits
    except KeyError:
        kept = ()
    if not kept:
        raise Problem(409, GONE, kind="gone")
    names = [one.family for one in result.families]
    family = names[0] if family is None else family
    if family not in names:
        raise Problem.of_field("family", family, f"the study has {', '.join(names)}")
    ours = [one for one in kept if one.family == family]
    arm = result.families[names.index(family)].winner.name if arm is None else arm
    if arm not in {one.arm for one in ours}:
        known = ", ".join(dict.fromkeys(one.arm for one in ours)) or "none"
        raise Problem.of_field("arm", arm, f"of this family there are kept: {known}")
    signals = {one.signal: one for one in ours if one.arm == arm}
    if signal not in signals:
        known = ", ".join(map(str, sorted(signals)))
        raise Problem(409, f"of signal {signal} nothing is kept; kept are the signals {known}", kind="gone")
    return signals[signal]
