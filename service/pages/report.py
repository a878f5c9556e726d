"""The report of a study: everything that is known of it, as one page without network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from markupsafe import Markup

from service.blobs import BlobStore
from service.keepsakes import Keepsake, unpack
from service.objectives import decibel, objective_of
from service.pages import words
from service.pages.answers import Answer, answer_of
from service.pages.arm_plot import arm_plot
from service.pages.assets import policy, render
from service.pages.further import Further, further_section, places_shown
from service.pages.layer_plots import curve_plot, variance_plot
from service.pages.pictures import Reconstructions, Shown
from service.pages.sections import reconstructions
from service.pages.surface_plots import axis_plots, plane_plot, shows_theory, trial_plot
from service.records import Dataset, Study
from service.states import FINISHED
from service.store import Store
from service.surfaces import Learned, Learning, learn
from vi3nr.signals import Signal
from workers.events import Run
from workers.exhibits import Exhibit
from workers.response_data import AxisResponse, ResponseSurface
from workers.result import FamilyResult, StudyResult
from workers.seeds import confirmation_seed

__all__ = ["SCRIPT", "report_page", "write_report"]

SCRIPT = "report.js"
_BLOCKS: WeakKeyDictionary[Learned, SearchBlock] = WeakKeyDictionary()  # plots take a tenth of a second
SCORED = {"fit": "all points, smoothed", "held_out": "the held-out points"}  # what a learning curve is over
FEWEST = 6  # trials of a running search that a surface is shown for


@dataclass(frozen=True)
class SearchBlock:
    """What the search of one family has learned."""

    family: str
    surface: ResponseSurface | None
    plane: Markup
    theory: Markup  # the plane with the theory's line, where that is another one
    axes: list[tuple[AxisResponse, Markup]]
    trials: Markup


@dataclass(frozen=True)
class LayersBlock:
    """Variances of one arm's layers."""

    title: str
    exhibit: Exhibit
    plots: tuple[Markup, Markup]


@dataclass(frozen=True)
class FamilyBlock:
    """All of one family that has its answer."""

    result: FamilyResult
    answer: Answer
    search: SearchBlock
    curves: Markup
    arms: Markup
    pictures: Reconstructions | None
    metrics: list[tuple[str, str]]  # of each network that is shown: its title, its metrics in words
    further: Further | None
    layers: list[LayersBlock]

    @property
    def diverged(self) -> bool:
        """Whether the table has to say so."""
        return any(arm.diverged for arm in self.result.arms)


def report_page(store: Store, blobs: BlobStore, study: Study, learned: Learning, *, live: bool, every: int = 2) -> str:
    """The page as HTML.

    Args:
        store: the study's home.
        blobs: where its signal and pictures lie.
        study: finished or not.
        learned: gives what the search of a family has learned.
        live: whether the page may ask its server how the study stands; False for a file.
        every: seconds between two such questions.
    """
    result = store.result(study.id)
    dataset = store.dataset(study.dataset_id)
    assert dataset is not None  # a foreign key says so
    keepsake = _keepsake(blobs, result)
    running = study.state not in FINISHED
    return render(
        "report.html", SCRIPT,
        policy=None if live else policy(SCRIPT, served=False),
        words=words, study=study, dataset=dataset, result=result, running=running,
        live=live and running, every=every,
        progress=None if study.progress is None else _share(study),
        families=[] if result is None else _families(store, blobs, study, dataset, result, keepsake, learned),
        searches=[_search(learned, study, family) for family in study.families] if result is None else [],
        facts=_facts(study, dataset, result, keepsake), request=json.dumps(study.request, indent=2),
        kept=keepsake is not None,
    )  # fmt: skip


def write_report(store: Store, blobs: BlobStore, study_id: str, path: Path) -> None:
    """The report as a file, for whoever has no service to ask.

    Raises:
        ValueError: there is no such study.
        OSError: the file cannot be written.
    """
    study = store.study(study_id)
    if study is None:
        raise ValueError(f"there is no study {study_id!r}")
    page = report_page(store, blobs, study, partial(learn, store), live=False)
    path.write_text(page, encoding="utf-8")


def _keepsake(blobs: BlobStore, result: StudyResult | None) -> Keepsake | None:
    if result is None or result.keepsake is None:
        return None
    try:
        return unpack(blobs.get(result.keepsake))
    except KeyError:
        return None


def _share(study: Study) -> float:
    """How much of the study's training is done, 0 to 1."""
    note = study.progress
    return 0.0 if note is None else note.member_steps_done / max(1, note.member_steps_total)


def _families(
    store: Store, blobs: BlobStore, study: Study, dataset: Dataset, result: StudyResult, keepsake: Keepsake | None,
    learned: Learning,
) -> list[FamilyBlock]:  # fmt: skip
    shown = () if keepsake is None else keepsake.exhibits
    signals = _signals(blobs, dataset, [0, *places_shown(shown, result.signals)])
    runs = store.runs(study.id)
    return [_family(learned, study, dataset, result, one, runs, signals, shown) for one in result.families]


