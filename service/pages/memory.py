"""Reports of studies that have ended, kept as they were made: nothing of them changes any more."""

from __future__ import annotations

from service.answer_memory import Answer, AnswerMemory
from service.blobs import BlobStore
from service.pages.report import report_page
from service.records import Study
from service.states import FINISHED
from service.store import Store
from service.surfaces import Learning

__all__ = ["ReportMemory"]


class ReportMemory:
    """Thread-safe. ``every`` is the seconds between two questions of a page how its study stands."""

    def __init__(self, store: Store, blobs: BlobStore, learned: Learning, every: int, kept: AnswerMemory) -> None:
        self._store, self._blobs, self._learned, self._every, self._kept = store, blobs, learned, every, kept

    def page(self, study: Study, *, live: bool) -> bytes:
        """The page of a study, see ``report_page``; made again where a picture that it shows has been lost since."""
        place = ("report", study.id, live)
        kept = self._kept.get(place)
        if kept is not None:
            return kept.content
        page = report_page(self._store, self._blobs, study, self._learned, live=live, every=self._every).encode()
        if study.state in FINISHED:
            result, dataset = self._store.result(study.id), self._store.dataset(study.dataset_id)
            shown = (getattr(result, "keepsake", None), getattr(dataset, "blob_key", None))
            self._kept.keep(place, Answer(page, {}), *shown)
        return page
