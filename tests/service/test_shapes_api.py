"""Meshes over HTTP: every format that trimesh writes is read, what is no closed mesh is refused, and quickly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from starlette.testclient import TestClient

from service.blobs import BlobStore
from service.settings import Settings
from service.surface_mesh import ply, shaded
from vi3nr.metrics_shape import chamfer_distance, surface_points
from vi3nr.signals import Signal
from workers.marching import extract, extracted_points

MESHES = Path(__file__).parents[3] / "shared" / "data" / "meshes"
TORUS = trimesh.creation.torus(1.0, 0.4, major_sections=16, minor_sections=8)


def exported(mesh: trimesh.Trimesh, kind: str, **options: str) -> bytes:
    """The mesh as trimesh writes it."""
    data = trimesh.exchange.export.export_mesh(mesh, None, file_type=kind, **options)
    return data if isinstance(data, bytes) else data.encode()


def sent(client: TestClient, data: bytes, name: str = "mesh.bin", **options: str) -> tuple[int, dict]:
    answer = client.post("/v1/datasets", files={"files": (name, data)}, data=options)
    return answer.status_code, answer.json()


def stored(settings: Settings) -> list[Signal]:
    """The signals in the blob store."""
    blobs = BlobStore(settings.blob_dir)
    return [Signal.from_bytes(blobs.get(path.name)) for path in settings.blob_dir.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["obj", "ply", "stl", "off", "stl_ascii"])
def test_every_format_becomes_the_same_shape(client: TestClient, settings: Settings, kind: str) -> None:
    """By its content, whatever its name says; seams are closed; the grids that it is judged on are stored with it."""
    status, body = sent(client, exported(TORUS, kind), "photo.png", samples="400")
    assert status == 201, body
    assert (body["kind"], body["points"], body["in_dim"], body["out_dim"]) == ("shape", 400, 3, 1)
    assert body["axes"] == ["x", "y", "z"]
    assert body["value_range"] == pytest.approx([-1.75, 1.75], rel=1e-3)  # of the file's units become -1 and 1
    assert body["notes"][0].startswith("300 of 400 points lie near the surface")
    (signal,) = stored(settings)
    ring = np.hypot(np.linalg.norm(signal.coordinates[:, :2], axis=1) * 1.75 - 1.0, signal.coordinates[:, 2] * 1.75)
    np.testing.assert_allclose(signal.values[:, 0] * 1.75, ring - 0.4, atol=0.08)
    cell = (2 / 47) ** 3  # the volume that stands for a point of the grid
    assert signal.extras["inside"].sum() * cell == pytest.approx(TORUS.volume / 1.75**3, rel=0.05)


def test_a_real_mesh_goes_through(client: TestClient) -> None:
    """A published mesh where there is one, else quads of a box: 201, three quarters of its points near the surface."""
    file = MESHES / "decimated-knight_libigl.off"
    box = b"".join(b"v %d %d %d\n" % (x, y, z) for x in (0, 2) for y in (0, 1) for z in (0, 1))
    box += b"f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
    status, body = sent(client, file.read_bytes() if file.exists() else box, samples="200")
    assert status == 201, body
    assert (body["kind"], body["points"]) == ("shape", 200)


def _open_ball() -> bytes:
    ball = trimesh.creation.icosphere(1)
    ball.update_faces(np.arange(len(ball.faces)) > 2)
    return exported(ball, "ply")


PLY = b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
VERTICES = b"v 0 0 0\nv 1 0 0\nv 1 1 0\n"
REFUSED = [
    (_open_ball(), 422, "9 of its 120 edges are open"),
    (
        PLY + b"element face 1000000000\nproperty list uchar int vertex_indices\nend_header\n" + bytes(60),
        422,
        "announc",
    ),
    (b"OFF\n4 1000000000 0\n0 0 0\n", 422, "announces 1000000000 x face in 25 bytes"),
    (bytes(80) + (10**9).to_bytes(4, "little") + bytes(50), 415, "of no known kind"),
    (VERTICES + b"f 1 2 3\n" * 200_001, 422, "at most 200000"),
    (VERTICES + b"f 1 2 99999999999999999999\n", 422, "damaged"),
    (VERTICES.replace(b"v 1 1 0", b"v nan 1 0") + b"f 1 2 3\n", 422, "finite"),
    (VERTICES, 422, ""),
    (b"solid of nothing\nendsolid\n", 415, "of no known kind"),
]


@pytest.mark.parametrize(("data", "status", "sentence"), REFUSED)
def test_what_is_no_closed_mesh_is_refused(client: TestClient, data: bytes, status: int, sentence: str) -> None:
    """4xx with a sentence that names the file and says what is wrong with it."""
    found, body = sent(client, data)
    assert found == status, body
    assert sentence in body["errors"][0]["message"]
    assert body["errors"][0]["field"] == "files"


def test_an_image_is_no_shape_and_a_shape_takes_no_crop(client: TestClient) -> None:
    """A kind that the content is not is 415, an option that shapes have not is named."""
    assert sent(client, exported(TORUS, "ply"), kind="image")[0] == 415
    status, body = sent(client, exported(TORUS, "ply"), crop="0:1")
    assert (status, body["errors"][0]["field"]) == (422, "crop")


def _ball(points: np.ndarray) -> np.ndarray:
    """Signed distances of a ball of radius 0.6."""
    return np.linalg.norm(points, axis=1) - 0.6


def test_a_surface_is_extracted_as_a_closed_mesh_and_drawn() -> None:
    """Marching cubes on a ball: closed, outward, the right size; its PLY is read by trimesh; its picture is a disc."""
    mesh = extract(_ball)
    assert mesh is not None
    ball = trimesh.load_mesh(trimesh.util.wrap_as_stream(ply(*mesh)), file_type="ply")
    assert ball.is_watertight
    assert ball.volume == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.01)
    truth = trimesh.creation.icosphere(4, 0.6)
    points, _ = surface_points(truth.vertices, truth.faces, 8192, generator=np.random.default_rng(1))
    apart = chamfer_distance(extracted_points(_ball), points)
    assert apart < 0.015  # what two random sets of 8192 points on this ball are apart
    picture = shaded(*mesh)
    disc = picture < 255
    assert disc.mean() == pytest.approx(np.pi / 4 * 0.92**2, rel=0.02)
    assert picture[120, 140] > picture[260, 260] + 60  # lit from the upper left
    assert extract(lambda points: np.ones(len(points))) is None
    assert len(extracted_points(lambda points: np.ones(len(points)))) == 0
