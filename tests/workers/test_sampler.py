"""The sampler exploits a smooth surface in few trials and is a function of its seed and the recorded trials."""

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution

from workers.sampler import SurfaceSampler
from workers.surface import expected_improvement, fit_surface

SPACE = {
    "sigma_a": FloatDistribution(0.005, 0.3, log=True),
    "sigma_p / sigma_a": FloatDistribution(0.6, 8.0, log=True),
    "first-layer bias share": FloatDistribution(0.0, 0.9),
}
START = {"sigma_a": 0.05, "sigma_p / sigma_a": 5.0, "first-layer bias share": 0.1}


def ridge(params: dict[str, float]) -> float:
    """30 dB at (0.02, 2.5, 0.6), a ridge along sigma_a * rho, a cliff far out."""
    a = np.log(params["sigma_a"] / 0.02)
    r = np.log(params["sigma_p / sigma_a"] / 2.5)
    s = params["first-layer bias share"] - 0.6
    score = 30.0 - 4.0 * (a + r) ** 2 - 0.8 * (a - r) ** 2 - 6.0 * s**2
    return float(max(score, -100.0)) if a < 2.0 else -100.0


def study_of(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(START)
    return study


def best_of(sampler: optuna.samplers.BaseSampler, trials: int, seed: int) -> float:
    noise = np.random.default_rng(seed)
    study = study_of(sampler)
    best = -np.inf
    for _ in range(trials):
        trial = study.ask(SPACE)
        best = max(best, ridge(trial.params))
        study.tell(trial, ridge(trial.params) + 0.2 * noise.normal())
    return best


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def test_finds_the_top_of_a_ridge_in_a_dozen_noisy_trials():
    """Over five seeds, twelve trials end within 0.5 dB of the top in the mean; random search is worse."""
    ours = np.array([best_of(SurfaceSampler(SPACE, seed), 12, seed) for seed in range(5)])
    random = np.array([best_of(optuna.samplers.RandomSampler(seed), 12, seed) for seed in range(5)])
    assert 30.0 - ours.mean() < 0.5
    assert ours.mean() > random.mean()


def test_absolute_axes_show_the_same_surface_as_ratios():
    """The same trials over sigma_a and sigma_p, in a range as wide as that of the ratio, are expected to be as good."""
    absolute = {"sigma_a": SPACE["sigma_a"], "sigma_p": FloatDistribution(0.03, 0.4, log=True)}
    ratios = {"sigma_a": SPACE["sigma_a"], "sigma_p / sigma_a": FloatDistribution(0.6, 8.0, log=True)}
    expected = []
    for space, start in (
        (absolute, {"sigma_a": 0.05, "sigma_p": 0.1}),
        (ratios, {"sigma_p / sigma_a": 2.0, "sigma_a": 0.05}),
    ):
        study = optuna.create_study(direction="maximize")
        for a, p in np.random.default_rng(0).uniform((0.02, 0.04), (0.05, 0.16), (9, 2)):
            params = {"sigma_a": float(a), "sigma_p": float(p), "sigma_p / sigma_a": float(p / a)}
            study.add_trial(
                optuna.trial.create_trial(
                    params={name: params[name] for name in space},
                    distributions=space,
                    value=float(ridge(params | {"first-layer bias share": 0.6})),
                )
            )
        surface = SurfaceSampler(space, 0, start=[start])._fit(study.get_trials()).surface
        expected.append(surface.mean(surface.points @ np.linalg.inv(surface.turn)))
    assert expected[0] == pytest.approx(expected[1], abs=1e-3)


def test_the_start_points_are_believed_at_first_and_doubted_later():
    """The first proposals lie near them; when they are poor the search ends at the top all the same."""
    sampler = SurfaceSampler(SPACE, 0, start=[START])
    study, best, far = study_of(sampler), -np.inf, []
    for _ in range(30):
        trial = study.ask(SPACE)
        far.append(np.linalg.norm(sampler._unit(trial.params) - sampler._unit(START)))
        best = max(best, ridge(trial.params))
        study.tell(trial, ridge(trial.params))
    assert max(far[1:3]) < 0.5
    assert best > 29.5


def test_a_resumed_search_proposes_what_the_uninterrupted_one_would_have():
    """A fresh sampler over the recorded trials proposes the same point as the one that was there from the start."""
    sampler = SurfaceSampler(SPACE, seed=3)
    study = study_of(sampler)
    for _ in range(6):
        trial = study.ask(SPACE)
        study.tell(trial, ridge(trial.params))
    resumed = optuna.create_study(direction="maximize", sampler=SurfaceSampler(SPACE, seed=3))
    resumed.add_trials(study.get_trials())
    assert study.ask(SPACE).params == resumed.ask(SPACE).params


def test_running_trials_are_not_asked_for_twice():
    """Four workers that ask one after the other get four points well apart from each other."""
    study = study_of(SurfaceSampler(SPACE, seed=0))
    for _ in range(6):
        trial = study.ask(SPACE)
        study.tell(trial, ridge(trial.params))
    sampler = SurfaceSampler(SPACE, seed=0)
    asked = [sampler._unit(study.ask(SPACE).params) for _ in range(4)]
    for i, one in enumerate(asked):
        for other in asked[:i]:
            assert np.linalg.norm(one - other) > 0.05


def test_a_pruned_trial_counts_as_what_it_would_have_reached():
    """Two searches that differ in one pruned trial's report differ in the next proposal."""

    def propose(report: float) -> dict[str, float]:
        study = study_of(SurfaceSampler(SPACE, seed=1))
        for _ in range(4):
            trial = study.ask(SPACE)
            trial.report(ridge(trial.params) - 5.0, step=10)
            study.tell(trial, ridge(trial.params))
        trial = study.ask(SPACE)
        trial.report(report, step=10)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return study.ask(SPACE).params

    assert propose(18.0) != propose(25.0)


def test_a_diverged_trial_does_not_bend_the_surface():
    """With one diverged neighbour at -100 dB the search still ends within 1 dB of the top."""
    study = study_of(SurfaceSampler(SPACE, seed=2))
    trial = study.ask(SPACE)
    study.tell(trial, -100.0)
    best = -np.inf
    for _ in range(15):
        trial = study.ask(SPACE)
        best = max(best, ridge(trial.params))
        study.tell(trial, ridge(trial.params))
    assert best > 29.0


def test_the_surface_interpolates_and_knows_where_it_does_not_know():
    """The posterior passes near its observations and is less certain away from them."""
    points = np.random.default_rng(0).random((20, 2))
    scores = 30.0 - 10.0 * np.square(points - 0.5).sum(axis=1)
    surface = fit_surface(points, scores)
    mean, std = surface.predict(points)
    np.testing.assert_allclose(mean, scores, atol=0.3)
    _, far = surface.predict(np.array([[3.0, 3.0]]))
    assert far[0] > 3 * std.max()


def test_expected_improvement_agrees_with_sampling():
    """The closed form equals the mean of max(f - best, 0) over draws, within five standard errors."""
    draws = np.maximum(np.random.default_rng(0).normal(1.0, 2.0, 1_000_000) - 1.5, 0.0)
    value = expected_improvement(np.array([1.0]), np.array([2.0]), 1.5)[0]
    assert abs(value - draws.mean()) < 5 * draws.std() / 1000


@pytest.mark.parametrize("scores", [np.array([]), np.array([np.nan])])
def test_a_surface_without_finite_scores_is_refused(scores):
    """No observation and a NaN are refused with a sentence."""
    with pytest.raises(ValueError, match="finite"):
        fit_surface(np.zeros((len(scores), 2)), scores)


def test_believing_keeps_the_mean_and_takes_the_doubt():
    """Running trials at their predicted scores: the same mean everywhere and less doubt there."""
    generator = np.random.default_rng(0)
    points = generator.random((12, 3))
    surface = fit_surface(points, -np.square(points - 0.4).sum(axis=1) + 0.01 * generator.normal(size=12))
    running, anywhere = generator.random((3, 3)), generator.random((50, 3))
    believed = surface.believing(running)
    assert believed.predict(anywhere)[0] == pytest.approx(surface.predict(anywhere)[0], abs=1e-6)
    assert np.all(believed.predict(anywhere)[1] <= surface.predict(anywhere)[1] + 1e-9)
    assert np.all(believed.predict(running)[1] < 0.9 * surface.predict(running)[1])
    assert believed.lengths is surface.lengths
