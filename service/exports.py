"""A study's answer in the forms that people load: the config, a PyTorch script, the trained weights.

Without torch: weights come from what the study keeps of its confirmation. Initial weights are drawn from the config, by
``vi3nr.INR.from_config`` or the script.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from service.blobs import BlobStore
from service.export_forms import Form
from service.keepsakes import unpack
from service.problems import Problem
from service.records import Study
from service.store import Store
from vi3nr.snippets import pytorch_script
from vi3nr.state_dicts import parameter_names, safetensors_bytes, split_parameters
from workers.result import Arm, FamilyResult, StudyResult

__all__ = ["Export", "Train", "export_study"]

Train = Callable[[Arm], tuple[int, np.ndarray]]  # the seed, and the parameters as ``MemberState`` has them
GONE = "the weights that this study trained are no longer kept"


@dataclass(frozen=True)
class Export:
    """A file: its name, its media type and what is in it."""

    name: str
    media_type: str
    data: bytes


def export_study(
    store: Store,
    blobs: BlobStore,
    study: Study,
    form: Form,
    family: str | None = None,
    arm: str | None = None,
    train: Train | None = None,
) -> Export:
    """The export of one arm of a completed study.

    Args:
        store: where the answer is.
        blobs: where the trained weights lie.
        study: of whose answer.
        form: which; of weights it is those that were trained.
        family: None: the best one.
        arm: a row of the family's table; None: its winner.
        train: trains the arm's network again; None: what the study keeps of it is taken.

    Raises:
        Problem: 409 before there is an answer, or where the weights are not kept; 422 for a family or an arm that is
            not there, and for a form that has no meaning for the family.
    """
    result = store.result(study.id)
    if result is None:
        told = f": {study.error}" if study.error else ""
        raise Problem(409, f"the study is {study.state.value}: there is nothing to export{told}", kind="no-best")
    chosen = _arm_of(result, family, arm)
    name = f"{study.id}-{re.sub('[^A-Za-z0-9.]+', '_', chosen.name)[:80]}.{form.suffix}"
    return Export(name, form.media_type, _data(blobs, result, chosen, form, train))


def _arm_of(result: StudyResult, family: str | None, arm: str | None) -> Arm:
    """The arm that is asked for. Raises Problem: 422."""
    families: dict[str, FamilyResult] = {one.family: one for one in result.families}
    family = result.families[0].family if family is None else family
    if family not in families:
        raise Problem.of_field("family", family, f"the study has {', '.join(families)}")
    arms = {one.name: one for one in families[family].arms}
    arm = families[family].winner.name if arm is None else arm
    if arm not in arms:
        raise Problem.of_field("arm", arm, f"of this family there are {', '.join(arms)}")
    return arms[arm]


def _data(blobs: BlobStore, result: StudyResult, arm: Arm, form: Form, train: Train | None) -> bytes:
    config = arm.init_config
    if form is Form.JSON:
        return config.to_json().encode() + b"\n"
    if form is Form.PYTORCH:
        return pytorch_script(config).encode()
    try:
        parameter_names(config, form.layout)
    except ValueError as error:
        raise Problem.of_field("format", form.value, str(error)) from None
    seed, parameters = _kept(blobs, result, arm) if train is None else train(arm)
    about = {"arm": arm.name, "weights": "trained", "seed": str(seed), "steps": str(result.steps)}
    return safetensors_bytes(config, split_parameters(config, parameters), form.layout, about)


def _kept(blobs: BlobStore, result: StudyResult, arm: Arm) -> tuple[int, np.ndarray]:
    try:
        kept = () if result.keepsake is None else unpack(blobs.get(result.keepsake)).exhibits
    except KeyError:
        kept = ()
    exhibits = tuple(one for one in kept if one.signal == 0)  # weights are kept of these
    if not exhibits:
        raise Problem(409, GONE, kind="gone")
    found = next((one for one in exhibits if (one.family, one.arm) == (arm.family, arm.name)), None)
    if found is None:
        names = ", ".join(one.arm for one in exhibits if one.family == arm.family) or "none"
        raise Problem.of_field("arm", arm.name, f"of this family the weights are kept of: {names}")
    return found.seed, found.parameters
