"""The pictures that benchmarks train on: ../shared/data/images where that folder is, else pictures of scikit-image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vi3nr.signals import Signal, image_signal

__all__ = ["KODAK", "photograph", "photographs"]

KODAK = Path(__file__).parents[2] / "shared" / "data" / "images"


def photographs() -> list[str]:
    """The names that ``photograph`` knows here."""
    return sorted(file.stem for file in KODAK.glob("*.png")) or ["astronaut", "chelsea", "coffee"]


def photograph(name: str, side: int) -> Signal:
    """The middle square of a picture at ``side`` x ``side`` RGB (Lanczos)."""
    file = KODAK / f"{name}.png"
    if file.exists():
        picture = Image.open(file).convert("RGB")
    else:
        from skimage import data

        picture = Image.fromarray(getattr(data, name)()).convert("RGB")
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    square = picture.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS)
    return image_signal(np.asarray(square))
