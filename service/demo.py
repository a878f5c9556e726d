"""``vi3nr demo``: the main job, from an upload to the confirmed answer, against a service that it starts and stops."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from service.client import Client
from service.embedded import Embedded
from service.progress_view import shown_progress
from service.render import print_result
from service.settings import Settings
from service.states import StudyState

__all__ = ["run_demo"]

SIDE = 96
REQUEST: dict[str, Any] = {
    "activations": [{"family": "gaussian"}, {"family": "sine"}],
    "network": {"width": 64, "hidden_layers": 3},
    "training": {"steps": 300},
    "search": {"trials": 12, "seed": 0},
    "confirm": {"finalists": 2, "seeds": 5},
}
FOLDER = Path("vi3nr-demo")


def run_demo() -> None:
    """Run it and print what a person wants to know."""
    console = Console(width=None if sys.stdout.isatty() else 100)
    began = time.monotonic()
    console.print(
        f"A photograph of a cat (skimage.data.chelsea, {SIDE}x{SIDE} RGB) is fitted by networks of 3 hidden layers of "
        "64 units, 300 full-batch Adam steps each (learning rate 1e-3 for Gaussian, 5e-4 for sine).\n"
        "For each family: 12 trials to 40 % of the steps, the best 2 continued to the end, then confirmed with fresh "
        "seeds beside the usual initialisations: 2 seeds for every one, 5 for the best found and the best usual one."
    )
    scratch = tempfile.TemporaryDirectory(prefix="vi3nr-demo-")
    with scratch as folder, Embedded(Settings(data_dir=Path(folder), require_keys=False)) as service:
        console.print(f"started: API {service.url}, Optuna dashboard {service.dashboard_url}")
        with Client(service.url) as client, shown_progress(console) as show:
            dataset = client.upload(("cat.png", _photograph()))
            study = client.start({"dataset_id": dataset.id, **REQUEST})
            console.print(f"study {study.id} queued")
            ended = client.wait(study.id, lambda now: show(now.progress, now.seconds_left))
            if ended.state is not StudyState.COMPLETED:
                raise SystemExit(f"the study {ended.state.value}: {ended.error}")
            result = client.best(study.id)
        console.print("stopping the service")
    FOLDER.mkdir(exist_ok=True)
    saved = {}
    for family in result.families:
        path = FOLDER / f"best-{family.family}.json"
        path.write_text(family.winner.init_config.to_json() + "\n")
        saved[family.family] = str(path)
    print_result(console, result, saved)
    console.print(f"\nall of it took {time.monotonic() - began:.0f} s")


def _photograph() -> bytes:
    """The middle of the cat's portrait, as PNG bytes."""
    from PIL import Image
    from skimage import data

    picture = Image.fromarray(np.asarray(data.chelsea()))  # type: ignore[no-untyped-call]
    left = (picture.width - picture.height) // 2
    picture = picture.crop((left, 0, left + picture.height, picture.height))
    buffer = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(buffer, "PNG")
    return buffer.getvalue()
