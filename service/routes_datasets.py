"""``/v1/datasets``: files come in, signals are kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, File, Query, Response, UploadFile
from pydantic import TypeAdapter

from service.answers import DatasetAnswer, Datasets, dataset_answer
from service.callers import Caller, Reader, Writer
from service.dataset_form import OptionsForm, known_fields
from service.etags import NOT_MODIFIED, IfNoneMatch, tagged
from service.filters import DatasetFilter
from service.ingest import store_files
from service.problems import Problem, documented
from service.reading.contract import Options
from service.records import Dataset
from service.rooms import (
    Cursor,
    Limit,
    Moment,
    Rooms,
    RoomsOf,
    cursor_problem,
    is_id,
    not_found,
    seconds_of,
)  # fmt: skip

__all__ = ["find_dataset", "router"]

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])
ANSWER = TypeAdapter(DatasetAnswer)


@router.post(
    "",
    status_code=201,
    summary="Store files",
    response_model=DatasetAnswer,
    dependencies=[Depends(known_fields)],
    responses={
        200: {"model": DatasetAnswer, "description": "It was stored before"},
        **documented(400, 413, 415, 422, 429, 503, 507),
    },
)
async def add_dataset(
    rooms: RoomsOf,
    caller: Writer,
    response: Response,
    files: Annotated[
        list[UploadFile], File(description="images, sounds, arrays or shapes of one kind; one signal each")
    ],
    form: Annotated[OptionsForm, Depends()],
) -> DatasetAnswer:
    """Each file becomes a signal: coordinates in [-1, 1] and values in [-1, 1]; the answer says what was done to it.

    A study of several signals searches one config for all of them; their order counts, for the last ones can be held
    out. The same files with the same options are stored once. Images: PNG, JPEG, WebP, TIFF; transparent parts are
    laid over white, of several frames the first is taken. Sound: WAV, FLAC, OGG; of a long one the loudest part is
    taken. Arrays: NPY, NPZ, their axes named in ``axes``. Shapes: OBJ, PLY, STL, OFF, watertight. What has more than
    ``max_points`` points is made smaller.
    """
    settings, options = rooms.settings, form.options
    if len(files) > settings.max_signals:
        raise Problem.of_field("files", f"{len(files)} files", f"must be at most {settings.max_signals}")
    if options.max_points > settings.max_points:
        raise Problem.of_field("max_points", options.max_points, f"must be at most {settings.max_points}")
    dataset, known = await rooms.uploads.take(partial(_store, rooms, files, options, caller.owner))
    response.headers["Location"] = f"/v1/datasets/{dataset.id}"
    if known:
        response.status_code = 200
    return dataset_answer(dataset)


def _store(rooms: Rooms, files: Sequence[UploadFile], options: Options, owner: str) -> tuple[Dataset, bool]:
    uploads = [_upload(file, rooms.settings.max_upload_bytes) for file in files]
    return store_files(rooms.store, rooms.blobs, rooms.reader, uploads, options, owner, rooms.settings.max_datasets)


def _upload(file: UploadFile, most: int) -> tuple[str, bytes]:
    """Name and bytes of an upload."""
    name, data = _shown_name(file.filename), file.file.read(most + 1)
    if len(data) > most:
        raise Problem.of_field("files", name, f"has more than {most} bytes", 413)
    return name, data


def _shown_name(filename: str | None) -> str:
    """What to call the upload: the last part of its name, printable; it is shown and is never a path."""
    last = (filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:255] or "file"


@router.get("", summary="List datasets", response_model=Datasets, responses=documented(422))
def list_datasets(
    rooms: RoomsOf,
    caller: Reader,
    limit: Limit = 50,
    cursor: Cursor = None,
    kind: Annotated[str | None, Query(max_length=32, description="only of this kind")] = None,
    created_after: Moment = None,
    created_before: Moment = None,
) -> Datasets:
    """Newest first."""
    wanted = DatasetFilter(caller.listed, kind, seconds_of(created_after), seconds_of(created_before))
    with cursor_problem(cursor):
        page = rooms.store.datasets(limit, cursor, wanted)
    return Datasets(items=[dataset_answer(dataset) for dataset in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{dataset_id}",
    summary="Show a dataset",
    response_model=DatasetAnswer,
    responses={**NOT_MODIFIED, **documented(404, 422)},
)
def show_dataset(rooms: RoomsOf, caller: Reader, dataset_id: str, if_none_match: IfNoneMatch = None) -> Response:
    """One dataset."""
    return tagged(ANSWER, dataset_answer(_visible(rooms, caller, dataset_id)), if_none_match)


@router.delete("/{dataset_id}", status_code=204, summary="Delete a dataset", responses=documented(404, 409))
def delete_dataset(rooms: RoomsOf, caller: Writer, dataset_id: str) -> None:
    """With its bytes. While there are studies of it: 409."""
    dataset = _visible(rooms, caller, dataset_id)
    outcome = rooms.store.delete_dataset(dataset.id)
    if outcome == "used":
        raise Problem(409, "there are studies of this dataset: delete them first", kind="in-use")
    if outcome == "unknown":
        raise not_found("dataset", dataset_id)
    rooms.store.forget_signals([signal.blob_key for signal in dataset.signals], rooms.blobs.remove)


def _visible(rooms: Rooms, caller: Caller, dataset_id: str) -> Dataset:
    dataset = find_dataset(rooms, caller, dataset_id)
    if dataset is None:
        raise not_found("dataset", dataset_id)
    return dataset


def find_dataset(rooms: Rooms, caller: Caller, dataset_id: str) -> Dataset | None:
    """The dataset, None if there is none that the caller may see."""
    dataset = rooms.store.dataset(dataset_id) if is_id(dataset_id) else None
    return dataset if dataset is not None and caller.sees(dataset.owner) else None
