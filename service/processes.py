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
from service.binding import check_binding, check_listener
from service.lifeline import end_with_parent
from service.logs import set_up
from service.settings import Settings
from service.stopping import ended_within, stopped_by_signals

if TYPE_CHECKING:
    from service.store import Store
    from workers.pool_ray import RayPool

__all__ = ["await_database", "open_pool", "run_api", "run_dashboard", "run_runner"]

DATABASE_SECONDS = 1.0  # between two looks at a database that is not ready


def run_api(settings: Settings, host: str, port: int, fd: int | None) -> None:
    """Serve HTTP until SIGTERM."""
    hand_memory_back()  # before anything that it imports takes some
    import uvicorn

    from service.app import create_app

    end_with_parent()
    _check(settings, host, fd)
    set_up(settings.log_format)
    app = create_app(settings)
    config = uvicorn.Config(
        app, host=host, port=port, fd=fd, log_level="info", access_log=False, log_config=None, server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
    )  # fmt: skip

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.state.rooms.watchers.closing.set()  # streams and waits would hold up the end
            super().handle_exit(sig, frame)

    Server(config).run()


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
            runner.run(stop, partial(_beat, settings.beat_file))
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


def _beat(file: Path | None) -> bool:
    """Show that the runner works; it has no reason to stop."""
    if file is not None:
        file.touch()
    return False


def run_dashboard(settings: Settings, host: str, port: int, fd: int | None) -> None:
    """Serve the read-only Optuna dashboard until SIGTERM."""
    end_with_parent()
    from service.dashboard import serve_dashboard

    _check(settings, host, fd)
    set_up(settings.log_format)
    listener = socket.create_server((host, port)) if fd is None else socket.socket(fileno=fd)
    serve_dashboard(settings, listener)


def _check(settings: Settings, host: str, fd: int | None) -> None:
    """Raises UnguardedError where others could ask without a key."""
    if fd is None:
        check_binding(settings, host)
    else:
        with socket.socket(fileno=os.dup(fd)) as listener:
            check_listener(settings, listener)
