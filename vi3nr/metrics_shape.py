"""How well a shape is matched: overlap, mean absolute distance and Chamfer distance. NumPy and SciPy only."""

from __future__ import annotations

import numpy as np
import scipy  # its parts are loaded when they are first used

__all__ = ["chamfer_distance", "intersection_over_union", "mean_absolute_distance", "surface_points"]


def intersection_over_union(prediction: np.ndarray, target: np.ndarray) -> float:
    """Share of the points inside either shape that lie inside both, in [0, 1].

    Args:
        prediction: bool, whether each of some fixed points lies inside.
        target: the same of the true shape.

    Raises:
        ValueError: shapes that differ, or arrays that are not bool.
    """
    first, second = np.asarray(prediction), np.asarray(target)
    if first.shape != second.shape or first.dtype != np.bool_ or second.dtype != np.bool_:
        raise ValueError(f"got {first.dtype} {first.shape} and {second.dtype} {second.shape}, not bool of one shape")
    union = int(np.count_nonzero(first | second))
    return 1.0 if union == 0 else int(np.count_nonzero(first & second)) / union


def mean_absolute_distance(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean of ``|prediction - target|``: the error of the signed distances, in units of the coordinates.

    Raises:
        ValueError: shapes that differ, or empty arrays.
    """
    first, second = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    if first.shape != second.shape or first.size == 0:
        raise ValueError(f"prediction {first.shape} and target {second.shape} must be of one shape and not empty")
    return float(np.mean(np.abs(first - second)))


def chamfer_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Mean over both ways of the distance from each point to the nearest one of the other set.

    ``(mean_a min_b |a - b| + mean_b min_a |a - b|) / 2``, in units of the coordinates. Distances, not their squares.

    Args:
        first: points ``(point, axis)``.
        second: points ``(point, axis)``; the two sets need not have the same number.

    Raises:
        ValueError: another shape, or an empty set.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1] or min(len(one), len(other)) == 0:
        raise ValueError(f"point sets must be (points, axes) and not empty, got {one.shape} and {other.shape}")
    there, _ = scipy.spatial.cKDTree(other).query(one)
    back, _ = scipy.spatial.cKDTree(one).query(other)
    return float(np.mean(there) + np.mean(back)) / 2.0


def surface_points(
    vertices: np.ndarray, faces: np.ndarray, count: int, *, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """``count`` points spread evenly over a triangle mesh, and the face of each.

    Args:
        vertices: ``(vertex, 3)``.
        faces: ``(face, 3)``, indices of vertices.
        count: how many points.
        generator: what they are drawn from.

    Raises:
        ValueError: a mesh without area.
    """
    corners = np.asarray(vertices, np.float64)[np.asarray(faces)]  # (face, corner, axis)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    if not areas.sum() > 0.0:
        raise ValueError("the mesh has no area")
    chosen = generator.choice(len(areas), size=count, p=areas / areas.sum())
    first, second = np.sqrt(generator.random(count)), generator.random(count)
    shares = np.stack([1.0 - first, first * (1.0 - second), first * second], axis=1)  # (point, corner)
    return np.einsum("pc,pca->pa", shares, corners[chosen]), chosen
