"""Exact signed distances to a closed triangle mesh. NumPy and SciPy only.

The distance is that to the nearest point of the nearest triangle; candidates come from k-d trees of the triangles'
centres, so that none is missed. The sign comes from the winding number along a ray: what crosses the surface, counted
with its orientation. Two rays have to agree, else a third decides: one that meets an edge to the last bit does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy  # its parts are loaded when they are first used

__all__ = ["distance_to_triangles", "is_balanced", "is_inside", "signed_distance"]

NEAREST = 6  # triangles tried first: their distance bounds the search
PAIRS = 2_000_000  # (point, triangle) pairs at a time: 200 MB
RAYS, RAY_SEED = 3, 20_240_501
MOST_BINS = 128  # along an axis of the plane that rays are sorted in


def signed_distance(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of each point to the mesh, negative inside; float64 ``(point,)``.

    Args:
        vertices: ``(vertex, 3)``.
        faces: ``(face, 3)``, indices of vertices; each edge belongs to an even number of faces.
        points: ``(point, 3)``, in the vertices' units.
    """
    distance = distance_to_triangles(np.asarray(vertices, np.float64)[faces], points)
    return np.where(is_inside(vertices, faces, points), -distance, distance)


def is_balanced(faces: np.ndarray) -> bool:
    """Whether each edge is run through as often in one direction as in the other: the faces are oriented alike."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    lower, upper = edges.min(axis=1), edges.max(axis=1)
    _, place = np.unique(lower * (int(faces.max()) + 1) + upper, return_inverse=True)
    return not np.bincount(place, np.where(edges[:, 0] < edges[:, 1], 1, -1)).any()


def distance_to_triangles(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of each point to the nearest triangle; ``corners`` is ``(face, corner, axis)``."""
    points = np.asarray(points, np.float64)
    centres = corners.mean(axis=1)
    radii = np.linalg.norm(corners - centres[:, None], axis=2).max(axis=1)
    _, near = scipy.spatial.cKDTree(centres).query(points, min(NEAREST, len(corners)))
    near = near.reshape(len(points), -1)
    squared = np.full(len(points), np.inf)
    for column in near.T:
        np.minimum(squared, _squared_distance(points, corners[column]), out=squared)
    octaves = np.floor(np.log2(np.maximum(radii, radii.max() * 1e-6)))  # triangles of like size share a tree
    for octave in np.unique(octaves):
        members = np.flatnonzero(octaves == octave)
        tree, reach = scipy.spatial.cKDTree(centres[members]), float(radii[members].max())
        for chosen, found in _candidates(tree, points, np.sqrt(squared) + reach):
            triangles = members[found]
            apart = np.linalg.norm(centres[triangles] - points[chosen], axis=1) - radii[triangles]
            hopeful = apart <= np.sqrt(squared[chosen])  # the others cannot be nearer than what is known
            one, triangle = chosen[hopeful], triangles[hopeful]
            np.minimum.at(squared, one, _squared_distance(points[one], corners[triangle]))
    return np.asarray(np.sqrt(squared))


def _candidates(
    tree: scipy.spatial.cKDTree, points: np.ndarray, radii: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (point, member of the tree) that lie within the point's radius, a bounded number at a time."""
    counts = tree.query_ball_point(points, radii, return_length=True)
    bounds = np.cumsum(counts)
    begin = 0
    while begin < len(points):
        offset = bounds[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(bounds, offset + PAIRS, side="right")))
        found = tree.query_ball_point(points[begin:end], radii[begin:end])
        yield np.repeat(np.arange(begin, end), counts[begin:end]), np.concatenate([*found, []]).astype(np.intp)
        begin = end


