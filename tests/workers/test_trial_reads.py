"""Optuna's storage as we run it: what is read is what stands, and only what has changed is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event

from workers.storage import TrialStorage, open_storage

AXIS = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'trials.db'}"


@pytest.fixture
def storage(url: str) -> Iterator[TrialStorage]:
    storage = open_storage(url)
    yield storage
    storage.engine.dispose()


def standing(url: str) -> list[FrozenTrial]:
    """What a storage that has seen nothing reads."""
    plain = RDBStorage(url)
    trials = plain.get_all_trials(plain.get_all_studies()[0]._study_id)
    plain.engine.dispose()
    return trials


def test_what_is_read_is_what_stands(storage: TrialStorage, url: str) -> None:
    """After each kind of write, here or by another runner, every trial reads as it stands in the database."""
    study = optuna.create_study(storage=storage, study_name="one")
    study.enqueue_trial({"x": 0.5}, user_attrs={"order": 0})

    def check() -> None:
        assert study.get_trials(deepcopy=False) == standing(url)

    check()
    first, second, third = (study.ask(AXIS) for _ in range(3))
    check()
    first.report(1.0, 10)
    check()
    first.report(2.0, 20)
    second.set_user_attr("seed", 4)
    check()
    storage.set_trial_system_attr(third._trial_id, "theirs", [1])
    check()
    other = open_storage(url)
    optuna.load_study(study_name="one", storage=other).tell(1, state=TrialState.FAIL)
    check()
    second.set_user_attr("late", 1)  # about a trial that has ended elsewhere
    check()
    theirs = optuna.load_study(study_name="one", storage=other).ask(AXIS)
    check()
    study.tell(first, 2.0)
    study.tell(theirs.number, 3.0)
    check()
    other.engine.dispose()


def test_only_what_has_changed_is_read_whole(storage: TrialStorage) -> None:
    """Reading all trials again loads the reports of the running ones that were written about since, and of no other."""
    study = optuna.create_study(storage=storage)
    trials = [study.ask(AXIS) for _ in range(20)]
    for trial in trials:
        trial.report(1.0, 10)
    study.get_trials(deepcopy=False)
    loaded: list[str] = []

    @event.listens_for(storage.engine, "before_cursor_execute")
    def _(connection, cursor, statement, parameters, context, many) -> None:
        if statement.startswith("SELECT") and "FROM trial_intermediate_values" in statement:
            loaded.append(str(parameters))

    study.get_trials(deepcopy=False)
    assert loaded == []
    trials[7].report(2.0, 20)
    study.get_trials(deepcopy=False)
    assert loaded == [f"({trials[7]._trial_id},)"]
