"""A client of the running service, a photograph, and waiting for a condition."""

import io
import time
from collections.abc import Callable
from typing import Any

import httpx2
import numpy as np
from PIL import Image

FINISHED = ("completed", "failed", "cancelled")


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 180.0) -> Any:
    """The first true value of ``condition()``; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


def photograph(side: int) -> bytes:
    """A photograph that scikit-image carries, as PNG bytes."""
    from skimage import data

    picture = Image.fromarray(np.asarray(data.chelsea())).crop((75, 0, 375, 300)).resize((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


class Client:
    """A client with the few calls that the tests need."""

    def __init__(self, url: str) -> None:
        self.http = httpx2.Client(base_url=url, timeout=30)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, data: bytes) -> str:
        answer = self.http.post("/v1/datasets", files={"files": ("photo.png", data, "image/png")})
        assert answer.status_code in (200, 201), answer.text  # 200: the same bytes were stored before
        return str(answer.json()["id"])

    def start(self, dataset_id: str, **changes: Any) -> str:
        body = {
            "dataset_id": dataset_id,
            "activations": [{"family": "gaussian"}],
            "network": {"width": 16, "hidden_layers": 2},
            "training": {"steps": 60},
            "search": {"trials": 6, "seed": 0},
            "confirm": {"finalists": 2, "seeds": 3},
            "reuse": False,  # a test wants a study of its own
        } | changes
        answer = self.http.post("/v1/studies", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"].endswith(answer.json()["id"])
        return str(answer.json()["id"])

    def study(self, study_id: str) -> Any:
        return self.get(f"/v1/studies/{study_id}")

    def trials(self, study_id: str) -> list[Any]:
        """Every trial, over all pages."""
        items, cursor = [], ""
        while cursor is not None:
            page = self.get(f"/v1/studies/{study_id}/trials?limit=5" + (f"&cursor={cursor}" if cursor else ""))
            items += page["items"]
            cursor = page["next_cursor"]
        return items

    def finished(self, study_id: str, seconds: float = 180.0) -> Any:
        study = wait_until(lambda: (s := self.study(study_id))["state"] in FINISHED and s, f"study {study_id}", seconds)
        assert study["state"] == "completed", study
        return study
