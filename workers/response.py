"""The response surface of a finished or running search as data: what was learned besides the winner. Pure.

Fitted through the finished trials by the sampler's own Gaussian process: mean and standard deviation over the searched
axes, how far one may move from the best point, which axes matter, and where the theory's own sigma_p lies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from workers.axes import RATIO, SIGMA_A, SIGMA_P, turn_to_ratios
from workers.response_data import AxisRange, AxisResponse, Basin, Observation, Plane, ResponseSurface, TheoryLine
from workers.surface import DEPTH_DB, Surface, fit_surface

__all__ = ["Theory", "expected_finals", "response_surface"]

PROFILE, PLANE, LINE = 33, 17, 17  # points along an axis, along each side of a plane, along the theory's line
FEWEST = 3  # trials for a surface
Theory = Callable[[float], tuple[float, str] | None]
"""``sigma_a`` -> the theory's own ``sigma_p`` and the kind of root; None where it has none."""
BASE = 512  # quasi-random points for the importances
NEAREST = 16  # trials around which the highest point is looked for


def expected_finals(observations: Sequence[Observation]) -> list[float | None]:
    """The score of each: its own; a pruned one's last report plus what the finished ones still gained from there."""
    finals: list[float | None] = []
    for one in observations:
        if one.score is not None or not one.reports:
            finals.append(one.score)
            continue
        step = max(one.reports)
        gains = [o.score - o.reports[step] for o in observations if o.score is not None and step in o.reports]
        finals.append(one.reports[step] + (float(np.mean(gains)) if gains else 0.0))
    return finals


def response_surface(
    axes: Sequence[AxisRange],
    observations: Sequence[Observation],
    *,
    decibel: float = 1.0,
    theory: Theory | None = None,
    sigma_a: float | None = None,
) -> ResponseSurface | None:
    """Fit and describe; None with fewer than three scored trials or no axis.

    Args:
        axes: the searched axes.
        observations: finished trials, complete and pruned.
        decibel: what 1 dB is in units of the score.
        theory: what the theory has for this family; None leaves its line out.
        sigma_a: the number at which it is fixed; needed for the theory's line where no axis searches it.
    """
    scored = [(o, s) for o, s in zip(observations, expected_finals(observations), strict=True) if s is not None]
    if len(scored) < FEWEST or not axes:
        return None
    points = np.array([[axis.position(one.params[axis.name]) for axis in axes] for one, _ in scored])
    scores = np.array([score for _, score in scored])
    turn = turn_to_ratios({axis.name: axis.width for axis in axes})
    surface = fit_surface(points, np.maximum(scores, scores.max() - DEPTH_DB * decibel), turn)
    best = _highest(surface, points)
    mean, std = surface.predict(best[None])
    shares = _importances(surface, len(axes))
    lines = tuple(_along(surface, best, place, axis, shares[place], decibel) for place, axis in enumerate(axes))
    return ResponseSurface(
        trials=len(scored),
        noise=surface.noise * surface.scale,
        best={axis.name: axis.value(float(place)) for axis, place in zip(axes, best, strict=True)},
        best_mean=float(mean[0]),
        best_std=float(std[0]),
        axes=lines,
        plane=_plane(surface, best, axes, _leading(shares)),
        theory_plane=_plane(surface, best, axes, _theirs(axes)),
        theory=None if theory is None else _theory(surface, best, axes, theory, sigma_a),
    )


def _highest(surface: Surface, points: np.ndarray) -> np.ndarray:
    """The highest point of the mean among those that were tried, others near the best of them, and quasi-random ones,
    (axis,).
    """
    cube = _sobol(points.shape[1], 4 * BASE)
    good = points[np.argsort(-surface.mean(points), kind="stable")[:NEAREST]]
    near = np.clip(good[:, None, :] + 0.05 * (cube[None, :64] - 0.5), 0.0, 1.0).reshape(-1, points.shape[1])
    candidates = np.concatenate([points, near, cube])
    return np.asarray(candidates[np.argmax(surface.mean(candidates))])


def _importances(surface: Surface, axes: int) -> np.ndarray:
    """Total indices, (axis,): ``E (f(A) - f(A with the axis of B))^2 / (2 Var f)``.

    Source: Jansen 1999, Computer Physics Communications 117, 35-43.
    """
    pair = _sobol(2 * axes, BASE)
    first, second = pair[:, :axes], pair[:, axes:]
    values = surface.mean(first)
    variance = float(values.var())
    shares = np.zeros(axes)
    for axis in range(axes):
        mixed = first.copy()
        mixed[:, axis] = second[:, axis]
        shares[axis] = np.square(values - surface.mean(mixed)).mean() / 2
    return shares / variance if variance > 0.0 else shares


