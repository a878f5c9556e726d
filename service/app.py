"""The API: ``create_app(settings)``. Imports neither torch nor ray nor optuna; nothing happens at import."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from sqlalchemy import Engine

from service import (
    routes_datasets,
    routes_events,
    routes_exports,
    routes_health,
    routes_limits,
    routes_pages,
    routes_reconstructions,
    routes_studies,
    routes_theory,
)
from service.answer_memory import AnswerMemory
from service.blobs import BlobStore
from service.body_limit import BodyLimit
from service.callers import KeyGuard
from service.database import make_engine
from service.keys import KeyRing
from service.metrics import Metrics
from service.openapi import openapi_of
from service.outbox import Outbox
from service.pages.memory import ReportMemory
from service.problem_answers import add_problem_handlers
from service.reader import Reader
from service.request_log import RequestLog
from service.rooms import Rooms
from service.runner_figures import Board
from service.security_headers import SecurityHeaders
from service.settings import Settings
from service.store import Store
from service.surface_memory import SurfaceMemory
from service.surfaces import learn
from service.watching import Watchers
from service.webhooks import Postman

__all__ = ["create_app"]

FORM_OVERHEAD = 65_536  # bytes of a multipart body that are not the file
DESCRIPTION = """\
Finds the initialisation of an implicit neural representation that suits your data: upload an image, ask for a
study, load the best init config in three lines of PyTorch. Errors are RFC 9457 problems.
"""
TAGS = [
    {"name": "datasets", "description": "Signals to fit."},
    {"name": "studies", "description": "Searches for the best init config, and their answers."},
    {"name": "theory", "description": "What is known without training."},
    {"name": "limits", "description": "What requests must keep to."},
    {"name": "health", "description": "For supervisors."},
]


def _rooms(settings: Settings, engine: Engine, reader: Reader) -> Rooms:
    store, blobs = Store(engine), BlobStore(settings.blob_place)
    surfaces = SurfaceMemory(partial(learn, store))
    answers = AnswerMemory(blobs)
    return Rooms(
        settings, store, blobs, reader, KeyRing(engine), Board(engine), Watchers(settings.max_watchers), surfaces,
        ReportMemory(store, blobs, surfaces.of, settings.retry_after_seconds, answers), answers,
    )  # fmt: skip


def create_app(settings: Settings) -> FastAPI:
    """The application over the database and blobs of ``settings``. The schema is somebody else's to
    upgrade.
    """
    engine = make_engine(settings.url)
    reader = Reader(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        postman = Postman(Outbox(engine), settings)
        postman.start()
        rooms.blobs.tidy()
        yield
        rooms.surfaces.close()
        reader.close()
        postman.stop()
        engine.dispose()

    app = FastAPI(
        title="vi3nr",
        version="1",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
    )
    rooms = _rooms(settings, engine, reader)
    app.state.rooms = rooms
    app.state.metrics = Metrics(rooms.store, rooms.board)
    routers = (
        routes_datasets, routes_studies, routes_events, routes_pages, routes_exports, routes_reconstructions,
        routes_theory, routes_limits, routes_health,
    )  # fmt: skip
    for routes in routers:
        app.include_router(routes.router)
    add_problem_handlers(app)
    uploads = {routes_datasets.router.prefix: settings.max_upload_bytes + FORM_OVERHEAD}
    app.add_middleware(BodyLimit, limits=uploads, otherwise=settings.max_json_bytes)
    app.add_middleware(KeyGuard, rooms=rooms)
    app.add_middleware(RequestLog, metrics=app.state.metrics)
    app.add_middleware(SecurityHeaders)
    app.openapi = lambda: openapi_of(app, with_keys=settings.require_keys)  # type: ignore[method-assign]  # FastAPI's documented way
    return app
