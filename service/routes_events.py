"""A study while it runs: how it stands, with a wait for it to change, and as a stream of events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from service.answers import StudyAnswer, study_answer
from service.callers import Reader
from service.etags import NOT_MODIFIED, IfNoneMatch, digest, matches, tagged
from service.problems import Problem, documented
from service.records import Study
from service.rooms import RoomsOf
from service.states import FINISHED
from service.study_queries import visible_study
from service.watching import study_events, wait_for_change

__all__ = ["router"]

router = APIRouter(prefix="/v1/studies", tags=["studies"])
ANSWER = TypeAdapter(StudyAnswer)
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`progress` events, then one `finished`; each has the study as JSON, and an id to resume from",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The study has ended, and the client has its last event"},
}


async def _held() -> AsyncIterator[ExitStack]:
    """What a request holds until its answer has been sent, or will not be."""
    with ExitStack() as held:
        yield held


Held = Annotated[ExitStack, Depends(_held, scope="request")]


def _content(study: Study) -> bytes:
    return ANSWER.dump_json(study_answer(study))


@router.get(
    "/{study_id}",
    summary="Show a study",
    response_model=StudyAnswer,
    responses={**NOT_MODIFIED, **documented(404, 422, 429)},
)
async def show_study(
    rooms: RoomsOf,
    caller: Reader,
    study_id: str,
    wait: Annotated[float | None, Query(ge=0, allow_inf_nan=False, description="seconds to wait for a change")] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """How it stands: state, progress, the best trial so far, an estimate of the time left.

    With ``wait`` the answer comes when the study is no longer as ``If-None-Match`` has it, without that header when it
    has ended, and at the latest after so many seconds.
    """
    settings = rooms.settings
    study: Study | None = await run_in_threadpool(visible_study, rooms, caller, study_id)
    if wait is not None and wait > settings.max_wait_seconds:
        raise Problem.of_field("wait", wait, f"must be at most {settings.max_wait_seconds:g}")

    def seen(found: Study) -> bool:
        return if_none_match is None or matches(if_none_match, digest(_content(found)))

    if wait and study is not None and study.state not in FINISHED and seen(study):
        with rooms.watchers.counted(caller.owner):
            look = partial(rooms.store.study, study_id)
            study = await wait_for_change(look, seen, wait, settings.watch_seconds, rooms.watchers)
    if study is None:
        raise Problem(404, f"the study {study_id!r} was deleted")
    headers = {} if study.state in FINISHED else {"Retry-After": str(settings.retry_after_seconds)}
    return tagged(ANSWER, study_answer(study), if_none_match, headers)


@router.get(
    "/{study_id}/events",
    summary="Follow a study",
    response_class=StreamingResponse,
    responses={**STREAM, **documented(404, 422, 429)},
)
async def follow_study(
    rooms: RoomsOf,
    caller: Reader,
    held: Held,
    study_id: str,
    last_event_id: Annotated[str | None, Header(max_length=100, description="id of the last event that came")] = None,
) -> Response:
    """Server-sent events: the study as it stands, again whenever that changes, until it has ended.

    A client that was cut off sends ``Last-Event-ID`` and gets what has changed since; 204 if nothing more will come.
    """
    study = await run_in_threadpool(visible_study, rooms, caller, study_id)
    if study.state in FINISHED and digest(_content(study)) == last_event_id:
        return Response(status_code=204)
    held.enter_context(rooms.watchers.counted(caller.owner))
    look = partial(rooms.store.study, study_id)
    events = study_events(look, _content, last_event_id, rooms.settings.watch_seconds, rooms.watchers)
    return EventSourceResponse(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
