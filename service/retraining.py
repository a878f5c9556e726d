"""A network of a study's confirmation, trained again on this machine's CPU: the same config, seed, data and recipe."""

from __future__ import annotations

import numpy as np

from service.blobs import BlobStore
from service.plans import study_plan
from service.records import Study
from service.schemas import StudyRequest
from service.settings import Settings
from service.store import Store
from vi3nr.ensemble.interface import Member
from vi3nr.signals import Signal
from workers.pool import Group, by_axis
from workers.result import Arm
from workers.seeds import confirmation_seed
from workers.trainer import executor_for

__all__ = ["retrained"]

LEGS = 20  # that a training is cut into
DEVICE = "cpu"


def retrained(store: Store, blobs: BlobStore, settings: Settings, study: Study, arm: Arm) -> tuple[int, np.ndarray]:
    """The seed of the first replicate of an arm, on the study's first signal, and its parameters after all steps.

    Where the study trained on a CPU of the same kind they are the same numbers; elsewhere they differ by rounding.

    Raises:
        ValueError: the study's data is gone, or the training diverges.
        Problem: the settings of this machine do not allow such a study any more.
    """
    dataset = store.dataset(study.dataset_id)
    if dataset is None or not blobs.has(dataset.blob_key):
        raise ValueError(f"the data of study {study.id} is gone, so nothing can be trained on it again")
    plan, _ = study_plan(study.id, StudyRequest.model_validate(dict(study.request)), dataset, settings)
    signal = by_axis(Signal.from_bytes(blobs.get(dataset.blob_key)))
    widths = plan.network.widths(dataset.in_dim, dataset.out_dim)
    seed = confirmation_seed(plan.seed, 0)
    group = Group(dataset.blob_key, widths, arm.family, plan.training)
    ensemble = executor_for(DEVICE)(signal, group, 1)
    steps = plan.recipe.steps
    ensemble.admit(Member(arm.name, arm.init_config, seed, arm.learning_rate, until=steps))
    while True:
        (report,) = ensemble.advance(-(-steps // LEGS))
        if report.finished:
            break
    if report.state is None:
        raise ValueError(f"{arm.name} diverges: it has no weights after {steps} steps")
    return seed, report.state.parameters
