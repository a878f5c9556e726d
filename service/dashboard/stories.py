"""The story of each family's search, made when somebody looks: nothing of it is stored, so it is never out of date."""

from __future__ import annotations

import io
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, NoReturn

from service.blobs import BlobStore
from service.dashboard.figure import surface_figure
from service.dashboard.files import File, family_files
from service.dashboard.words import study_name, study_note, trial_note
from service.keepsakes import unpack
from service.objectives import decibel, objective_of
from service.records import Dataset, Study
from service.states import FINISHED
from service.store import Store
from service.surface_memory import SurfaceMemory
from service.surfaces import learn, own_sigma_p
from vi3nr.signals import Signal
from workers.result import FamilyResult, StudyResult

__all__ = ["Stories", "Story"]

MOST_KEPT = 8  # of ended studies' families: each has some pictures, or sounds of up to 8 MB
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Story:
    """What is told of one family's search; ``trials`` are notes by the trial's number."""

    note: str
    figure: str | None = None  # JSON of plotly's
    files: tuple[File, ...] = ()
    trials: Mapping[int, str] = field(default_factory=dict)


class Stories:
    """Tells them from our tables and blobs; thread-safe. Also the store of artifacts, of Optuna's protocol, from which
    the dashboard reads the files.

    Args:
        store: where the studies are.
        blobs: where their signals and pictures are.
        public_url: where people reach the API; empty: unknown.
    """

    def __init__(self, store: Store, blobs: BlobStore, public_url: str = "") -> None:
        self._store, self._blobs, self._public_url = store, blobs, public_url
        self._surfaces = SurfaceMemory(partial(learn, store))
        self._lock, self._kept = threading.Lock(), OrderedDict[tuple[str, str], Story]()

    def close(self) -> None:
        """Fit nothing any more."""
        self._surfaces.close()

    def names(self, optuna_names: list[str]) -> dict[str, str]:
        """What people call these searches, as far as they are studies of ours."""
        titles = self._store.titles()
        pairs = {name: name.partition(" ")[::2] for name in optuna_names}
        return {name: study_name(key, family, titles[key]) for name, (key, family) in pairs.items() if key in titles}

    def story(self, study_id: str, family: str) -> Story | None:
        """The story as it stands; None where there is no such study."""
        with self._lock:
            if (study_id, family) in self._kept:
                self._kept.move_to_end((study_id, family))
                return self._kept[study_id, family]
        study = self._store.study(study_id)
        if study is None or family not in study.families:
            return None
        dataset = self._store.dataset(study.dataset_id)
        assert dataset is not None  # a foreign key says so
        result = self._store.result(study_id)
        story = self._tell(study, dataset, family, result)
        whole = story.files or result is None or result.keepsake is None  # else the blobs may be back the next time
        if study.state in FINISHED and whole:
            with self._lock:
                self._kept[study_id, family] = story
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
        return story

    def artifact_id(self, study_id: str, family: str, place: int) -> str:
        """The id of a story's file: hexadecimal digits and hyphens, which are all that the dashboard takes."""
        return f"{study_id}-{family.encode().hex()}-{place:x}"

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """A file of a story. Raises ArtifactNotFound."""
        from optuna.artifacts.exceptions import ArtifactNotFound

        study_id, _, rest = artifact_id.partition("-")
        family, _, place = rest.partition("-")
        try:
            story = self.story(study_id, bytes.fromhex(family).decode())
            files = () if story is None else story.files
            return io.BytesIO(files[int(place, 16)].data)
        except (ValueError, IndexError):
            raise ArtifactNotFound(f"there is no artifact {artifact_id!r}") from None

    def write(self, artifact_id: str, content_body: BinaryIO) -> NoReturn:
        """Refused: the dashboard is for looking."""
        raise PermissionError("the dashboard is for looking")

    def remove(self, artifact_id: str) -> NoReturn:
        """Refused: the dashboard is for looking."""
        raise PermissionError("the dashboard is for looking")

    def _tell(self, study: Study, dataset: Dataset, family: str, result: StudyResult | None) -> Story:
        found = None if result is None else next((one for one in result.families if one.family == family), None)
        theory = own_sigma_p(study, family, None if found is None else found.winner.sigma_a)
        note = study_note(study, dataset, family, result, theory, self._public_url)
        unit, one = objective_of(study).unit, decibel(study)
        figure = surface_figure(self._surfaces.of(study, family), unit, one)
        if result is None or found is None:
            return Story(note, figure)
        trials = {arm.trial: trial_note(arm, found, result) for arm in found.arms if arm.trial is not None}
        return Story(note, figure, self._files(dataset, found, result), trials)

    def _files(self, dataset: Dataset, family: FamilyResult, result: StudyResult) -> tuple[File, ...]:
        """None where they are lost, not to be read from here, or cannot be drawn."""
        if result.keepsake is None:
            return ()
        try:
            kept = unpack(self._blobs.get(result.keepsake)).exhibits
            signal = Signal.from_bytes(self._blobs.get(dataset.blob_key))
            # Those of further signals are the report's.
            first = [one for one in kept if one.family == family.family and one.signal == 0]
            return tuple(family_files(signal, dataset, family, first))
        except (KeyError, OSError) as error:
            log.warning("the pictures of %s are not there: %s", family.family, error)
        except Exception:
            log.exception("the pictures of %s cannot be drawn", family.family)
        return ()
