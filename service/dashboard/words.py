"""What the dashboard says of a study: its name in the list, its note, the notes of its finalists. In Markdown.

File names, formulas and errors are other people's words: ``plain`` takes every meaning from their punctuation.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any

from service.pages import words
from service.pages.answers import answer_of
from service.records import Dataset, Study, Title
from service.states import StudyState
from service.surfaces import Own
from workers.result import Arm, FamilyResult, StudyResult

__all__ = ["plain", "study_name", "study_note", "trial_note"]

LONGEST = 60  # letters of a dataset's name in the list
PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")
PHASES = {"search": "searching", "continue": "training the best", "confirm": "confirming"}
STANDINGS = {
    StudyState.FAILED: "The study failed",
    StudyState.CANCELLING: "The study is being cancelled",
    StudyState.CANCELLED: "The study was cancelled",
    StudyState.COMPLETED: "The study has ended",
}


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return PUNCTUATION.sub(r"\\\g<0>", " ".join(text.split()))


def study_name(study_id: str, family: str, title: Title) -> str:
    """``photo.png, gaussian: searching (a1b2c3d4e5f6)``."""
    name = " ".join(title.dataset_name.split())
    name = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    stage: str = title.state.value
    if title.state is StudyState.RUNNING:
        stage = PHASES.get(title.phase or "", "running")
    return f"{name}, {family}: {stage} ({study_id})"


def study_note(
    study: Study,
    dataset: Dataset,
    family: str,
    result: StudyResult | None,
    theory: Own,
    public_url: str,
) -> str:
    """The note of one family's search: the answer, or how far it is; what was asked; the theory; the report.

    ``theory`` is what it says at the winner's sigma_a.
    """
    found = None if result is None else next((one for one in result.families if one.family == family), None)
    parts = [_standing(study)] if result is None or found is None else _answer(found, result)
    parts += [_asked(study, dataset, family), _theory(family, theory), _report(study, public_url)]
    warnings = dict.fromkeys([*study.warnings, *(() if result is None else result.warnings)])
    return "\n\n".join([*parts, *(f"**Mind:** {plain(said)}" for said in warnings)])


def trial_note(arm: Arm, family: FamilyResult, result: StudyResult) -> str:
    """The note of a trial that was confirmed."""
    place = [one.name for one in family.arms].index(arm.name) + 1
    ends = words.between(arm.score, result.unit)
    score = f"{words.mean(arm.score, result.unit)} {result.unit}" + (f" ({ends})" if ends else "")
    return (
        f"**Finalist**, place {place} of the {len(family.arms)} initialisations that were confirmed: {plain(score)} "
        f"after {result.steps} steps from {arm.score.n} fresh seeds."
    )


def _standing(study: Study) -> str:
    if study.state is StudyState.FAILED:
        return f"## {STANDINGS[study.state]}\n\n{plain(study.error or '')}"
    if study.state in STANDINGS:
        return f"## {STANDINGS[study.state]}"
    return f"## {plain(words.progress(study))}"


def _answer(found: FamilyResult, result: StudyResult) -> list[str]:
    answer = answer_of(found, result.unit)
    rows = [(tile.name, tile.value, tile.below) for tile in answer.tiles if tile.name != "family"]
    rows.insert(2, ("first layer's biases", found.winner.bias_first, ""))
    table = [
        "| | | |",
        "|:--|:--|:--|",
        *(f"| {name} | **{plain(value)}** | {plain(below)} |" for name, value, below in rows),
    ]
    compared = result.family_comparison
    between = [] if compared is None else [plain(compared.sentence)]
    return [f"## {answer.headline}", plain(answer.sentence), *between, "\n".join(table)]


def _asked(study: Study, dataset: Dataset, family: str) -> str:
    more = f", the first of {len(dataset.signals)} signals" if len(dataset.signals) > 1 else ""
    asked: Mapping[str, Any] = study.request
    told = [f"{dataset.name} ({dataset.kind}, {words.extent(dataset.kind, dataset.shape)}{more}), {family}"]
    if network := asked.get("network"):
        told.append(words.hidden_layers(network))
    if training := asked.get("training"):
        told.append(f"{training['steps']} steps of Adam")
    if search := asked.get("search"):
        told.append(f"{search['trials']} trials a family")
    if confirm := asked.get("confirm"):
        told.append(f"{confirm['seeds']} seeds")
    return f"**Asked:** {plain(', '.join(told))}."


def _theory(family: str, theory: Own) -> str:
    sentence = words.theory(family, theory.kind, theory.sigma_p)
    where = f" ({theory.sigma_p / theory.sigma_a:.4g} times sigma_a, {theory.sigma_a:.4g})" if theory.sigma_p else ""
    return f"**Theory:** {plain(sentence.removesuffix('.') + where)}."


def _report(study: Study, public_url: str) -> str:
    path = f"/v1/studies/{study.id}/report"
    page = f"[the report]({public_url.rstrip('/')}{path})" if public_url else f"`GET {path}` of the API"
    return f"**More:** {page}, or `vi3nr report {study.id} -o report.html`."
