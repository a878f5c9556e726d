"""What like studies found is tried first and known to the sampler; what cannot be compared is left out."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from workers.objective import Objective
from workers.prior import TRIED_AGAIN, known_trials, start_with
from workers.search import FamilySearch
from workers.storage import open_storage

AXES = {"x": FloatDistribution(0.1, 10.0, log=True), "y": FloatDistribution(0.0, 1.0)}
START = ({"x": 1.0, "y": 0.5}, {"x": 3.0, "y": 0.5}, {"x": 1.0, "y": 0.1})


@pytest.fixture
def storage(tmp_path):
    return open_storage(f"sqlite:///{tmp_path / 'trials.db'}")


def score(params):
    return 20.0 - (params["x"] - 6.0) ** 2 - params["y"]


def older(storage, name, axes=AXES):
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    for x in (0.5, 2.0, 6.0, 7.0, 9.0):
        study.enqueue_trial(dict(zip(axes, (x, 0.2), strict=False)))
        trial = study.ask(axes)
        study.tell(trial, 20.0 - (x - 6.0) ** 2)
    trial = study.ask(axes)
    trial.report(99.0, 1)
    study.tell(trial, state=TrialState.PRUNED)
    trial = study.ask(axes)
    trial.set_user_attr("note", "impossible")
    study.tell(trial, -100.0)
    return study


def test_only_trials_that_can_be_compared_are_known(storage):
    """Complete ones of the same axes: no pruned one, no impossible one, nothing of a study that is gone."""
    older(storage, "alike")
    older(storage, "other axes", {"x": AXES["x"]})
    known = known_trials(storage, ["alike", "other axes", "gone"], AXES)
    assert sorted(trial.params["x"] for trial in known) == [0.5, 2.0, 6.0, 7.0, 9.0]


def test_the_best_known_points_come_first_and_the_number_stays(storage):
    """The two best are tried again in front; as many start points as before."""
    older(storage, "alike")
    start = start_with(known_trials(storage, ["alike"], AXES), START, AXES)
    assert [params["x"] for params in start[:TRIED_AGAIN]] == [6.0, 7.0]
    assert start[TRIED_AGAIN:] == START[: len(START) - TRIED_AGAIN]
    assert start_with((), START, AXES) == START


def test_a_point_is_tried_once_however_often_it_is_known(storage):
    """Its score is the mean of its trials; what is already a start point is not one twice."""
    study = older(storage, "alike")
    for x, y, value in ((6.0, 0.2, 10.0), (1.0, 0.5, 19.5), (1.0, 0.5, 19.4)):
        study.enqueue_trial({"x": x, "y": y})
        study.tell(study.ask(AXES), value)
    start = start_with(known_trials(storage, ["alike"], AXES), START, AXES)
    assert [(params["x"], params["y"]) for params in start] == [(1.0, 0.5), (7.0, 0.2), (3.0, 0.5)]


def test_the_first_usual_point_is_kept_where_that_is_asked_for(storage):
    """Where there is but one, it comes after the best known ones instead of giving way."""
    older(storage, "alike")
    known = known_trials(storage, ["alike"], AXES)
    assert [params["x"] for params in start_with(known, START[:1], AXES)] == [6.0, 7.0]
    assert [params["x"] for params in start_with(known, START[:1], AXES, usual_kept=1)] == [6.0, 7.0, 1.0]
    assert [params["x"] for params in start_with(known, START, AXES, usual_kept=1)] == [6.0, 7.0, 1.0]
    assert start_with((), START, AXES, usual_kept=1) == START


def test_what_lies_outside_the_ranges_asked_for_is_not_tried(storage):
    """A narrower search starts from the best known points within it."""
    older(storage, "alike")
    narrower = {**AXES, "x": FloatDistribution(0.1, 3.0, log=True)}
    start = start_with(known_trials(storage, ["alike"], AXES), START, narrower)
    assert [params["x"] for params in start[:TRIED_AGAIN]] == [2.0, 0.5]


def test_a_search_with_a_prior_finds_the_top_sooner(storage):
    """After six trials it stands at the top that the other, told nothing, has not reached."""
    older(storage, "alike")

    def best(name, prior):
        search = FamilySearch(
            storage, name, "gaussian", AXES, START, objective=Objective(), search_steps=80, steps=200, seed=0, lease=1,
            prior=prior,
        )  # fmt: skip
        for _ in range(6):
            asked = search.ask()
            search.report(asked.number, 80, score(asked.params))
            search.finish(asked.number)
        return max(outcome.score for outcome in search.outcomes[:3])

    assert best("knowing", ["alike"]) > 19.5
    assert best("new", []) < 15.0
