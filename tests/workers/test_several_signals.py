"""Studies of several signals: the score is the mean, bad trials stop early, held-out signals are answered."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from fake_pool import FakePool
from optuna.trial import TrialState
from small_study import Record, drive, plan, small_signal, trials_of

from vi3nr.signals import Signal, image_signal
from workers.engine import Engine
from workers.objective import Objective
from workers.search_pruner import SignalPruner
from workers.storage import open_storage
from workers.tours import curve_of, mean_score, on_line, signal_scores, split

SIGNAL = small_signal()
STEPS, SEARCH = 200, 80


def test_curves_lie_in_one_line_and_come_apart_again() -> None:
    """Splitting a line gives each signal's own curve; its score is the mean of theirs, the last one's so far."""
    curves = [[(4, 10.0), (8, 12.0)], [(4, 20.0), (8, 22.0)], [(4, 33.0)]]
    line = [(on_line(k, step, 8), psnr) for k, curve in enumerate(curves) for step, psnr in curve]
    assert split(line, 8) == curves
    assert [curve_of(line, k, 8) for k in range(4)] == [*curves, []]
    assert signal_scores(Objective(), line, 8, 8) == [12.0, 22.0, 33.0]
    assert mean_score(Objective(), line, 8, 8) == pytest.approx(67 / 3)
    assert mean_score(Objective(), line, 8, 8, signals=2) == pytest.approx(17.0)
    assert mean_score(Objective("area"), line[:2], 8, 8) == Objective("area").score(curves[0], 8)


def others() -> list[Signal]:
    """Four pictures of the small one's size."""
    pixels = SIGNAL.to_pixels(SIGNAL.values)
    return [image_signal(np.roll(pixels, 3 * k, axis=k % 2)) for k in range(4)]


@pytest.fixture
def storage(tmp_path):
    made = open_storage(f"sqlite:///{tmp_path / 'optuna.db'}")
    yield made
    made.engine.dispose()


def test_a_trial_is_trained_on_each_signal_and_scored_by_the_mean(storage: optuna.storages.RDBStorage) -> None:
    """Every complete trial was trained on the three fitted signals and on no other, from one seed; the runs of the
    confirmation on all four. Values in the record are the means, and the study is answered.
    """
    pool, record = FakePool((2,)), Record()
    engine = Engine(pool, storage)
    engine.add(plan("several", trials=6, held_out_signals=1), others(), [], lease=1)
    drive(engine, record)
    assert record.errors == {}
    result = record.results["several"]
    assert (result.signals, result.held_out_signals) == (3, 1)
    for trial in trials_of(storage, "several"):
        mine = [m for m in pool.trained if m.key.split(" signal")[0] == f"several gaussian trial {trial.number}"]
        if trial.state == TrialState.COMPLETE:
            assert len({member.key for member in mine}) == 3  # a member may come back for another leg
            assert len({member.seed for member in mine}) == 1
            assert trial.value == pytest.approx(trial.intermediate_values[3 * SEARCH])
            curves = split(trial.user_attrs["PSNR curve"], SEARCH)
            assert trial.value == pytest.approx(np.mean([curve[-1][1] for curve in curves]))
    (family,) = result.families
    for arm in family.arms:
        assert all(len(scores) == 4 for scores in arm.per_signal)
        assert arm.values == pytest.approx([np.mean(scores[:3]) for scores in arm.per_signal])
    carried = family.carry_over
    assert carried is not None
    assert carried.over == "seeds"
    assert [gain.signal for gain in carried.signals] == [3]
    assert carried.gain.mean == pytest.approx(carried.signals[0].found - carried.signals[0].baseline)
    assert "On the one held-out signal" in carried.sentence
    continued = [run for run in record.runs if run.replicate < 0]
    assert all(len(split(run.curve, STEPS)) == 3 for run in continued)


def test_one_signal_in_a_list_is_one_signal(storage: optuna.storages.RDBStorage) -> None:
    """The same members from the same seeds, the same record and the same answer."""
    answers, trained = [], []
    for name, signals in (("one", SIGNAL), ("list", [SIGNAL])):
        pool, record = FakePool(), Record()
        engine = Engine(pool, storage)
        engine.add(plan(name, trials=4), signals, [], lease=1)
        drive(engine, record)
        answers.append(record.results[name].families)
        trained.append([(m.key.removeprefix(name), m.config, m.seed, m.until) for m in pool.trained])
    assert answers[0] == answers[1]
    assert trained[0] == trained[1]


