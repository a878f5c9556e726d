"""What the trial storage adds to Optuna's, over SQLite and PostgreSQL alike: gathering, trying again, fences."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy import Engine, text

from workers.storage import FencedOffError, StorageUnavailableError, TrialStorage, open_storage, persistently

TABLES = ("trials", "trial_params", "trial_values", "trial_user_attributes", "trial_intermediate_values")
MORE_TABLES = ("study_user_attributes", "study_system_attributes", "trial_system_attributes")


@pytest.fixture
def storage(engine: Engine) -> Iterator[TrialStorage]:
    made = open_storage(engine.url.render_as_string(hide_password=False))
    yield made
    made.remove_session()
    made.engine.dispose()


@pytest.fixture
def study(storage: TrialStorage) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=storage, direction="maximize")


def rows(engine: Engine) -> dict[str, list]:
    """All that Optuna's tables hold, as another process sees it."""
    with engine.connect() as connection:
        return {
            name: sorted(map(tuple, connection.execute(text(f"SELECT * FROM {name}"))), key=repr)
            for name in (*TABLES, *MORE_TABLES)
        }


def test_what_is_gathered_is_written_when_a_trial_ends_and_read_back(engine, storage, study):
    """Parameters, attributes and reports reach the tables with the trial's end, not before; the last word counts."""
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    trial.set_user_attr("seed", 1)
    trial.set_user_attr("seed", 2)
    trial.report(10.0, 5)
    assert not rows(engine)["trial_params"]
    study.tell(trial, 12.0)
    found = study.get_trials()[0]
    assert (found.state, found.value, found.user_attrs) == (TrialState.COMPLETE, 12.0, {"seed": 2})
    assert found.intermediate_values == {5: 10.0}
    assert len(rows(engine)["trial_params"]) == 1


def test_what_is_gathered_for_an_ended_trial_is_dropped(engine, storage, study):
    """Somebody else has ended the trial: its record stays as it is."""
    trial = study.ask()
    study.tell(trial.number, 1.0)
    before = rows(engine)
    storage.set_trial_user_attr(trial._trial_id, "late", 1)
    storage.set_trial_intermediate_value(trial._trial_id, 3, 1.0)
    storage.flush()
    assert rows(engine) == before


def test_a_finished_trial_is_never_told_again(storage, study):
    """The second word about a trial changes nothing, whichever it is."""
    trial = study.ask()
    study.tell(trial.number, 1.0)
    study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    assert study.get_trials()[0].value == 1.0


def write_paths(storage: TrialStorage, study: optuna.Study, running: int, waiting: int):
    """Every way in which a search writes."""
    return {
        "ask": lambda: study.ask(),
        "enqueue": lambda: study.enqueue_trial({"x": 0.5}),
        "take a waiting trial": lambda: storage.set_trial_state_values(waiting, TrialState.RUNNING),
        "complete": lambda: storage.set_trial_state_values(running, TrialState.COMPLETE, [1.0]),
        "fail": lambda: storage.set_trial_state_values(running, TrialState.FAIL),
        "attribute": lambda: (storage.set_trial_user_attr(running, "a", 1), storage.flush()),
        "report": lambda: (storage.set_trial_intermediate_value(running, 1, 1.0), storage.flush()),
        "system attribute": lambda: storage.set_trial_system_attr(running, "a", 1),
        "study's attribute": lambda: study.set_user_attr("a", 1),
        "study's system attribute": lambda: study.set_metric_names(["psnr"]),
    }


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_behind_a_fence_nothing_is_written(engine, storage, study):
    """Once the fence says no, no way of writing changes a row: it raises, or drops what was gathered. Before, and
    for another study, all of them write."""
    answers = [True]
    storage.fence_off(study._study_id, lambda connection: connection.scalar(text("SELECT 1")) == 1 and answers[0])
    study.enqueue_trial({"x": 0.1})
    trial = study.ask()
    study.enqueue_trial({"x": 0.2})
    waiting = study.get_trials()[1]._trial_id
    answers[0] = False
    before = rows(engine)
    for name, write in write_paths(storage, study, trial._trial_id, waiting).items():
        if name not in ("attribute", "report"):
            with pytest.raises(FencedOffError):
                write()
        else:
            write()
        assert rows(engine) == before, name
    other = optuna.create_study(study_name="other", storage=storage)
    other.tell(other.ask(), 1.0)
    answers[0] = True
    study.tell(trial, 3.0)
    assert [t.value for t in study.get_trials(states=[TrialState.COMPLETE])] == [3.0]


def test_a_database_that_refuses_for_a_while_is_asked_again():
    """The call is repeated until it succeeds, and given up with a sentence after the last delay."""
    refusals = [StorageInternalError("away")] * 2

    def call() -> str:
        if refusals:
            raise refusals.pop()
        return "answer"

    assert persistently(call, delays=(0.0, 0.0)) == "answer"

    def never() -> str:
        raise StorageInternalError("away")

    with pytest.raises(StorageUnavailableError, match="refused 3 times: away"):
        persistently(never, delays=(0.0, 0.0))
