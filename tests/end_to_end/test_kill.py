"""Processes are killed in the middle of a study: it completes, nothing finished is lost, nothing counted twice."""

import os
import signal
import subprocess
import sys

import psutil
from live import Client, photograph, wait_until

from service.database import make_engine
from service.embedded import Embedded
from service.settings import Settings
from service.store import Store

STUDY = {"training": {"steps": 400}, "search": {"trials": 10, "seed": 1}}
COUNTED = ("complete", "pruned")


def finished_trials(client, study_id):
    return {t["number"]: (t["state"], t["score"]) for t in client.trials(study_id) if t["state"] in COUNTED}


def check(client, study_id, before):
    """What had finished stands unchanged, and the count is exact."""
    client.finished(study_id)
    after = finished_trials(client, study_id)
    assert {number: after.get(number) for number in before} == before
    assert len(after) == 10
    best = client.get(f"/v1/studies/{study_id}/best")
    for arm in best["families"][0]["arms"]:
        assert len(arm["values"]) == arm["score"]["n"] <= 3


def test_a_killed_runner_loses_nothing(client, dataset, runner_pid):
    """kill -9 of the runner after three finished trials: another takes over when the lease has run out."""
    study_id = client.start(dataset, **STUDY)
    before = wait_until(lambda: len(found := finished_trials(client, study_id)) >= 3 and found, "three trials")
    victim = runner_pid()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: runner_pid() != victim, "another runner")
    check(client, study_id, before)


def test_a_killed_trainer_loses_nothing(client, dataset, runner_pid):
    """kill -9 of a Ray trainer actor: its trial is tried again and the study completes."""
    study_id = client.start(dataset, **STUDY)
    before = wait_until(lambda: len(found := finished_trials(client, study_id)) >= 3 and found, "three trials")

    def trainers():
        family = psutil.Process(runner_pid()).children(recursive=True)
        return [process for process in family if "ray::" in process.name() or "ray::" in " ".join(process.cmdline())]

    victim = next(process for process in trainers() if "rain" in " ".join(process.cmdline()))
    victim.kill()
    check(client, study_id, before)


def test_an_orderly_stop_gives_the_study_back(tmp_path):
    """When the service is stopped in the middle of a study, the study is queued again and no trial is left running; the
    next start takes it up at once."""
    settings = Settings(data_dir=tmp_path)
    with Embedded(settings) as service, Client(service.url) as client:
        study_id = client.start(client.upload(photograph(16)), search={"trials": 500, "seed": 0})
        wait_until(lambda: finished_trials(client, study_id), "a first trial")
    database = make_engine(settings.url)
    assert Store(database).study(study_id).state == "queued"
    trials = Store(database).trials(Store(database).study(study_id), limit=200).items
    database.dispose()
    assert trials
    assert not [trial for trial in trials if trial.state == "running"]


SERVE = """
import sys, threading
from pathlib import Path
from service.embedded import Embedded
from service.settings import Settings
with Embedded(Settings(data_dir=Path(sys.argv[1]))) as service:
    print(service.url, flush=True)
    threading.Event().wait()
"""


def test_a_killed_supervisor_leaves_no_process_behind(tmp_path, here):
    """kill -9 of the process that started all: API, runner, dashboard, Ray and its actors end by themselves."""
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    process = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, text=True)
    try:
        with Client(process.stdout.readline().strip()) as client:
            study_id = client.start(client.upload(photograph(16)), search={"trials": 100, "seed": 0})
            wait_until(lambda: finished_trials(client, study_id), "a first trial")
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) > 5
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    _, alive = psutil.wait_procs(family, timeout=40)
    assert not alive, alive
