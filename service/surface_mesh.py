"""A mesh as a file and as a picture: PLY, and shaded pixels."""

from __future__ import annotations

import numpy as np

from vi3nr.metrics_shape import surface_points

__all__ = ["ply", "shaded"]

PER_PIXEL = 12  # points that a picture is drawn with: few pixels stay empty
TURN, TILT = np.radians(30.0), np.radians(20.0)  # of the camera around y, and down from above
LIGHT = np.array([-0.45, 0.6, 0.66])


def ply(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    """The mesh as a binary PLY file."""
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    return header.encode() + np.asarray(vertices, "<f4").tobytes() + rows.tobytes()


def shaded(vertices: np.ndarray, faces: np.ndarray, size: int = 384) -> np.ndarray:
    """A picture of a mesh, uint8 ``(size, size)``: lit from the upper left in front, on white; y points up.

    Points all over the triangles are projected, the nearest of each pixel wins and shows how its triangle faces the
    light.
    """
    vertices = np.asarray(vertices, np.float64)
    placed = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2.0
    cos, sin, down, up = np.cos(TURN), np.sin(TURN), np.sin(TILT), np.cos(TILT)
    camera = np.array([[cos, 0.0, -sin], [-down * sin, up, -down * cos], [up * sin, down, up * cos]])
    corners = (placed @ camera.T)[faces]  # (face, corner, axis): right, up, towards the viewer
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    scale = size * 0.92 / np.abs(corners[:, :, :2]).max() / 2.0
    front = normals[:, 2] > 0.0
    corners, normals = corners[front], normals[front]
    count = PER_PIXEL * size * size
    points, face = surface_points(
        corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3), count, generator=np.random.default_rng(0)
    )
    column = np.clip((size / 2 + points[:, 0] * scale).astype(np.intp), 0, size - 1)
    row = np.clip((size / 2 - points[:, 1] * scale).astype(np.intp), 0, size - 1)
    order = np.argsort(points[:, 2], kind="stable")  # the nearest is written last
    picture = np.full((size, size), 255, np.uint8)
    brightness = 40.0 + 190.0 * np.clip(normals @ (LIGHT / np.linalg.norm(LIGHT)), 0.0, 1.0)
    picture[row[order], column[order]] = brightness[face[order]].astype(np.uint8)
    return picture
