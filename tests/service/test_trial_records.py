"""Trials are read from Optuna's own tables; these tests fail when Optuna changes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel
from sqlalchemy import Engine
from studies_to_store import dataset, plan

from service.cursors import BadCursorError
from service.records import Study
from service.store import Store, new_id
from service.trial_records import TABLES, Trial, optuna_name
from workers.plan import FamilyPlan
from workers.response_data import AxisRange, Observation


@pytest.fixture
def study(store: Store) -> Study:
    study_id = new_id()
    return store.add_study(plan=plan(study_id), dataset_id=dataset(store), request={})


@pytest.fixture
def storage(engine: Engine, store: Store) -> Iterator[RDBStorage]:
    storage = RDBStorage(engine.url.render_as_string(hide_password=False))
    yield storage
    storage.remove_session()
    storage.engine.dispose()


def searched(storage: RDBStorage, study_id: str, family: str) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(storage=storage, study_name=optuna_name(study_id, family), direction="maximize")


def all_trials(store: Store, study: Study, limit: int) -> list[Trial]:
    found: list[Trial] = []
    cursor: str | None = None
    while True:
        page = store.trials(study, limit, cursor)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_the_columns_that_are_read_are_there() -> None:
    """Every table and column that our SELECTs name exists in the installed Optuna, under the same name."""
    for ours in TABLES:
        theirs = BaseModel.metadata.tables[ours.name]
        assert {column.name for column in ours.columns} <= {column.name for column in theirs.columns}


def test_a_formula_names_its_trials(store: Store, storage: RDBStorage) -> None:
    """The text of a formula, signs, brackets and blanks and all, is the family of the trials that are listed."""
    text = "exp(-x**2/(2*a**2)) * cos(30*x)"
    study_id = new_id()
    asked = replace(plan(study_id), families=(FamilyPlan(text, {"a": 0.05}),))
    study = store.add_study(plan=asked, dataset_id=dataset(store), request={})
    search = searched(storage, study_id, text)
    search.tell(search.ask(), 3.0)
    (trial,) = all_trials(store, study, 10)
    assert (trial.family, trial.score) == (text, 3.0)


def test_before_a_runner_began_there_are_no_trials(store: Store, study: Study) -> None:
    """Without Optuna's tables the list is empty, not an error."""
    assert store.trials(study).items == ()


def test_trials_are_read_as_optuna_has_them(store: Store, study: Study, storage: RDBStorage) -> None:
    """State, value, parameters, attributes and times agree with Optuna's own reading, in every state."""
    search = searched(storage, study.id, "gaussian")
    complete = search.ask({"sigma_a": optuna.distributions.FloatDistribution(1e-3, 1.0, log=True)})
    complete.set_user_attr("sigma_p", 0.25)
    search.tell(complete, 21.5)
    pruned = search.ask()
    pruned.report(17.0, 1)
    search.tell(pruned, state=optuna.trial.TrialState.PRUNED)
    search.tell(search.ask(), state=optuna.trial.TrialState.FAIL)
    search.ask()
    search.enqueue_trial({"sigma_a": 0.5})
    found = store.trials(study).items
    assert [trial.state for trial in found] == ["complete", "pruned", "failed", "running", "waiting"]
    assert [trial.score for trial in found] == [21.5, 17.0, None, None, None]
    assert [trial.number for trial in found] == [0, 1, 2, 3, 4]
    assert found[0].parameters == complete.params
    assert found[0].attributes == {"sigma_p": 0.25}
    assert {trial.family for trial in found} == {"gaussian"}
    started, finished = found[0].started, found[0].finished
    assert started is not None
    assert finished is not None
    assert started <= finished <= datetime.now(UTC) + timedelta(seconds=1)
    assert datetime.now(UTC) - started < timedelta(minutes=10)  # it is UTC, whatever the zone of this machine


def test_pages_hold_every_trial_of_the_study_once(store: Store, study: Study, storage: RDBStorage) -> None:
    """Families of the study are interleaved as asked for; another study's trials never show."""
    searches = [searched(storage, study.id, family) for family in study.families]
    other = searched(storage, "0" * 12, "gaussian")
    asked = []
    for _ in range(3):
        for family, search in zip(study.families, searches, strict=True):
            asked.append((family, search.ask().number))
        other.ask()
    assert [(trial.family, trial.number) for trial in all_trials(store, study, 2)] == asked
    assert [(trial.family, trial.number) for trial in all_trials(store, study, 6)] == asked


@pytest.mark.parametrize("cursor", ["x", "dA==", "dC0x", "dDEyYQ==", "ünsinn", "dDk5OTk5OTk5OTk5OTk5OTk5OTk5"])
def test_a_cursor_that_no_page_gave_is_refused(store: Store, study: Study, cursor: str) -> None:
    """The sentence repeats it."""
    with pytest.raises(BadCursorError, match="none that this service gave out"):
        store.trials(study, 10, cursor)


def test_what_a_surface_is_fitted_through_is_what_optuna_has(store: Store, study: Study, storage: RDBStorage) -> None:
    """Axes with their bounds, and the finished trials with their reports, oldest first; no others."""
    axes = {"sigma_a": optuna.distributions.FloatDistribution(1e-3, 1.0, log=True)}
    search = searched(storage, study.id, "gaussian")
    complete, pruned, failed, _running = (search.ask(axes) for _ in range(4))
    complete.report(18.0, 10)
    search.tell(complete, 21.5)
    pruned.report(17.0, 10)
    search.tell(pruned, state=optuna.trial.TrialState.PRUNED)
    search.tell(failed, state=optuna.trial.TrialState.FAIL)
    found_axes, found = store.observed(study, "gaussian")
    assert found_axes == (AxisRange("sigma_a", 1e-3, 1.0, True),)
    assert found == (
        Observation(complete.params, 21.5, {10: 18.0}),
        Observation(pruned.params, None, {10: 17.0}),
    )
    assert store.observed(study, "sine") == ((), ())
