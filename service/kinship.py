"""Which studies are the same and which are alike: the same request on the same data is answered once, a like one is
a place to start from, and of one with another network or training the best points are worth a try.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from service.plans import DEFAULT_HORIZON
from service.records import Study
from vi3nr.ensemble.interface import SMOOTHED_SHARE
from workers.plan import StudyPlan

__all__ = ["MOST_KIN", "fingerprint", "kinship", "with_prior"]

MOST_KIN = 3  # studies that a new one starts from: the newest
SHARED = ("dataset_id", "network", "training", "objective", "method")  # what makes two studies' scores comparable


def fingerprint(request: Mapping[str, Any]) -> str:
    """The same for the same request on the same data by the same version of the service: for the same answer."""
    return _digest({key: value for key, value in request.items() if key != "reuse"})


def kinship(request: Mapping[str, Any]) -> str:
    """The same for studies whose trials score alike: same data, network, training, objective and search horizon."""
    also = {
        "horizon": request["search"]["horizon"] or DEFAULT_HORIZON,
        "held_out_signals": request.get("held_out_signals", 0),
    }
    return _digest({**{key: request[key] for key in SHARED}, **also})


def with_prior(
    plan: StudyPlan, request: Mapping[str, Any], kin: Sequence[Study], others: Sequence[Study] = ()
) -> StudyPlan:
    """The plan, each of whose families starts from the studies in ``kin`` that searched the same axes of it; where
    there is none, from the best points of the first such one of ``others``, on the same data, that searched on no
    signal which is held out now.
    """
    held_out = request.get("held_out_signals", 0)
    others = [study for study in others if study.request.get("held_out_signals", 0) >= held_out]
    families = []
    for family, asked in zip(plan.families, request["activations"], strict=True):
        prior = _same_axes(asked, kin)[:MOST_KIN]
        hints = [] if prior else _same_axes(asked, others)
        families.append(replace(family, prior=tuple(prior), hint=hints[0] if hints else None))
    return replace(plan, families=tuple(families))


def _same_axes(asked: Mapping[str, Any], studies: Iterable[Study]) -> list[str]:
    return [study.id for study in studies if any(_axes(asked) == _axes(one) for one in study.request["activations"])]


def _axes(activation: Mapping[str, Any]) -> str:
    """A family's request with every range replaced by the fact that it is one."""
    return json.dumps(_without_bounds(activation), sort_keys=True)


def _without_bounds(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {"low", "high"}:
            return "range"
        return {key: _without_bounds(inner) for key, inner in value.items()}
    return value


def _digest(data: Mapping[str, Any]) -> str:
    text = json.dumps({**data, "version": version("vi3nr"), "smoothed": SMOOTHED_SHARE}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
