"""Reports of studies that have ended, kept as they were made: nothing of them changes any more."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from service.blobs import BlobStore
from service.pages.report import report_page
from service.records import Study
from service.states import FINISHED
from service.store import Store
from service.surfaces import Learning

__all__ = ["ReportMemory"]

MOST_CHARACTERS = 32_000_000


@dataclass(frozen=True)
class _Kept:
    page: str
    blobs: tuple[str, ...]  # keys of what it shows


class ReportMemory:
    """Thread-safe. ``every`` is the seconds between two questions of a page how its study stands."""

    def __init__(self, store: Store, blobs: BlobStore, learned: Learning, every: int) -> None:
        self._store, self._blobs, self._learned, self._every = store, blobs, learned, every
        self._lock, self._kept = threading.Lock(), OrderedDict[tuple[str, bool], _Kept]()
        self._characters = 0

    def page(self, study: Study, *, live: bool) -> str:
        """The page of a study, see ``report_page``; made again where a picture that it shows has been lost since."""
        place = (study.id, live)
        with self._lock:
            kept = self._kept.get(place)
            if kept is not None:
                self._kept.move_to_end(place)
        if kept is not None and all(self._blobs.has(key) for key in kept.blobs):
            return kept.page
        page = report_page(self._store, self._blobs, study, self._learned, live=live, every=self._every)
        if study.state in FINISHED:
            self._keep(place, _Kept(page, self._shown(study)))
        return page

    def _shown(self, study: Study) -> tuple[str, ...]:
        result, dataset = self._store.result(study.id), self._store.dataset(study.dataset_id)
        keys = (getattr(result, "keepsake", None), getattr(dataset, "blob_key", None))
        return tuple(key for key in keys if key is not None and self._blobs.has(key))

    def _keep(self, place: tuple[str, bool], kept: _Kept) -> None:
        with self._lock:
            self._forget(place)
            self._kept[place] = kept
            self._characters += len(kept.page)
            while self._characters > MOST_CHARACTERS:
                self._forget(next(iter(self._kept)))

    def _forget(self, place: tuple[str, bool]) -> None:
        gone = self._kept.pop(place, None)
        self._characters -= 0 if gone is None else len(gone.page)
