"""Pages for people: the start page, and the report of a study."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from service.callers import Reader
from service.pages import report, start
from service.pages.assets import policy
from service.problems import documented
from service.rooms import RoomsOf
from service.study_queries import visible_study

__all__ = ["router"]

router = APIRouter(tags=["pages"])


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def show_start(rooms: RoomsOf, _: Reader) -> HTMLResponse:
    """Upload a file, choose families, start a study, watch it, open its report."""
    return _page(start.start_page(rooms.settings), start.SCRIPT)


@router.get(
    "/v1/studies/{study_id}/report",
    summary="The report of a study",
    response_class=HTMLResponse,
    responses=documented(404, 422),
)
def show_report(
    rooms: RoomsOf,
    caller: Reader,
    study_id: str,
    live: Annotated[bool, Query(description="false: a page to keep as a file, which asks nobody")] = True,
) -> HTMLResponse:
    """One page without network: the answer, what the search has learned, the confirmation, and how it was run.

    While the study runs the page shows its progress and the best so far, and follows it.
    """
    return _page(rooms.reports.page(visible_study(rooms, caller, study_id), live=live), report.SCRIPT)


def _page(html: str | bytes, script: str) -> HTMLResponse:
    headers = {
        "Content-Security-Policy": policy(script, served=True),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(html, headers=headers)