def _squared_distance(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Of each point to its own triangle: to the plane where the foot lies within, else to the nearest edge."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    area = _dot(normal, normal)
    within = np.ones(len(points), bool)
    nearest = np.full(len(points), np.inf)
    for first, second in ((a, b), (b, c), (c, a)):
        edge, towards = second - first, points - first
        within &= _dot(np.cross(edge, towards), normal) >= 0.0
        length = _dot(edge, edge)
        share = np.divide(_dot(towards, edge), length, out=np.zeros_like(length), where=length > 0.0)
        apart = towards - np.clip(share, 0.0, 1.0)[:, None] * edge
        np.minimum(nearest, _dot(apart, apart), out=nearest)
    height = _dot(points - a, normal)
    plane = np.divide(height * height, area, out=np.full_like(area, np.inf), where=area > 0.0)
    return np.asarray(np.where(within, plane, nearest))


def is_inside(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether each point lies inside, bool ``(point,)``: winding number not 0 along the rays.

    Where the faces are not oriented alike, the number of crossings decides by its parity.
    """
    vertices, points = np.asarray(vertices, np.float64), np.asarray(points, np.float64)
    oriented = is_balanced(faces)

    def vote(turn: scipy.spatial.transform.Rotation, chosen: np.ndarray) -> np.ndarray:
        crossings = _crossings(turn.apply(vertices)[faces], turn.apply(points[chosen]), signed=oriented)
        verdict: np.ndarray = (crossings != 0) if oriented else (crossings % 2 == 1)
        return verdict

    first, second, third = scipy.spatial.transform.Rotation.random(RAYS, rng=np.random.default_rng(RAY_SEED))
    everyone = np.arange(len(points))
    inside, other = vote(first, everyone), vote(second, everyone)
    unsure = np.flatnonzero(inside != other)
    if len(unsure):
        inside[unsure] = vote(third, unsure)
    return inside


def _crossings(corners: np.ndarray, points: np.ndarray, *, signed: bool) -> np.ndarray:
    """How often the ray from each point along the third axis meets a triangle, with its orientation if ``signed``."""
    bins, low, scale, triangles, begins = _bins(corners[:, :, :2])
    place = np.floor((points[:, :2] - low) * scale)
    covered = ((place >= 0) & (place < bins)).all(axis=1)
    found = np.zeros(len(points), np.intp)
    (rest,) = np.nonzero(covered)
    cell = (place[rest, 0] * bins + place[rest, 1]).astype(np.intp)
    counts = begins[cell + 1] - begins[cell]
    bounds, begin = np.cumsum(counts), 0
    while begin < len(rest):
        offset = bounds[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(bounds, offset + PAIRS, side="right")))
        many = counts[begin:end]
        chosen = np.repeat(rest[begin:end], many)
        within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        pairs = triangles[np.repeat(begins[cell[begin:end]], many) + within]
        np.add.at(found, chosen, _meets(points[chosen], corners[pairs], signed=signed))
        begin = end
    return found


def _bins(flat: np.ndarray) -> tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The triangles ``(face, corner, 2)`` sorted into square bins: bins along an axis, origin, bins per unit, the
    triangles bin by bin, and where each bin begins.
    """
    low, high = flat.min(axis=(0, 1)), flat.max(axis=(0, 1))
    bins = int(np.clip(np.sqrt(len(flat)), 1, MOST_BINS))
    while True:
        scale = bins / (np.maximum(high - low, 1e-300) * (1.0 + 1e-9))
        first = np.floor((flat.min(axis=1) - low) * scale).astype(np.intp)
        spread = np.floor((flat.max(axis=1) - low) * scale).astype(np.intp) - first + 1
        entries = spread.prod(axis=1)
        if bins == 1 or entries.sum() <= 16 * len(flat) + PAIRS:
            break
        bins //= 2
    face = np.repeat(np.arange(len(flat)), entries)
    within = np.arange(len(face)) - np.repeat(np.cumsum(entries) - entries, entries)
    row, column = np.divmod(within, spread[face, 1])
    cell = (first[face, 0] + row) * bins + first[face, 1] + column
    order = np.argsort(cell, kind="stable")
    return bins, low, scale, face[order], np.searchsorted(cell[order], np.arange(bins * bins + 1))


def _meets(points: np.ndarray, corners: np.ndarray, *, signed: bool) -> np.ndarray:
    """1 where the ray along the third axis meets its triangle, -1 where that faces the other way, else 0."""
    flat = corners[:, :, :2] - points[:, None, :2]
    x, y = flat[:, :, 0], flat[:, :, 1]
    parts = [x[:, i] * y[:, j] - x[:, j] * y[:, i] for i, j in ((1, 2), (2, 0), (0, 1))]  # twice the areas
    total = parts[0] + parts[1] + parts[2]
    hit = np.logical_and.reduce([part > 0 for part in parts]) | np.logical_and.reduce([part < 0 for part in parts])
    height = sum(part * corners[:, k, 2] for k, part in enumerate(parts))
    with np.errstate(divide="ignore", invalid="ignore"):
        above = height / total > points[:, 2]
    meets = (hit & above).astype(np.intp)
    return np.asarray(np.where(total < 0, -meets, meets)) if signed else meets


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    products: np.ndarray = np.einsum("pa,pa->p", first, second)
    return products
