"""The response surface of a finished or running search as data: what was learned besides the winner. Pure.

Fitted through the finished trials by the sampler's own Gaussian process: mean and standard deviation over the searched
axes, how far one may move from the best point, which axes matter, and where the theory's own sigma_p lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from workers.axes import RATIO, SIGMA_A, SIGMA_P
from workers.response_data import AxisRange, AxisResponse, Basin, Observation, Plane, ResponseSurface, TheoryLine
from workers.surface import DEPTH_DB, Surface, fit_surface

__all__ = ["expected_finals", "response_surface"]

PROFILE, PLANE, LINE = 33, 17, 17  # points along an axis, along each side of a plane, along the theory's line
FEWEST = 3  # trials for a surface
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
    theory: tuple[float, str] | None = None,
    theory_plane: bool = False,
) -> ResponseSurface | None:
    """Fit and describe; None with fewer than three scored trials or no axis.

    Args:
        axes: the searched axes.
        observations: finished trials, complete and pruned.
        decibel: what 1 dB is in units of the score.
        theory: the theory's rho and the kind of root; None if it has none.
        theory_plane: the plane over sigma_a and sigma_p, in which the theory's line lies, where both were searched;
            else, and by default, that of the two most important axes.
    """
    scored = [(o, s) for o, s in zip(observations, expected_finals(observations), strict=True) if s is not None]
    if len(scored) < FEWEST or not axes:
        return None
    points = np.array([[axis.position(one.params[axis.name]) for axis in axes] for one, _ in scored])
    scores = np.array([score for _, score in scored])
    surface = fit_surface(points, np.maximum(scores, scores.max() - DEPTH_DB * decibel))
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
        plane=_plane(surface, best, axes, shares, theory_plane),
        theory=None if theory is None else _theory(surface, best, axes, theory),
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


def _plane(
    surface: Surface, best: np.ndarray, axes: Sequence[AxisRange], shares: np.ndarray, theory_plane: bool
) -> Plane | None:
    if len(axes) < 2:
        return None
    places = {axis.name: place for place, axis in enumerate(axes)}
    theirs = [places[name] for name in (SIGMA_A, RATIO, SIGMA_P) if name in places]  # a search has one of the last two
    if theory_plane and SIGMA_A in places and len(theirs) == 2:
        x, y = theirs
    else:
        x, y = max(combinations(range(len(axes)), 2), key=lambda pair: shares[pair[0]] + shares[pair[1]])
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
    surface: Surface, best: np.ndarray, axes: Sequence[AxisRange], theory: tuple[float, str]
) -> TheoryLine | None:
    places = {axis.name: place for place, axis in enumerate(axes)}
    if SIGMA_A not in places or not {SIGMA_P, RATIO} & places.keys():
        return None
    rho, kind = theory
    searched = axes[places[SIGMA_A]]
    scales = np.array([searched.value(float(place)) for place in np.linspace(0.0, 1.0, LINE)])
    other = RATIO if RATIO in places else SIGMA_P
    wanted = [axes[places[other]].position(rho if other == RATIO else rho * float(scale)) for scale in scales]
    points = np.repeat(best[None], LINE, axis=0)
    points[:, places[SIGMA_A]] = np.linspace(0.0, 1.0, LINE)
    points[:, places[other]] = wanted
    mean, std = surface.predict(points)
    inside = [0.0 <= place <= 1.0 for place in wanted]
    return TheoryLine(
        rho=rho, kind=kind,
        sigma_a=tuple(float(scale) for scale in scales), sigma_p=tuple(float(rho * scale) for scale in scales),
        mean=tuple(value if there else None for value, there in zip(_rounded(mean), inside, strict=True)),
        std=tuple(value if there else None for value, there in zip(_rounded(std), inside, strict=True)),
    )  # fmt: skip


def _sobol(axes: int, number: int) -> np.ndarray:
    """Quasi-random points of the unit cube, (point, axis)."""
    from scipy.stats import qmc  # a third of the time that the API takes to start, which has no use for it until then

    return np.asarray(qmc.Sobol(axes, scramble=False).random(number))


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
