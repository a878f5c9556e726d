"""``vi3nr search`` interrupted: it stops cleanly, says how to go on, and the same command does."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from click.testing import Result
from live_service import a_picture
from rich.console import Console
from studies_to_store import result
from typer.testing import CliRunner

from service import local_search
from service.blobs import BlobStore
from service.commands import app
from service.database import opened
from service.records import ClaimedStudy
from service.settings import Settings
from service.states import StudyState
from service.store import Store
from workers.pool import DeviceLost, TurnDone
from workers.pool_local import LocalPool


def completed(store: Store) -> set[tuple[int, float | None]]:
    """The only study's trials that are complete, with their scores."""
    (study,) = store.studies().items
    return {(one.number, one.score) for one in store.trials(study).items if one.state == "complete"}


class Interrupted(LocalPool):
    """Trainers in this process; Ctrl-C is pressed once a trial is complete, while the next ones train."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store: Store | None = store

    def wait(self, timeout: float) -> list[TurnDone | DeviceLost]:
        if self._store is not None and completed(self._store):
            self._store = None
            os.kill(os.getpid(), signal.SIGINT)
        return super().wait(timeout)


def test_ctrl_c_keeps_what_was_found_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 130 and a sentence; then the same study to its end, its trials kept; then its answer at once."""
    (tmp_path / "photo.png").write_bytes(a_picture())
    words = (
        f"search {tmp_path}/photo.png --activation gaussian --steps 20 --trials 8 --width 8 --layers 1 --finalists 1 "
        f"--seeds 2 --output {tmp_path}/out --data-dir {tmp_path}/data"
    )

    def search(*more: str) -> Result:
        return CliRunner().invoke(app, [*words.split(), *more])

    with opened(Settings(data_dir=tmp_path / "data").url) as engine:
        store = Store(engine)
        monkeypatch.setattr(local_search, "open_pool", lambda _: Interrupted(store))
        stopped = search()
        assert stopped.exit_code == 130, stopped.output
        assert f"vi3nr serve --data-dir {tmp_path}/data" in stopped.output
        assert not (tmp_path / "out").exists()
        (study,) = store.studies().items
        assert study.state is StudyState.QUEUED
        assert f"study {study.id} keeps its" in stopped.output
        before = completed(store)
        assert 0 < len(before) < 8
        monkeypatch.setattr(local_search, "open_pool", lambda _: LocalPool())
        done = search("--json")
        assert done.exit_code == 0, done.output
        assert f"study {study.id}: it goes on" in done.stderr
        answer = json.loads(done.stdout)
        assert answer["families"][0]["trials"] == 8
        assert before <= completed(store)
        again = search("--json")
        assert f"study {study.id}: its answer is there" in again.stderr
        assert json.loads(again.stdout) == answer
        assert len(store.studies().items) == 1


def test_a_like_search_starts_from_the_trials_of_the_one_before_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over the API: another seed on the same file knows the completed study; with --no-reuse it begins anew."""
    (tmp_path / "photo.png").write_bytes(a_picture())
    taken: list[ClaimedStudy] = []

    def answered(settings: Settings, store: Store, blobs: BlobStore, study_id: str, console: Console) -> None:
        claim = store.claim("runner", 100.0, only=study_id)
        assert claim is not None
        taken.append(claim)
        store.complete(study_id, claim.lease_number, result())

    monkeypatch.setattr(local_search, "_work", answered)
    words = f"search {tmp_path}/photo.png --activation gaussian --output {tmp_path}/out --data-dir {tmp_path}/data"
    told = [
        CliRunner().invoke(app, [*words.split(), *more.split()]) for more in ("", "--seed 1", "--seed 2 --no-reuse")
    ]
    assert [one.exit_code for one in told] == [0, 0, 0], [one.output for one in told]
    assert [claim.plan.families[0].prior for claim in taken] == [(), (taken[0].id,), ()]
    assert f"The search of gaussian starts from the trials of {taken[0].id}" in " ".join(told[1].output.split())
    assert "starts from the trials" not in told[2].output
