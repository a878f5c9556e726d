"""``vi3nr demo``: the main job, from an upload to the confirmed answer, against a service that it starts and stops."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from service.embedded import Embedded
from service.records import note_of, result_of
from service.render import print_result, progress_text
from service.settings import Settings

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
        with httpx2.Client(base_url=service.url, timeout=60) as client:
            dataset = _checked(client.post("/v1/datasets", files={"files": ("cat.png", _photograph(), "image/png")}))
            study = _checked(client.post("/v1/studies", json={"dataset_id": dataset["id"], **REQUEST}))
            console.print(f"study {study['id']} queued")
            _follow(console, client, study["id"], began)
            best = _checked(client.get(f"/v1/studies/{study['id']}/best"))
        console.print("stopping the service")
    result = result_of(best)
    FOLDER.mkdir(exist_ok=True)
    saved = {}
    for family in result.families:
        path = FOLDER / f"best-{family.family}.json"
        path.write_text(family.winner.init_config.to_json() + "\n")
        saved[family.family] = str(path)
    print_result(console, result, saved)
    console.print(f"\nall of it took {time.monotonic() - began:.0f} s")


def _follow(console: Console, client: httpx2.Client, study_id: str, began: float) -> None:
    """Show progress until the study has ended."""
    with Live(Text("waiting for a runner"), console=console, refresh_per_second=4, transient=True) as live:
        shown = ""
        while True:
            study = _checked(client.get(f"/v1/studies/{study_id}"))
            if study["state"] == "completed":
                return
            if study["state"] in ("failed", "cancelled"):
                raise SystemExit(f"the study {study['state']}: {study['error']}")
            note = None if study["progress"] is None else note_of(study["progress"])
            line = progress_text(note, study["seconds_left"])
            live.update(Text(line))
            if not console.is_terminal and line != shown:  # a log: a line at each change of phase or ten seconds
                shown = line
                console.print(f"{time.monotonic() - began:4.0f} s  {line}", highlight=False, soft_wrap=True)
            time.sleep(1.0 if console.is_terminal else 5.0)


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


def _checked(answer: httpx2.Response) -> Any:
    """The JSON of a good answer; a problem's sentence otherwise."""
    if answer.is_success:
        return answer.json()
    raise SystemExit(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
