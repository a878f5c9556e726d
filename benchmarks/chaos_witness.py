"""A client that remembers every answer that it was given, and what must be true of them at the end of a round."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2
import numpy as np
from PIL import Image

from service.database import make_engine
from service.settings import Settings
from service.store import Store
from service.trial_records import Trial

__all__ = ["Witness", "answer_of", "picture", "trials_of"]

COUNTED = ("complete", "pruned")
ENDED = ("completed", "failed", "cancelled")
Key = tuple[str, str, int]  # study, family, trial


def picture(side: int = 24) -> bytes:
    """A small PNG with some detail."""
    y, x = np.mgrid[0:side, 0:side] / side
    pixels = np.stack([128 + 100 * np.sin(9 * x + k) * np.cos(7 * y - k) for k in range(3)], axis=-1)
    target = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(target, "PNG")
    return target.getvalue()


def answer_of(best: Any) -> Any:
    """What a study found, without the numbers of its trials: they depend on how often one was tried."""
    return [
        {"family": family["family"], "arms": [[a["kind"], a["init_config"], a["values"]] for a in family["arms"]]}
        for family in best["families"]
    ]


def trials_of(settings: Settings, study_id: str) -> list[Trial]:
    """Every trial of a study, from the database."""
    engine = make_engine(settings.url)
    try:
        store = Store(engine)
        study = store.study(study_id)
        assert study is not None
        trials: list[Trial] = []
        page = store.trials(study, 200)
        trials += page.items
        while page.next_cursor is not None:
            page = store.trials(study, 200, page.next_cursor)
            trials += page.items
        return trials
    finally:
        engine.dispose()


@dataclass
class Witness:
    """Asks and remembers. While the service is down it asks again later; a 5xx that is no 503 or 507 is noted."""

    url: str
    expected: dict[str, int] = field(default_factory=dict)  # accepted study -> trials asked for, all families
    trials: dict[Key, tuple[str, float | None]] = field(default_factory=dict)
    ended: dict[str, Any] = field(default_factory=dict)  # study -> its state once ended, and the answer
    surprises: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._http = httpx2.Client(base_url=self.url, timeout=10)

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """The JSON of a 2xx; None while the service is down."""
        try:
            answer = self._http.request(method, path, **body)
        except httpx2.HTTPError:
            return None
        if answer.is_success:
            return answer.json()
        if answer.status_code not in (503, 507):
            self.surprises.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return None

    def upload(self) -> str | None:
        """The id of a dataset."""
        made = self.ask("POST", "/v1/datasets", files={"files": ("picture.png", picture(), "image/png")})
        return None if made is None else str(made["id"])

    def start(self, body: dict[str, Any]) -> str | None:
        """The id of an accepted study."""
        made = self.ask("POST", "/v1/studies", json=body)
        if made is None:
            return None
        self.expected[made["id"]] = body["search"]["trials"] * len(body["activations"])
        return str(made["id"])

    def look(self) -> None:
        """Ask how every accepted study stands, and compare with what was said before."""
        for study_id in self.expected:
            study = self.ask("GET", f"/v1/studies/{study_id}")
            page = self.ask("GET", f"/v1/studies/{study_id}/trials?limit=200")
            if page is not None:
                self._take([(study_id, t["family"], t["number"], t["state"], t["score"]) for t in page["items"]])
            if study is None:
                continue
            if study["state"] == "completed":
                best = self.ask("GET", f"/v1/studies/{study_id}/best")
                if best is not None:
                    self._end(study_id, ("completed", best))
            elif study["state"] in ENDED:
                self._end(study_id, (study["state"], study["error"]))
            elif study_id in self.ended:
                self.surprises.append(f"study {study_id} had ended and is {study['state']}")

    def all_ended(self) -> bool:
        """Whether every accepted study has ended."""
        return self.expected.keys() <= self.ended.keys()

    def _take(self, seen: list[tuple[str, str, int, str, float | None]]) -> None:
        for study_id, family, number, state, score in seen:
            key = (study_id, family, number)
            if state in COUNTED:
                self._same(f"trial {key}", self.trials.setdefault(key, (state, score)), (state, score))
            elif key in self.trials:
                self.surprises.append(f"trial {key} had finished and is {state}")

    def _end(self, study_id: str, told: Any) -> None:
        self._same(f"study {study_id}", self.ended.setdefault(study_id, told), told)

    def _same(self, what: str, before: Any, now: Any) -> None:
        if before != now:
            self.surprises.append(f"{what} was {before} and is {now}")

    def verdict(self, settings: Settings, undisturbed: dict[str, Any]) -> dict[str, Any]:
        """Count what went wrong. ``undisturbed``: the answers that are known, by study."""
        counts: Counter[str] = Counter()
        notes = list(self.surprises)
        for study_id, asked in self.expected.items():
            told = self.ended.get(study_id)
            if told is None:
                counts["stuck_studies"] += 1
                notes.append(f"study {study_id} is stuck")
                continue
            wrong = told[0] != "completed" or (study_id in undisturbed and answer_of(told[1]) != undisturbed[study_id])
            if wrong:
                counts["wrong_results"] += 1
                notes.append(f"study {study_id} ended as {told[0]}: {told[1] if told[0] != 'completed' else 'differs'}")
            trials = trials_of(settings, study_id)
            finished = {(study_id, t.family, t.number): (t.state, t.score) for t in trials if t.state in COUNTED}
            gone = [key for key, was in self.trials.items() if key[0] == study_id and finished.get(key) != was]
            orders = Counter((t.family, t.attributes.get("order")) for t in trials if t.state in COUNTED)
            twice = sum(n - 1 for n in orders.values()) + max(0, len(orders) - asked)
            lost = len(gone) + max(0, asked - len(orders))
            open_ones = [t.number for t in trials if t.state not in (*COUNTED, "failed")]
            counts["lost_trials"] += lost
            counts["duplicate_trials"] += twice
            counts["open_trials"] += len(open_ones)
            if lost or twice or open_ones:
                notes.append(f"study {study_id}: {lost} lost, {twice} twice, {open_ones} never ended")
        names = ("lost_trials", "duplicate_trials", "stuck_studies", "wrong_results", "open_trials")
        return {name: counts[name] for name in names} | {"taken_back": len(self.surprises), "notes": notes}