def _along(
    surface: Surface, best: np.ndarray, place: int, axis: AxisRange, importance: float, decibel: float
) -> AxisResponse:
    positions = np.linspace(0.0, 1.0, PROFILE)
    points = np.repeat(best[None], PROFILE, axis=0)
    points[:, place] = positions
    mean, std = surface.predict(points)
    return AxisResponse(
        name=axis.name, low=axis.low, high=axis.high, log=axis.log,
        importance=round(float(importance), 4),
        basin=_basin(surface, best, place, axis, decibel),
        values=tuple(axis.value(float(position)) for position in positions),
        mean=_rounded(mean), std=_rounded(std),
    )  # fmt: skip


def _basin(surface: Surface, best: np.ndarray, place: int, axis: AxisRange, decibel: float) -> Basin:
    """Walk from the best point both ways until the expected score has fallen by 1 dB."""
    top = float(surface.mean(best[None])[0])
    ends, opens = [], []
    for end in (0.0, 1.0):
        walk = np.linspace(best[place], end, 200)
        points = np.repeat(best[None], len(walk), axis=0)
        points[:, place] = walk
        below = np.flatnonzero(surface.mean(points) < top - decibel)
        opens.append(len(below) == 0)
        ends.append(axis.value(float(walk[below[0] - 1] if len(below) else end)))
    return Basin(ends[0], ends[1], opens[0], opens[1])


def _leading(shares: np.ndarray) -> tuple[int, int] | None:
    """The places of the two axes that matter most."""
    return max(combinations(range(len(shares)), 2), key=lambda pair: shares[pair[0]] + shares[pair[1]], default=None)


def _theirs(axes: Sequence[AxisRange]) -> tuple[int, int] | None:
    """The places of sigma_a and of sigma_p or rho: a search has one of these two at most."""
    places = {axis.name: place for place, axis in enumerate(axes)}
    others = [places[name] for name in (RATIO, SIGMA_P) if name in places]
    return (places[SIGMA_A], others[0]) if SIGMA_A in places and others else None


def _plane(surface: Surface, best: np.ndarray, axes: Sequence[AxisRange], pair: tuple[int, int] | None) -> Plane | None:
    if pair is None:
        return None
    x, y = pair
    side = np.linspace(0.0, 1.0, PLANE)
    points = np.repeat(best[None], PLANE * PLANE, axis=0)
    points[:, x], points[:, y] = np.tile(side, PLANE), np.repeat(side, PLANE)
    mean, std = (part.reshape(PLANE, PLANE) for part in surface.predict(points))
    return Plane(
        x=axes[x].name, y=axes[y].name,
        x_values=tuple(axes[x].value(float(place)) for place in side),
        y_values=tuple(axes[y].value(float(place)) for place in side),
        mean=tuple(_rounded(row) for row in mean), std=tuple(_rounded(row) for row in std),
    )  # fmt: skip


def _theory(
    surface: Surface, best: np.ndarray, axes: Sequence[AxisRange], theory: Theory, sigma_a: float | None
) -> TheoryLine | None:
    """Across the searched ``sigma_a``, or the single point at the fixed one."""
    places = {axis.name: place for place, axis in enumerate(axes)}
    searched = places.get(SIGMA_A)
    if searched is not None:
        sigma_a = axes[searched].value(float(best[searched]))
    own = None if sigma_a is None or not {SIGMA_P, RATIO} & places.keys() else theory(sigma_a)
    if sigma_a is None or own is None:
        return None
    along = (sigma_a,) if searched is None else [axes[searched].value(float(at)) for at in np.linspace(0.0, 1.0, LINE)]
    known = [(scale, found[0]) for scale in along if (found := theory(scale)) is not None]
    other = RATIO if RATIO in places else SIGMA_P
    wanted = [axes[places[other]].position(sigma_p / scale if other == RATIO else sigma_p) for scale, sigma_p in known]
    points = np.repeat(best[None], len(known), axis=0)
    points[:, places[other]] = wanted
    if searched is not None:
        points[:, searched] = [axes[searched].position(scale) for scale, _ in known]
    mean, std = surface.predict(points)
    inside = [0.0 <= place <= 1.0 for place in wanted]
    return TheoryLine(
        rho=own[0] / sigma_a, kind=own[1],
        sigma_a=tuple(scale for scale, _ in known), sigma_p=tuple(sigma_p for _, sigma_p in known),
        mean=tuple(value if there else None for value, there in zip(_rounded(mean), inside, strict=True)),
        std=tuple(value if there else None for value, there in zip(_rounded(std), inside, strict=True)),
    )  # fmt: skip


def _sobol(axes: int, number: int) -> np.ndarray:
    """Quasi-random points of the unit cube, (point, axis)."""
    from scipy.stats import qmc  # a third of the time that the API takes to start, which has no use for it until then

    return np.asarray(qmc.Sobol(axes, scramble=False).random(number))


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
