"""What the service's processes do after their settings are read: the API, a runner, the dashboard.

Each is one command (``vi3nr api | runner | dashboard``), for the embedded supervisor and for a deployment alike.
Imports are inside: the API must load neither torch nor ray.
"""

from __future__ import annotations

import logging
import os
import socket
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from service.binding import check_binding, check_listener
from service.lifeline import end_with_parent
from service.settings import Settings
from service.stopping import stopped_by_signals

if TYPE_CHECKING:
    from workers.pool_ray import RayPool

DRAIN_SECONDS = 10  # for requests that are being answered when the API is asked to end
__all__ = ["open_pool", "run_api", "run_dashboard", "run_runner"]


def run_api(settings: Settings, host: str, port: int, fd: int | None) -> None:
    """Serve HTTP until SIGTERM."""
    import uvicorn

    from service.app import create_app

    end_with_parent()
    _log()
    _check(settings, host, fd)
    app = create_app(settings)
    config = uvicorn.Config(
        app, host=host, port=port, fd=fd, log_level="info", access_log=False, log_config=None, server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )  # fmt: skip

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.state.rooms.watchers.closing.set()  # streams and waits would hold up the end
            super().handle_exit(sig, frame)

    Server(config).run()


def run_runner(settings: Settings) -> None:
    """Work on studies until SIGTERM; give back what is held."""
    with stopped_by_signals() as stop:
        end_with_parent()
        _log()

        from service.blobs import BlobStore
        from service.database import make_engine
        from service.runner import Runner
        from service.store import Store
        from workers.engine import Engine
        from workers.storage import open_storage

        database = make_engine(settings.url)
        pool = open_pool(settings)
        try:
            runner = Runner(
                Store(database), BlobStore(settings.blob_dir), Engine(pool, open_storage(settings.url)),
                owner=f"{socket.gethostname()}:{os.getpid()}",
                lease_seconds=settings.lease_seconds, capacity=settings.studies_at_once,
            )  # fmt: skip
            runner.run(stop)
        finally:
            pool.close()
            database.dispose()


def open_pool(settings: Settings) -> RayPool:
    """The trainers that the settings name: a cluster's, or those of a local Ray that ends with this process."""
    from workers.pool_ray import RayPool, torch_trainer

    player = partial(torch_trainer, gpu_memory=settings.gpu_memory_bytes)
    return RayPool(settings.ray_address or None, gpu_slots=settings.gpu_slots, player=player)


def run_dashboard(settings: Settings, host: str, port: int, fd: int | None) -> None:
    """Serve the read-only Optuna dashboard until SIGTERM."""
    end_with_parent()
    from service.dashboard import serve_dashboard

    _check(settings, host, fd)
    listener = socket.create_server((host, port)) if fd is None else socket.socket(fileno=fd)
    serve_dashboard(settings, listener)


def _check(settings: Settings, host: str, fd: int | None) -> None:
    """Raises UnguardedError where others could ask without a key."""
    if fd is None:
        check_binding(settings, host)
    else:
        with socket.socket(fileno=os.dup(fd)) as listener:
            check_listener(settings, listener)


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
