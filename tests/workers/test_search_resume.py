"""A study that was cut off proposes what the uninterrupted one would have proposed: same seed, one worker."""

from __future__ import annotations

import pytest
from fake_pool import FakePool
from optuna.trial import TrialState
from small_study import Record, drive, plan, small_signal, trials_of

from workers.engine import Engine
from workers.storage import open_storage

SIGNAL = small_signal()
TRIALS = 14


def proposals(storage, study_id):
    """Parameters, seed and state of every order."""
    ended = [t for t in trials_of(storage, study_id) if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    return {t.user_attrs["order"]: (t.params, t.user_attrs["seed"], t.state) for t in ended}


@pytest.mark.parametrize("stops", [(9,), (31, 40), (5, 17, 29, 44, 58)])
def test_whatever_the_moments_of_the_stops_every_proposal_is_the_same(tmp_path, stops):
    """Stopped in mid-trial once or five times; start points, proposals and pruned trials are those of one go."""
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    whole = Engine(FakePool((1,)), open_storage(url))
    whole.add(plan("whole", trials=TRIALS), SIGNAL, [], lease=1)
    drive(whole, Record())
    record = Record()
    for lease, stop in enumerate((*stops, 20000), start=1):
        storage = open_storage(url)
        part = Engine(FakePool((1,)), storage)
        part.add(plan("parts", trials=TRIALS), SIGNAL, list(record.runs), lease=lease)
        drive(part, record, lambda made, stop=stop: made == stop)
    expected = proposals(storage, "whole")
    assert proposals(storage, "parts") == expected
    assert len(expected) == TRIALS
    assert TrialState.PRUNED in {state for _, _, state in expected.values()}
    assert record.results["parts"].families[0].winner.name == record.results["parts"].families[0].arms[0].name
