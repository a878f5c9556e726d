"""``vi3nr search``: one study on this machine without a server: the same database, runner and Ray, in this process."""

from __future__ import annotations

import errno
import json
import os
import shlex
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from service.asking import ask_study
from service.blobs import BlobStore
from service.database import opened, upgrade
from service.exit_statuses import BAD_NEWS, INTERRUPTED
from service.ingest import store_files
from service.pages.report import write_report
from service.processes import open_pool
from service.progress_view import shown_progress
from service.reader import Reader
from service.reading.contract import Options
from service.records import Study, result_json
from service.render import file_name, print_result
from service.runner import Runner
from service.schemas import StudyRequest
from service.settings import Settings
from service.states import FINISHED, StudyState
from service.stopping import stopped_by_signals
from service.store import Store
from workers.result import StudyResult

__all__ = ["Asked", "search_file"]


@dataclass(frozen=True)
class Asked:
    """What is searched: a file, made smaller if it has more points, and the request without its dataset."""

    file: Path
    max_points: int
    request: Mapping[str, Any]


def search_file(settings: Settings, asked: Asked, output: Path, as_json: bool, report: Path | None = None) -> None:
    """Search, confirm, print and save; Ctrl-C gives the study back and says how to go on.

    Raises:
        Problem, ValueError: for a request or a file that will not do.
        OSError: for a file that cannot be read.
        SystemExit: with a sentence, when the study ends without an answer or is interrupted.
    """
    console = Console(stderr=as_json)
    data = asked.file.read_bytes()
    _check_places(output, report)
    with opened(settings.url) as database:
        upgrade(database)
        store, blobs = Store(database), BlobStore(settings.blob_place)
        study = _study(settings, store, blobs, asked, data, console)
        if study.state is not StudyState.COMPLETED:
            _work(settings, store, blobs, study.id, console)
        result = store.result(study.id)
        if result is None:
            ended = store.study(study.id)
            print(f"vi3nr: the study {study.id} ended without an answer: {ended.error if ended else 'it is gone'}",
                  file=sys.stderr)  # fmt: skip
            raise SystemExit(BAD_NEWS)
        _hand_over(result, output, as_json, console)
        if report is not None:
            write_report(store, blobs, study.id, report)
            console.print(f"report: {report}", markup=False)


def _study(settings: Settings, store: Store, blobs: BlobStore, asked: Asked, data: bytes, console: Console) -> Study:
    """The study to work on: the same one as before where there is one and it may be used, else a new one."""
    reader = Reader(settings)
    try:
        dataset, _ = store_files(store, blobs, reader, [(asked.file.name, data)], Options(max_points=asked.max_points))
    finally:
        reader.close()
    for note in dataset.meta["notes"]:
        console.print(f"{asked.file.name}: {note}", style="dim", markup=False)
    request = StudyRequest.model_validate({"dataset_id": dataset.id, **asked.request})
    study, is_new = ask_study(store, blobs, settings, request, dataset)
    if not is_new:
        told = "its answer is there" if study.state is StudyState.COMPLETED else "it goes on"
        console.print(f"the same search was asked for before, study {study.id}: {told} (--no-reuse begins anew)")
    for warning in study.warnings if is_new else ():
        console.print(warning, style="dim", markup=False)
    return study


def _work(settings: Settings, store: Store, blobs: BlobStore, study_id: str, console: Console) -> None:
    from workers.engine import Engine
    from workers.storage import open_storage

    with stopped_by_signals() as stop, shown_progress(console, "starting Ray") as show:
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
                show(study.progress, study.seconds_left)
                return study.state in FINISHED

            runner.run(stop, ended)
        finally:
            pool.close()
    study = store.study(study_id)
    if stop.is_set() and study is not None and study.state not in FINISHED:
        folder = shlex.quote(str(settings.data_dir))
        trials = 0 if study.progress is None else study.progress.trials_done
        console.print(
            f"interrupted; study {study_id} keeps its {trials} trials. The same command goes on with it, and so does "
            f"vi3nr serve --data-dir {folder}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        raise SystemExit(INTERRUPTED)


def _check_places(output: Path, report: Path | None) -> None:
    """Raises OSError where the answer could not be written: before the training, not after it."""
    made = output.absolute()
    while not made.exists():
        made = made.parent  # the folder of the configs is made, with those above it
    for folder in (made, *([] if report is None else [report.absolute().parent])):
        if not os.access(folder, os.W_OK | os.X_OK):
            number = errno.EACCES if folder.exists() else errno.ENOENT
            raise OSError(number, os.strerror(number), str(folder))


def _hand_over(result: StudyResult, output: Path, as_json: bool, console: Console) -> None:
    """Save the winners' configs, and print the answer."""
    output.mkdir(parents=True, exist_ok=True)
    saved = {}
    for family in result.families:
        path = output / file_name(family.family)
        path.write_text(family.winner.init_config.to_json() + "\n")
        saved[family.family] = str(path)
    if as_json:
        print(json.dumps({**result_json(result), "saved": saved}, indent=2))
    else:
        print_result(console, result, saved)
