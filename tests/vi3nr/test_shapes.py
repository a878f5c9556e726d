"""Closed meshes as signals: the distances and their signs are right, and what is not closed is refused."""

import numpy as np
import pytest
import trimesh
from real_data import mesh

from vi3nr.mesh_distance import distance_to_triangles, is_inside, signed_distance
from vi3nr.shapes import HALF_EXTENT, open_edges, shape_grid, shape_signal, welded
from vi3nr.signals import Signal
from vi3nr.spectrum import spectral_extent

POINTS = np.random.default_rng(3).uniform(-1, 1, (3000, 3))


def box() -> tuple[np.ndarray, np.ndarray]:
    """The corners and triangles of a box."""
    made = trimesh.creation.box(extents=(1.0, 0.6, 1.4))
    return np.asarray(made.vertices), np.asarray(made.faces)


def test_distances_to_a_box_are_exact() -> None:
    """Against the formula of the box's signed distance, in its corners' and edges' regions as well."""
    over = np.abs(POINTS) - np.array([0.5, 0.3, 0.7])
    truth = np.linalg.norm(np.maximum(over, 0), axis=1) + np.minimum(over.max(axis=1), 0)
    found = signed_distance(*box(), POINTS)
    np.testing.assert_allclose(found, truth, atol=1e-12)


def test_distances_to_round_shapes_are_those_of_the_facets() -> None:
    """A sphere's and a torus' formulas hold within the height of a facet's arc; the sign holds everywhere else."""
    radius = np.linalg.norm(POINTS, axis=1)
    ring = np.hypot(np.linalg.norm(POINTS[:, :2], axis=1) - 0.6, POINTS[:, 2])
    for shape, truth, sagitta in (
        (trimesh.creation.icosphere(4, 0.7), radius - 0.7, 0.7 * 0.04**2),
        (trimesh.creation.torus(0.6, 0.25, 96, 48), ring - 0.25, 0.85 * 0.06**2),
    ):
        found = signed_distance(np.asarray(shape.vertices), np.asarray(shape.faces), POINTS)
        np.testing.assert_allclose(found, truth, atol=sagitta)


def test_a_real_mesh_agrees_with_independent_computations() -> None:
    """Distances with trimesh's exhaustive search, signs with the solid angles of all triangles, near and far."""
    vertices, faces = welded(*mesh())
    vertices = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    vertices *= 0.8 / np.abs(vertices).max()
    near = vertices[::40] + 0.03 * np.random.default_rng(0).standard_normal(vertices[::40].shape)
    points = np.concatenate([POINTS[:40], near[:60]])
    corners = vertices[faces]
    whole = trimesh.Trimesh(vertices, faces, process=False)
    _, reference, _ = trimesh.proximity.closest_point_naive(whole, points)
    np.testing.assert_allclose(distance_to_triangles(corners, points), reference, atol=1e-9)
    np.testing.assert_array_equal(is_inside(vertices, faces, points), np.abs(_winding(corners, points)) > 0.5)


def _winding(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The sum of the triangles' solid angles over 4 pi (Van Oosterom and Strackee 1983)."""
    a, b, c = (corners[None, :, k] - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(side, axis=2) for side in (a, b, c))
    above = np.einsum("pfa,pfa->pf", a, np.cross(b, c))
    below = la * lb * lc + (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
    return np.arctan2(above, below).sum(axis=1) / (2 * np.pi)


def test_sign_holds_for_meshes_turned_inside_out_mixed_or_overlapping() -> None:
    """Whichever way the faces are oriented; where two bodies overlap, the overlap is inside."""
    ball = trimesh.creation.icosphere(2, 0.6)
    vertices, faces = np.asarray(ball.vertices), np.asarray(ball.faces)
    mixed = faces.copy()
    mixed[::3] = mixed[::3, ::-1]
    truth = is_inside(vertices, faces, POINTS)
    assert np.mean(truth) == pytest.approx(ball.volume / 8, abs=0.02)
    for other in (faces[:, ::-1], mixed):
        np.testing.assert_array_equal(is_inside(vertices, other, POINTS), truth)
    moved = vertices + np.array([0.3, 0.0, 0.0])
    both = np.concatenate([vertices, moved]), np.concatenate([faces, faces + len(vertices)])
    np.testing.assert_array_equal(is_inside(*both, POINTS), truth | is_inside(moved, faces, POINTS))


def test_a_shape_becomes_a_signal() -> None:
    """Kind, box, the share of points near the surface, the grids that it is judged on, and the same from one seed."""
    vertices, faces = mesh()
    signal = shape_signal(vertices * 17 + 5, faces, points=1000)
    assert (signal.kind, signal.shape, signal.values.shape) == ("shape", (1000,), (1000, 1))
    placed = signal.extras["vertices"]
    np.testing.assert_allclose((placed.min(axis=0) + placed.max(axis=0)) / 2, 0.0, atol=1e-6)
    assert np.abs(placed).max() == pytest.approx(HALF_EXTENT)
    near = np.abs(signal.values[:750])
    assert np.mean(near < 0.06) > 0.9  # most within two standard deviations of the offset
    assert np.mean(np.abs(signal.values[750:])) > 5 * near.mean()
    truth = is_inside(placed.astype(np.float64), signal.extras["faces"], shape_grid(48))
    np.testing.assert_array_equal(signal.extras["inside"].ravel(), truth)
    first, again, other = (shape_signal(*box(), points=100, seed=seed).values for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 0.5 < spectral_extent(signal, 0.8) < spectral_extent(signal, 0.95)
    again = Signal.from_bytes(signal.to_bytes())
    assert again.extras.keys() == signal.extras.keys()
    np.testing.assert_array_equal(again.extras["inside"], signal.extras["inside"])


def test_seams_are_welded() -> None:
    """A mesh that lists its places once for each face, as STL does, is as closed as it was."""
    ball = trimesh.creation.icosphere(1)
    loose = np.asarray(ball.vertices)[ball.faces].reshape(-1, 3)
    faces = np.arange(len(loose)).reshape(-1, 3)
    assert open_edges(faces) == len(loose)
    assert open_edges(welded(loose, faces)[1]) == 0


def test_what_is_not_closed_is_refused_with_its_open_edges() -> None:
    """The number of open edges is told; so are flat meshes, wrong indices and numbers that are none."""
    ball = trimesh.creation.icosphere(1)
    vertices, faces = np.asarray(ball.vertices), np.asarray(ball.faces)
    with pytest.raises(ValueError, match="not watertight: 3 of its 120 edges are open"):
        shape_signal(vertices, faces[1:])
    with pytest.raises(ValueError, match="flat"):
        shape_signal(vertices * [1, 1, 0], faces)
    with pytest.raises(ValueError, match="names vertex 42"):
        shape_signal(vertices[:40], np.where(faces == 41, 42, faces))
    with pytest.raises(ValueError, match="finite"):
        shape_signal(np.where(vertices > 0.5, np.nan, vertices), faces)
    with pytest.raises(ValueError, match="needs triangles"):
        shape_signal(vertices, faces[:0])
