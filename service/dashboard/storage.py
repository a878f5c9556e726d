"""Optuna's storage as the dashboard sees it: names in words, and the stories among the studies' attributes.

The dashboard keeps notes, figures and the list of artifacts in a study's system attributes, and reads them from there.
These are made when it does: nothing is written, so no lease is asked for, nothing is left behind when a study is
deleted, and a study that was searched before there were stories has one.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Container, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, TypeVar

from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from service.dashboard.stories import Stories
from workers.outcomes import CURVE
from workers.storage import TrialStorage

__all__ = ["ToldStorage"]

FIGURE = "response-surface"  # part of its element's id on the page
FIRST = ("sigma_a", "sigma_p", "sigma_p_first", "bias_first")  # of a trial's attributes: what was searched comes to
INTERNAL = ("attempt", "first_number", "lease", "order", CURVE)  # for taking a search up again
TOLD = ("dashboard:", "artifacts:")  # attributes that stories are told in
T = TypeVar("T")
log = logging.getLogger(__name__)


class ToldStorage(TrialStorage):
    """For reading. What cannot be told, for whatever reason, leaves what Optuna has, and a line in the log."""

    def __init__(self, url: str, *, stories: Stories, **options: Any) -> None:
        self._stories = stories
        super().__init__(url, **options)

    def get_all_studies(self) -> list[FrozenStudy]:
        """Every study under its name in words; its story is told when somebody asks for it."""
        studies = super().get_all_studies()
        names = _attempt(lambda: self._stories.names([one.study_name for one in studies]))
        for one in studies:
            tell = partial(self._told, one._study_id, one.study_name)
            one.system_attrs = _Told(one.system_attrs, tell)  # type: ignore[assignment]  # a Mapping is all that is read
            one.study_name = names.get(one.study_name, one.study_name)
        return studies

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """With the story."""
        own = super().get_study_system_attrs(study_id)
        return own | self._told(study_id, self.get_study_name_from_id(study_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Without what the search keeps for itself."""
        return [_for_people(trial) for trial in super().get_all_trials(study_id, deepcopy, states)]

    def _told(self, study_id: int, name: str) -> dict[str, Any]:
        return _attempt(lambda: self._attributes(study_id, *name.partition(" ")[::2]))

    def _attributes(self, study_id: int, key: str, family: str) -> dict[str, Any]:
        story = self._stories.story(key, family)
        if story is None:
            return {}
        told = _note("", story.note)
        if story.figure is not None:
            told[f"dashboard:plot_data:{FIGURE}:0"] = story.figure
        trials = {number: self.get_trial_id_from_study_id_trial_number(study_id, number) for number in story.trials}
        for number, note in story.trials.items():
            told |= _note(f"{trials[number]}:", note)
        for place, file in enumerate(story.files):
            artifact = self._stories.artifact_id(key, family, place)
            meta = {"artifact_id": artifact, "filename": file.name, "mimetype": file.media_type, "encoding": None}
            told[f"artifacts:{artifact}"] = json.dumps(meta)
            if file.trial in trials:
                told[f"dashboard:artifacts:{trials[file.trial]}:{artifact}"] = json.dumps(meta)
        return told


class _Told(Mapping[str, Any]):
    """Optuna's attributes of a study and its story, which is made when an attribute of it is asked for, or all of them:
    the list of studies asks for neither.
    """

    def __init__(self, own: Mapping[str, Any], tell: Callable[[], dict[str, Any]]) -> None:
        self._own, self._tell = own, tell

    @cached_property
    def _all(self) -> dict[str, Any]:
        return {**self._own, **self._tell()}

    def __getitem__(self, key: str) -> Any:
        return self._all[key] if key.startswith(TOLD) else self._own[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _for_people(trial: FrozenTrial) -> FrozenTrial:
    known = trial.user_attrs
    shown = copy.copy(trial)  # the trial itself may be the storage's own
    names = [*(name for name in FIRST if name in known), *(name for name in known if name not in (*FIRST, *INTERNAL))]
    shown.user_attrs = {name: known[name] for name in names}
    return shown


def _attempt(call: Callable[[], dict[str, T]]) -> dict[str, T]:
    try:
        return call()
    except Exception:
        log.exception("a story cannot be told")
        return {}


def _note(of: str, body: str) -> dict[str, Any]:
    return {f"dashboard:{of}note_ver": 1, f"dashboard:{of}note_str:0": body}
