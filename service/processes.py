"""What the service's processes do after their settings are read: the API, a runner, the dashboard.

Each is one command (``vi3nr api | runner | dashboard``), for the embedded supervisor and for a deployment alike.
Imports are inside: the API must load neither torch nor ray.
"""

from __future__ import annotations

import logging
import os
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from service.lifeline import end_with_parent
from service.settings import Settings
from service.stopping import stopped_by_signals

if TYPE_CHECKING:
    from workers.pool_ray import RayPool

__all__ = ["open_pool", "run_api", "run_dashboard", "run_runner"]


def run_api(settings: Settings, host: str, port: int, fd: int | None) -> None:
    """Serve HTTP until SIGTERM."""
    import uvicorn

    from service.app import create_app

    end_with_parent()
    _log()
    uvicorn.run(create_app(settings), host=host, port=port, fd=fd, log_level="info", access_log=False, log_config=None)


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
            runner.run(stop, partial(_beat, settings.beat_file))
        finally:
            pool.close()
            database.dispose()


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

    listener = socket.create_server((host, port)) if fd is None else socket.socket(fileno=fd)
    serve_dashboard(settings.url, listener)


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
