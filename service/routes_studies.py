"""``/v1/studies``: asked for here, carried out by the runner, answered here. The two meet in the database
alone.
"""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Response
from pydantic import TypeAdapter

from service.answer_memory import Answer
from service.answers import (
    Studies,
    StudyAnswer,
    Trials,
    study_answer,
    trial_answer,
)
from service.asking import ask_study
from service.callers import Caller, Reader, Writer
from service.etags import NOT_MODIFIED, IfNoneMatch, tagged_content
from service.problems import Problem, documented
from service.records import Study
from service.rooms import Cursor, Limit, Rooms, RoomsOf, cursor_problem, not_found
from service.routes_datasets import find_dataset
from service.schemas import StudyRequest
from service.states import StudyState
from service.store_asks import Terms
from service.study_queries import IdempotencyKey, Wanted, asking_problems, no_dataset, terms_of, visible_study
from service.surfaces import SurfaceAnswer, surface_answer
from workers.result import StudyResult

__all__ = ["router"]

router = APIRouter(prefix="/v1/studies", tags=["studies"])
RESULT = TypeAdapter(StudyResult)
NO_BEST = {
    StudyState.QUEUED: "the study waits for a runner: there is no best config yet",
    StudyState.RUNNING: "the study is running: there is no best config yet",
    StudyState.CANCELLING: "the study is being cancelled: it will have no best config",
    StudyState.CANCELLED: "the study was cancelled: it has no best config",
    StudyState.FAILED: "the study failed and has no best config",
}


@router.post(
    "",
    status_code=202,
    summary="Ask for a study",
    response_model=StudyAnswer,
    responses=documented(400, 413, 415, 422, 429)
    | {200: {"model": StudyAnswer, "description": "The same request was made before: its study"}},
)
def add_study(
    rooms: RoomsOf, caller: Writer, request: StudyRequest, response: Response, idempotency_key: IdempotencyKey = None
) -> StudyAnswer:
    """Which initialisation suits a dataset best? The study is queued; ask at Location how it stands.

    Trials are searched with the VI3NR initialisation, one Optuna study a family; the finalists and the usual
    initialisations are then trained with the same fresh seeds. The same request on the same data is answered with
    the study that is there (200), and a like one starts from its trials, unless ``reuse`` is false. The same
    ``Idempotency-Key`` within a day gives the same study (200), so a request may be sent again when no answer came.
    """
    terms = terms_of(caller, request, idempotency_key, rooms.settings)
    with asking_problems(rooms.settings, request, idempotency_key):
        study = rooms.store.replayed_study(terms)
        if study is None:
            study, is_new = _ask(rooms, caller, request, terms)
        else:
            is_new = False
    if not is_new:
        response.status_code = 200
    response.headers["Location"] = f"/v1/studies/{study.id}"
    response.headers["Retry-After"] = str(rooms.settings.retry_after_seconds)
    return study_answer(study)


def _ask(rooms: Rooms, caller: Caller, request: StudyRequest, terms: Terms) -> tuple[Study, bool]:
    """The study of a request, and whether it is a new one."""
    dataset = find_dataset(rooms, caller, request.dataset_id)
    if dataset is None:
        raise no_dataset(request.dataset_id)
    return ask_study(rooms.store, rooms.blobs, rooms.settings, request, dataset, terms)


@router.get("", summary="List studies", response_model=Studies, responses=documented(422))
def list_studies(rooms: RoomsOf, caller: Reader, wanted: Wanted, limit: Limit = 50, cursor: Cursor = None) -> Studies:
    """Newest first."""
    with cursor_problem(cursor):
        page = rooms.store.studies(limit, cursor, replace(wanted, owner=caller.listed))
    return Studies(items=[study_answer(study) for study in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{study_id}/trials", summary="List a study's trials", response_model=Trials, responses=documented(404, 422)
)
def list_trials(rooms: RoomsOf, caller: Reader, study_id: str, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The trials of all its families, in the order in which they were asked for; none before a runner
    began.
    """
    study = visible_study(rooms, caller, study_id)
    with cursor_problem(cursor):
        page = rooms.store.trials(study, limit, cursor)
    found = Trials(items=[trial_answer(trial) for trial in page.items], next_cursor=page.next_cursor)
    content = found.model_dump_json()  # by way of a dict, as FastAPI does it, this takes four times as long
    return Response(content, media_type="application/json")


@router.get(
    "/{study_id}/best",
    summary="The best init config",
    response_model=StudyResult,
    responses={**NOT_MODIFIED, **documented(404, 409, 422)},
)
def show_best(rooms: RoomsOf, caller: Reader, study_id: str, if_none_match: IfNoneMatch = None) -> Response:
    """Families ranked, each with its winner's init config, the score with its interval, and the comparison
    with the usual initialisations over the same seeds. 409 until the study is completed.
    """
    study = visible_study(rooms, caller, study_id)
    if study.state is not StudyState.COMPLETED:
        sentence = NO_BEST[study.state]
        raise Problem(409, f"{sentence}: {study.error}" if study.error else sentence, kind="no-best")
    place = ("best", study_id)
    kept = rooms.answers.get(place)
    if kept is None:
        result = rooms.store.result(study_id)
        if result is None:
            raise not_found("result of study", study_id)
        kept = Answer(RESULT.dump_json(result), {})
        rooms.answers.keep(place, kept)
    return tagged_content(kept.content, if_none_match)


@router.get(
    "/{study_id}/surface",
    summary="The response surface",
    response_model=SurfaceAnswer,
    responses=documented(404),
)
def show_surface(rooms: RoomsOf, caller: Reader, study_id: str) -> SurfaceAnswer:
    """How the score depends on the searched axes, fitted to the trials so far (the newest 400; while the study runs the
    answer may be some seconds old): mean and uncertainty, the width of
    the good basin along each axis and its importance, and the line of the theory's own ``sigma_p``.
    """
    return surface_answer(rooms.surfaces.of, visible_study(rooms, caller, study_id))


@router.post(
    "/{study_id}/cancel",
    status_code=202,
    summary="Cancel a study",
    response_model=StudyAnswer,
    responses=documented(404, 409),
)
def cancel_study(rooms: RoomsOf, caller: Writer, study_id: str) -> StudyAnswer:
    """A queued study ends at once, a running one as soon as its runner notices. Asking again changes
    nothing.
    """
    study = rooms.store.request_cancel(visible_study(rooms, caller, study_id).id)
    if study is None:
        raise not_found("study", study_id)
    if study.state in (StudyState.COMPLETED, StudyState.FAILED):
        raise Problem(409, f"the study is {study.state.value}: there is nothing to cancel", kind="has-ended")
    return study_answer(study)


@router.delete("/{study_id}", status_code=204, summary="Delete a study", responses=documented(404, 409))
def delete_study(rooms: RoomsOf, caller: Writer, study_id: str) -> None:
    """With its trials, runs and answer; what it alone has in the blob store goes too. One that a runner works on has to
    be cancelled first, and one whose trials another study starts from stays until that one has ended: 409.
    """
    study = visible_study(rooms, caller, study_id)
    result = rooms.store.result(study.id)
    outcome = rooms.store.delete_study(study.id)
    if outcome == "unfinished":
        raise Problem(409, "a runner works on the study: cancel it, and delete it when it has ended", kind="in-use")
    if outcome == "needed":
        raise Problem(409, "another study, which has not ended, starts from the trials of this one", kind="in-use")
    if outcome == "unknown":
        raise not_found("study", study_id)
    if result is not None and result.keepsake is not None:
        rooms.store.forget_keepsake(result.keepsake, rooms.blobs.remove)