def test_held_out_signals_get_an_interval_over_signals(storage: optuna.storages.RDBStorage) -> None:
    """With several of them the interval is over their gains, not over seeds."""
    pool, record = FakePool(), Record()
    engine = Engine(pool, storage)
    engine.add(plan("held", trials=4, held_out_signals=3), others(), [], lease=1)
    drive(engine, record)
    carried = record.results["held"].families[0].carry_over
    assert carried is not None
    assert (carried.over, carried.gain.n) == ("signals", 3)
    assert carried.gain.mean == pytest.approx(np.mean([gain.gain for gain in carried.signals]))


def test_a_study_that_was_cut_short_goes_on_with_the_same_trainings(storage: optuna.storages.RDBStorage) -> None:
    """Stopped while trials are between two signals, and taken up by another engine: the same finished trials."""
    whole, parts = FakePool(), Record()
    record = Record()
    engine = Engine(whole, storage)
    engine.add(plan("whole", trials=5), others(), [], lease=1)
    drive(engine, record)
    first = Engine(FakePool(), storage)
    first.add(plan("cut", trials=5), others(), [], lease=1)
    drive(first, parts, stop=lambda count: count >= 60)
    second = Engine(FakePool(), storage)
    second.add(plan("cut", trials=5), others(), parts.runs, lease=2)
    drive(second, parts)
    values = {
        name: [t.value for t in trials_of(storage, name) if t.state == TrialState.COMPLETE] for name in ("whole", "cut")
    }
    assert values["cut"] == pytest.approx(values["whole"])


def test_trainers_that_die_cost_no_signal(storage: optuna.storages.RDBStorage) -> None:
    """With devices dying between and within signals the study is answered, each run whole."""
    pool, record = FakePool((2, 1), loss=0.02, seed=5), Record()
    engine = Engine(pool, storage)
    engine.add(plan("lossy", trials=5, held_out_signals=1), others(), [], lease=1)
    drive(engine, record)
    assert record.errors == {}
    assert pool.losses > 1
    assert all(len(scores) == 4 for arm in record.results["lossy"].families[0].arms for scores in arm.per_signal)


def test_signals_that_do_not_go_together_are_refused(storage: optuna.storages.RDBStorage) -> None:
    """Other dimensions, or nothing left to search on: the study fails with a sentence."""
    grey = image_signal(np.eye(8))
    record = Record()
    engine = Engine(FakePool(), storage)
    engine.add(plan("mixed"), [SIGNAL, grey], [], lease=1)
    engine.add(plan("all held out", held_out_signals=2), [SIGNAL, SIGNAL], [], lease=1)
    drive(engine, record)
    assert "same dimensions" in record.errors["mixed"]
    assert "must leave one of the 2 signals" in record.errors["all held out"]


def _done(study: optuna.Study, by_signal: list[float], horizon: int, state: TrialState) -> optuna.trial.FrozenTrial:
    means = np.cumsum(by_signal) / np.arange(1, len(by_signal) + 1)
    study.add_trial(
        optuna.trial.create_trial(
            state=state,
            value=float(means[-1]) if state == TrialState.COMPLETE else None,
            intermediate_values={horizon * (k + 1): float(mean) for k, mean in enumerate(means)},
        )
    )
    return study.trials[-1]


def test_pruned_trials_hold_the_bar_down() -> None:
    """A trial is compared with all that came as far: better than most of them it goes on, though the completed ones,
    which are the best, are better.
    """
    study, pruner = optuna.create_study(direction="maximize"), SignalPruner(3, 40)
    for state, scores in ((TrialState.COMPLETE, (30.0, 30.1, 30.2)), (TrialState.PRUNED, (12.0, 20.0, 26.0, 28.0))):
        for score in scores:
            _done(study, [score], 20, state)
    assert not pruner.prune(study, _done(study, [29.0], 20, TrialState.RUNNING))
    assert pruner.prune(study, _done(study, [27.0], 20, TrialState.RUNNING))


def test_the_pruner_compares_signal_by_signal() -> None:
    """A trial below the median of the means goes at once; one above it goes when the best trial beats it on every
    signal beyond doubt; one that is better on some goes on. The first signals may be easy for all.
    """
    study = optuna.create_study(direction="maximize")
    pruner, level = SignalPruner(3, 10), np.array([40.0, 20.0, 31.0, 25.0, 28.0, 33.0])
    for offset in (-3.0, -2.0, 0.0, 2.0):
        _done(study, list(level + offset), 10, TrialState.COMPLETE)

    def verdict(scores: np.ndarray) -> bool:
        return pruner.prune(study, _done(study, list(scores), 10, TrialState.RUNNING))

    assert verdict(level[:2] - 2.5)
    assert not verdict(level[:2] + 1.0)
    assert not verdict(level[:3] + 1.0)  # three signals leave a doubt of 1/8
    assert verdict(level[:5] + 1.0)
    assert not verdict(level[:5] + np.array([1.0, 3.0, 1.0, 3.0, 3.0]))
