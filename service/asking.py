"""A request for a study -> the study: the one that was asked for in the same words, or a new one in the queue."""

from __future__ import annotations

from service.blobs import BlobStore
from service.filters import StudyFilter
from service.kinship import fingerprint, kinship, with_prior
from service.plans import study_plan
from service.records import Dataset, Study
from service.schemas import StudyRequest
from service.settings import Settings
from service.start_check import check_start
from service.states import StudyState
from service.store import Store, new_id
from service.store_asks import Terms
from workers.plan import StudyPlan

__all__ = ["ask_study"]

MOST_OTHERS = 20  # studies on the same data that are looked through for one with the same axes, the newest first


def ask_study(
    store: Store,
    blobs: BlobStore,
    settings: Settings,
    request: StudyRequest,
    dataset: Dataset,
    terms: Terms = Terms(),
) -> tuple[Study, bool]:
    """The study of a request, and whether it is a new one. A new one starts from the trials of the owner's studies that
    asked for the like, or tries first the best points of one that asked for another training on the same data, and says
    so in its warnings; unless ``reuse`` is false.

    Raises:
        Problem: 422, naming every field that is wrong and its value.
        QuotaError, KeyReusedError, UnknownDatasetError: see ``Store.add_study``.
    """
    plan, warnings = study_plan(new_id(), request, dataset, settings)
    asked = request.model_dump(mode="json", exclude={"webhook"})
    study = store.same_study(fingerprint(asked), terms.owner) if request.reuse else None
    if study is not None and store.join_study(study.id, terms):
        return study, False
    check_start(plan, request, dataset, blobs)
    if request.reuse:
        ended = StudyFilter(owner=terms.owner, states=(StudyState.COMPLETED,), dataset_id=dataset.id)
        others = store.studies(MOST_OTHERS, wanted=ended).items
        plan = with_prior(plan, asked, store.kin(kinship(asked), terms.owner), others)
    study = store.add_study(
        plan=plan, dataset_id=dataset.id, request=asked, warnings=(*warnings, *_prior_notes(plan)),
        fingerprint=fingerprint(asked), kinship=kinship(asked), terms=terms, reuse=request.reuse,
    )  # fmt: skip
    return study, study.id == plan.study_id


def _prior_notes(plan: StudyPlan) -> list[str]:
    told = [
        f"The search of {family.family} starts from the trials of {', '.join(family.prior)}, which asked for the like."
        for family in plan.families
        if family.prior
    ]
    return told + [
        f"The search of {family.family} first tries the best points of {family.hint}, another study on the same data, "
        "as far as they lie in its ranges."
        for family in plan.families
        if family.hint
    ]
