"""A closed triangle mesh as a signal: (x, y, z) -> signed distance, negative inside. NumPy and SciPy only."""

from __future__ import annotations

import numpy as np

from vi3nr.mesh_distance import is_inside, signed_distance
from vi3nr.metrics_shape import surface_points
from vi3nr.signals import Signal

__all__ = ["HALF_EXTENT", "open_edges", "shape_grid", "shape_signal", "welded"]

HALF_EXTENT = 0.8  # the longest side of the shape's box reaches from -0.8 to 0.8: room for points outside
NEAR_SHARE = 0.75  # of the points lie near the surface
NEAR_STD = 0.03  # their offset's standard deviation along each axis
INSIDE_SIDE, DISTANCE_SIDE = 48, 20  # points along an axis of the grids that are stored with the signal
JUDGES = 8192  # points of the true surface that Chamfer distances are measured to


def shape_signal(vertices: np.ndarray, faces: np.ndarray, *, points: int = 16_384, seed: int = 0) -> Signal:
    """A closed mesh as a signal.

    The middle of its box goes to the origin and its longest side from -0.8 to 0.8. Three quarters of the points lie
    near the surface: drawn evenly over its area, then moved by a normal offset of std 0.03 along each axis; the others
    are uniform in [-1, 1]^3. The values are the exact signed distances in the same units, negative inside.

    Args:
        vertices: ``(vertex, 3)``, in any units.
        faces: ``(face, 3)``, indices of vertices. Vertices at the same place are one; faces without area are left out.
        points: how many points the signal has.
        seed: what they are drawn from.

    Returns:
        A signal of kind ``shape`` with the extras ``inside`` (bool, a grid of 48^3 points, ``shape_grid(48)``),
        ``distances`` (float32, 20^3 likewise), ``surface`` (points of the true surface), ``vertices`` and ``faces``
        (the mesh in the signal's coordinates).

    Raises:
        ValueError: fewer than eight points, vertices that are not finite, faces that name no vertex, a mesh without
            faces or volume, or one that is not closed: with the number of open edges.
    """
    if points < 8:
        raise ValueError(f"a shape needs at least 8 points, got {points}")
    vertices, faces = welded(vertices, faces)
    missing = open_edges(faces)
    if missing:
        raise ValueError(
            f"the mesh is not watertight: {missing} of its {_edge_count(faces)} edges are open, so that inside and "
            "outside are not told apart; close its holes first"
        )
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    extent = float((high - low).max())
    if not extent > 0.0 or not float((high - low).min()) > 1e-6 * extent:
        raise ValueError("the mesh is flat: it has no inside")
    vertices = (vertices - (low + high) / 2.0) * (2.0 * HALF_EXTENT / extent)
    rng = np.random.default_rng(seed)
    near = round(points * NEAR_SHARE)
    close, _ = surface_points(vertices, faces, near, generator=rng)
    close = np.clip(close + NEAR_STD * rng.standard_normal(close.shape), -1.0, 1.0)
    coordinates = np.concatenate([close, rng.uniform(-1.0, 1.0, (points - near, 3))]).astype(np.float32)
    surface, _ = surface_points(vertices, faces, JUDGES, generator=rng)
    inside = is_inside(vertices, faces, shape_grid(INSIDE_SIDE))
    if not inside.any():
        raise ValueError("the mesh encloses no volume that a grid of 48 points a side could see")
    distances = signed_distance(vertices, faces, shape_grid(DISTANCE_SIDE))
    return Signal(
        coordinates=coordinates,
        values=signed_distance(vertices, faces, coordinates)[:, None].astype(np.float32),
        kind="shape",
        shape=(points,),
        extras={
            "inside": inside.reshape((INSIDE_SIDE,) * 3),
            "distances": distances.reshape((DISTANCE_SIDE,) * 3).astype(np.float32),
            "surface": surface.astype(np.float32),
            "vertices": vertices.astype(np.float32),
            "faces": faces.astype(np.int32),
        },
    )


def shape_grid(side: int) -> np.ndarray:
    """``side``^3 points from -1 to 1 along each axis, float32 ``(point, 3)``; z runs fastest."""
    axis = np.linspace(-1.0, 1.0, side, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def welded(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with one vertex at each place, without faces that have no area in them, without unused vertices.

    Files of textured meshes list a place once for each of its texture's coordinates; STL lists it for every face.
    """
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
        raise ValueError(f"vertices must be finite numbers of shape (vertices, 3), got {vertices.shape}")
    if faces.ndim != 2 or faces.shape[1] != 3 or len(faces) == 0:
        raise ValueError(f"the mesh needs triangles, an array of shape (faces, 3), got {faces.shape}")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(f"a face names vertex {int(faces.max())} or {int(faces.min())} of {len(vertices)}")
    places, index = np.unique(vertices, axis=0, return_inverse=True)
    faces = index.reshape(-1)[faces].astype(np.int64)
    first, second, third = faces.T
    faces = faces[(first != second) & (second != third) & (third != first)]
    if len(faces) == 0:
        raise ValueError("the mesh has no triangle with three corners of its own")
    used, index = np.unique(faces, return_inverse=True)
    return places[used], index.reshape(-1, 3).astype(np.int64)


def open_edges(faces: np.ndarray) -> int:
    """How many edges belong to an odd number of faces: 0 for a closed mesh."""
    return int(np.count_nonzero(_edge_faces(faces) % 2))


def _edge_count(faces: np.ndarray) -> int:
    return len(_edge_faces(faces))


def _edge_faces(faces: np.ndarray) -> np.ndarray:
    """Of each edge, how many faces it has."""
    edges = np.sort(np.asarray(faces, np.int64)[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges[:, 0] * (int(edges.max()) + 1) + edges[:, 1], return_counts=True)
    return np.asarray(counts)