def _family(
    learned: Learning,
    study: Study,
    dataset: Dataset,
    result: StudyResult,
    family: FamilyResult,
    runs: Sequence[Run],
    signals: Mapping[int, Signal],
    exhibits: Sequence[Exhibit],
) -> FamilyBlock:
    usual = None if family.comparison is None else family.comparison.baseline
    names = {arm.name: words.arm_name(arm) for arm in family.arms}
    kept = [Shown(names.get(one.arm, one.arm), one) for one in exhibits if one.family == family.family]
    shown = [one for one in kept if one.exhibit.signal == 0]
    return FamilyBlock(
        family,
        answer_of(family, result.unit),
        _search(learned, study, family.family),
        curve_plot([r for r in runs if r.family == family.family], family.winner.name, usual, names, result.steps,
                   SCORED.get(result.objective, "all points")),
        arm_plot(family, result.unit),
        reconstructions(signals[0], shown, dataset.signals[0].name, dataset.meta) if 0 in signals else None,
        [(one.title, words.metrics(dataset.kind, one.exhibit.metrics)) for one in shown if one.exhibit.metrics],
        further_section(dataset, result, family, kept, signals),
        [
            LayersBlock(one.title, one.exhibit, (
                variance_plot(one.exhibit.layers, "preactivation"), variance_plot(one.exhibit.layers, "gradient"),
            ))
            for one in shown
        ],
    )  # fmt: skip


def _signals(blobs: BlobStore, dataset: Dataset, places: Sequence[int]) -> dict[int, Signal]:
    """Those of the signals that are still there."""
    found = {}
    for place in places:
        with suppress(KeyError):
            found[place] = Signal.from_bytes(blobs.get(dataset.signals[place].blob_key))
    return found


def _search(learned: Learning, study: Study, family: str) -> SearchBlock:
    known = learned(study, family)
    if known not in _BLOCKS:
        enough = len(known.trials) >= FEWEST or study.state in FINISHED
        _BLOCKS[known] = _search_block(known, family, study, known.surface if enough else None)
    return _BLOCKS[known]


def _search_block(known: Learned, family: str, study: Study, surface: ResponseSurface | None) -> SearchBlock:
    unit, one = objective_of(study).unit, decibel(study)
    trials = trial_plot(known.trials, unit)
    if surface is None:
        return SearchBlock(family, None, Markup(""), Markup(""), [], trials)
    leading, theirs = surface.plane, surface.theory_plane
    if surface.theory is None or shows_theory(leading):
        theirs = None
    plane, theory = (plane_plot(surface, one_of, known.axes, known.trials, unit, one) for one_of in (leading, theirs))
    return SearchBlock(family, surface, plane, theory, axis_plots(surface, known.trials, unit, one), trials)


def _facts(
    study: Study, dataset: Dataset, result: StudyResult | None, keepsake: Keepsake | None
) -> list[tuple[str, str]]:
    """How it was run, as pairs of a name and its value."""
    asked: Mapping[str, Any] = study.request
    facts = [
        ("Study", study.id),
        ("Signal", f"{dataset.name}: {dataset.kind}, {words.extent(dataset.kind, dataset.shape)}"
                   + (f", {dataset.points} points" if len(dataset.shape) > 1 else "")
                   + f", {dataset.in_dim} coordinates, {dataset.out_dim} values"),
        *_upload(dataset), *_network(asked),
    ]  # fmt: skip
    seeds = asked.get("confirm", {}).get("seeds")
    seed = asked.get("search", {}).get("seed", 0)
    if seeds is not None:
        drawn = ", ".join(str(confirmation_seed(seed, replicate)) for replicate in range(seeds))
        facts.append(("Seeds", f"{seed} for the search; {drawn} for the confirmation"))
    if result is not None:
        facts.append(("Search", f"each trial {result.search_steps} steps; ended by its {result.search_ended_by}"))
        facts.append(("Score", result.metric))
    if study.progress is not None:
        facts.append(("Device time", words.duration(study.progress.device_seconds)))
    if keepsake is not None:
        counts = Counter(keepsake.devices)
        facts.append(("Trainers", ", ".join(f"{count} on {device}" for device, count in counts.items())))
        facts.append(("Versions", ", ".join(f"{name} {found}" for name, found in keepsake.versions.items())))
    facts += [(name, _time(seconds)) for name, seconds in
              (("Asked for", study.created), ("Started", study.started), ("Ended", study.finished))
              if seconds is not None]  # fmt: skip
    if study.started is not None and study.finished is not None:
        facts.append(("Took", words.duration(study.finished - study.started)))
    return facts


def _upload(dataset: Dataset) -> list[tuple[str, str]]:
    """How the same signal is made of the same file again. Datasets of older versions do not know all of it."""
    facts, meta = [], dataset.meta
    if options := meta.get("options"):
        told = ", ".join(f"{name} {json.dumps(value)}" for name, value in options.items())
        facts.append(
            ("Read with", " ".join([f"{told}.", *(f"{note[0].upper()}{note[1:]}." for note in meta["notes"])]))
        )
    if len(dataset.signals) == 1 and "sha256" in meta:
        facts.append(("SHA-256 of the file", meta["sha256"]))
    return facts


def _network(asked: Mapping[str, Any]) -> list[tuple[str, str]]:
    network, training = asked.get("network"), asked.get("training")
    facts = []
    if network:
        facts.append(("Network", f"{words.hidden_layers(network)}, beside the first and the output layer"))
    if training:
        batch = (
            "all points at once" if training["batch_size"] is None else f"batches of {training['batch_size']} points"
        )
        facts.append(("Training", f"{training['steps']} steps of Adam, {batch}, {training['schedule']} learning rate"))
    return facts


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
