"""Real files for tests where ../shared/data is there, else stand-ins of the same kind."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import wavfile
from skimage import data

SHARED = Path(__file__).parents[3] / "shared" / "data"


def picture(side: int = 96) -> np.ndarray:
    """A corner of a photograph, RGB, in [0, 1]."""
    file = SHARED / "images" / "kodim23.png"
    pixels = np.asarray(Image.open(file).convert("RGB")) if file.exists() else data.astronaut()
    return pixels[100 : 100 + side, 200 : 200 + side] / 255.0


def sound(samples: int = 8192) -> np.ndarray:
    """Some music at 44.1 kHz, peak 1; or a chirp."""
    file = SHARED / "audio" / "gt_bach.wav"
    if file.exists():
        wave = wavfile.read(file)[1][88_200 : 88_200 + samples].astype(np.float64)
    else:
        t = np.arange(samples) / 44_100
        wave = np.sin(2 * np.pi * (200 * t + 3000 * t * t)) * np.exp(-4 * t)
    return wave / np.abs(wave).max()


def mesh() -> tuple[np.ndarray, np.ndarray]:
    """Spot the cow from its OBJ file, vertices and triangles as they stand there; or two linked tori."""
    file = SHARED / "meshes" / "spot.obj"
    if file.exists():
        lines = [line.split() for line in file.read_text().splitlines()]
        vertices = [[float(number) for number in line[1:4]] for line in lines if line[:1] == ["v"]]
        faces = [[int(corner.split("/")[0]) - 1 for corner in line[1:4]] for line in lines if line[:1] == ["f"]]
        return np.array(vertices), np.array(faces)
    import trimesh

    first = trimesh.creation.torus(1.0, 0.3)
    second = first.copy()
    second.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0], [0, 0, 0]))
    second.apply_translation([1.0, 0.0, 0.0])
    both = trimesh.util.concatenate([first, second])
    return np.asarray(both.vertices), np.asarray(both.faces)
