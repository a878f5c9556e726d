"""What the service's processes do after their settings are read: the API, a runner, the dashboard.

Each is one command (``vi3nr api | runner | dashboard``), for the embedded supervisor and for a deployment alike.
Imports are inside: the API must load neither torch nor ray.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from service.allocator import hand_memory_back
from service.binding import check_binding, check_listener, listen, prompt
from service.lifeline import end_with_parent
from service.logs import set_up
from service.settings import Settings
from service.stopping import ended_within, process_ends_within, stopped_by_signals

if TYPE_CHECKING:
    import uvicorn

    from service.store import Store
    from service.watching import Watchers
    from workers.pool_ray import RayPool

__all__ = ["await_database", "ending_server", "open_pool", "run_api", "run_dashboard", "run_runner"]

LAST_SECONDS = 3.0  # for the API's end after its requests: what reads files and learns surfaces
DATABASE_SECONDS = 1.0  # between two looks at a database that is not ready


def run_api(settings: Settings, host: str, port: int, fd: int | None) -> None:
    """Serve HTTP until SIGTERM."""
    hand_memory_back()  # before anything that it imports takes some
    end_with_parent()
    _check(settings, host, fd)
    listener = listen(host, port) if fd is None else prompt(socket.socket(fileno=fd))  # first: a taken port is told
    import uvicorn

    from service.app import create_app

    set_up(settings.log_format)
    app = create_app(settings)
    config = uvicorn.Config(
        app, log_level="info", access_log=False, log_config=None, server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
    )  # fmt: skip

    ending = threading.Event()
    process_ends_within(ending, settings.drain_seconds + LAST_SECONDS)  # the interpreter's end waits for threads
    ending_server(config, app.state.rooms.watchers, ending).run([listener])


def ending_server(config: uvicorn.Config, watchers: Watchers, ending: threading.Event) -> uvicorn.Server:
    """A server that tells streams and waits to end when it is asked to: they would hold up its end. ``ending`` is set
    when that has begun.
    """
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            watchers.closing = True
            super().handle_exit(sig, frame)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            ending.set()  # not in a signal's handler, which may come amid this event's own lock
            await super().shutdown(sockets)

    return Server(config)


def run_runner(settings: Settings) -> None:
    """Work on studies until SIGTERM; give back what is held, within ``drain_seconds``."""
    with stopped_by_signals() as stop, ended_within(stop, settings.drain_seconds):
        end_with_parent()
        set_up(settings.log_format)

        from service.blobs import BlobStore
        from service.database import make_engine
        from service.runner import Runner
        from service.runner_figures import Board, Figures
        from service.store import Store
        from workers.engine import Engine
        from workers.gauge import MeasuredPool
        from workers.storage import open_storage

        database = make_engine(settings.url)
        store = Store(database)
        if not await_database(store, stop):
            return
        pool = MeasuredPool(open_pool(settings))
        name = f"{socket.gethostname()}:{os.getpid()}"
        try:
            runner = Runner(
                store, BlobStore(settings.blob_place), Engine(pool, open_storage(settings.url)),
                owner=name, lease_seconds=settings.lease_seconds, capacity=settings.studies_at_once,
                figures=Figures(Board(database), name, pool.figures),
            )  # fmt: skip
            runner.run(stop, beat=partial(_beat, settings.beat_file))
        finally:
            pool.close()
            database.dispose()


def await_database(store: Store, stop: threading.Event) -> bool:
    """Wait until the store can be used; False if ``stop`` is set before."""
    from sqlalchemy.exc import OperationalError

    told = None
    while not stop.is_set():
        try:
            reason = store.unready()
        except OperationalError as error:
            reason = f"the database cannot be reached: {error.orig}"
        if reason is None:
            return True
        if reason != told:
            logging.getLogger(__name__).warning("waiting: %s", reason)
        told = reason
        stop.wait(DATABASE_SECONDS)
    return False


def open_pool(settings: Settings) -> RayPool:
    """The trainers that the settings name: a cluster's, or those of a local Ray that ends with this process."""
    from workers.pool_ray import RayPool, torch_trainer

    player = partial(torch_trainer, gpu_memory=settings.gpu_memory_bytes)
    return RayPool(
        settings.ray_address or None, gpu_slots=settings.gpu_slots, node_ip=settings.ray_node_ip or None, player=player
    )


def _beat(file: Path | None) -> None:
    """Show that the runner works."""
    if file is not None:
        file.touch()


def run_dashboard(settings: Settings, host: str, port: int, fd: int | None) -> None:
    """Serve the read-only Optuna dashboard until SIGTERM."""
    end_with_parent()
    from service.dashboard import serve_dashboard

    _check(settings, host, fd)
    set_up(settings.log_format)
    listener = listen(host, port) if fd is None else prompt(socket.socket(fileno=fd))
    serve_dashboard(settings, listener)


def _check(settings: Settings, host: str, fd: int | None) -> None:
    """Raises UnguardedError where others could ask without a key."""
    if fd is None:
        check_binding(settings, host)
    else:
        with socket.socket(fileno=os.dup(fd)) as listener:
            check_listener(settings, listener)
