"""The surface that signed distances enclose, by marching cubes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vi3nr.metrics_shape import surface_points
from vi3nr.shapes import shape_grid

__all__ = ["extract", "extracted_points", "points_of", "surface_of"]

SIDE = 64  # grid points along an axis
POINTS, POINT_SEED = 8192, 0

Distances = Callable[[np.ndarray], np.ndarray]
Mesh = tuple[np.ndarray, np.ndarray]


def extract(distances: Distances, side: int = SIDE) -> Mesh | None:
    """The surface where a function from points ``(point, 3)`` to signed distances is 0: vertices ``(vertex, 3)`` in
    [-1, 1] and faces, outward; None where there is none.
    """
    return surface_of(np.asarray(distances(shape_grid(side))))


def surface_of(distances: np.ndarray) -> Mesh | None:
    """The same from the distances at ``vi3nr.shapes.shape_grid(side)``, ``(side^3,)``."""
    from skimage.measure import marching_cubes  # not for those who train no shapes

    side = round(len(distances) ** (1 / 3))
    grid = distances.astype(np.float64).reshape(side, side, side)
    if not (np.isfinite(grid).all() and grid.min() < 0.0 < grid.max()):
        return None
    steps = (2.0 / (side - 1),) * 3
    vertices, faces, _, _ = marching_cubes(grid, 0.0, spacing=steps, gradient_direction="descent")  # type: ignore[no-untyped-call]
    return vertices.astype(np.float64) - 1.0, faces.astype(np.int64)


def extracted_points(distances: Distances, side: int = SIDE) -> np.ndarray:
    """Points spread over the extracted surface, ``(point, 3)``; none where there is none."""
    return points_of(extract(distances, side))


def points_of(mesh: Mesh | None) -> np.ndarray:
    """Points spread over a surface; none over none."""
    if mesh is None:
        return np.empty((0, 3))
    return surface_points(*mesh, POINTS, generator=np.random.default_rng(POINT_SEED))[0]
