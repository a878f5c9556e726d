"""``vi3nr search``: one study on this machine without a server: the same database, runner and Ray, in this process."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from service.blobs import BlobStore
from service.database import make_engine, upgrade
from service.ingest import store_files
from service.pages.report import write_report
from service.plans import study_plan
from service.processes import open_pool
from service.reader import Reader
from service.reading.contract import Options
from service.records import result_json
from service.render import file_name, print_result, progress_text
from service.runner import Runner
from service.schemas import StudyRequest
from service.settings import Settings
from service.states import FINISHED, StudyState
from service.stopping import stopped_by_signals
from service.store import Store, new_id

__all__ = ["search_file"]


def search_file(
    settings: Settings,
    file: Path,
    max_points: int,
    request: Mapping[str, Any],
    output: Path,
    as_json: bool,
    report: Path | None = None,
) -> None:
    """Search, confirm, print and save; Ctrl-C gives the study back and says how to go on.

    Raises:
        Problem, ValueError: for a request or a file that will not do.
        OSError: for a file that cannot be read.
    """
    console = Console(stderr=as_json)
    data = file.read_bytes()
    database = make_engine(settings.url)
    upgrade(database)
    store, blobs = Store(database), BlobStore(settings.blob_place)
    reader = Reader(settings)
    dataset, _ = store_files(store, blobs, reader, [(file.name, data)], Options(max_points=max_points))
    reader.close()
    for note in dataset.meta["notes"]:
        console.print(f"{file.name}: {note}", style="dim")
    asked = StudyRequest.model_validate({"dataset_id": dataset.id, **request})
    plan, warnings = study_plan(new_id(), asked, dataset, settings)
    study = store.add_study(plan=plan, dataset_id=dataset.id, request=asked.model_dump(mode="json"), warnings=warnings)
    _work(settings, store, blobs, study.id, console)
    result = store.result(study.id)
    if result is None:
        ended = store.study(study.id)
        sys.exit(f"vi3nr: the study {study.id} ended without an answer: {ended.error if ended else 'it is gone'}")
    output.mkdir(parents=True, exist_ok=True)
    saved = {}
    for family in result.families:
        path = output / file_name(family.family)
        path.write_text(family.winner.init_config.to_json() + "\n")
        saved[family.family] = str(path)
    if as_json:
        import json

        print(json.dumps(result_json(result), indent=2))
    else:
        print_result(console, result, saved)
    if report is not None:
        write_report(store, blobs, study.id, report)
        console.print(f"report: {report}")


def _work(settings: Settings, store: Store, blobs: BlobStore, study_id: str, console: Console) -> None:
    from workers.engine import Engine
    from workers.storage import open_storage

    with (
        stopped_by_signals() as stop,
        Live(Text("starting Ray"), console=console, refresh_per_second=4, transient=True) as live,
    ):
        pool = open_pool(settings)
        try:
            runner = Runner(
                store, blobs, Engine(pool, open_storage(settings.url)),
                owner=f"{socket.gethostname()}:{os.getpid()}", lease_seconds=settings.lease_seconds, only=study_id,
            )  # fmt: skip

            def ended() -> bool:
                study = store.study(study_id)
                if study is None:
                    return True
                live.update(Text(progress_text(study.progress, study.seconds_left)))
                return study.state in FINISHED

            runner.run(stop, ended)
        finally:
            pool.close()
    study = store.study(study_id)
    if stop.is_set() and study is not None and study.state is StudyState.QUEUED:
        console.print(f"interrupted; study {study_id} keeps its trials and goes on when `vi3nr serve` runs")
        raise SystemExit(130)
