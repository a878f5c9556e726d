"""Trials, runs and an answer as a search leaves them behind, written in bulk: nothing was trained."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna.storages._rdb import models
from sqlalchemy import Connection, Engine, insert, select

from service.blobs import BlobStore
from service.keepsakes import pack
from service.trial_records import optuna_name
from vi3nr.activations import activation
from vi3nr.config import InitConfig
from vi3nr.profile import vi3nr_config
from workers.axes import BANDWIDTH, RATIO, SHARE_FIRST, SIGMA_A
from workers.events import Run
from workers.exhibits import Exhibit, LayerVariance
from workers.result import Arm, Comparison, FamilyResult, Interval, StudyResult

__all__ = ["record", "runs_of", "study_result"]

FAMILY, STEPS, SEEDS = "gaussian", 500, 5
AXES = {
    SIGMA_A: FloatDistribution(0.005, 0.3, log=True), RATIO: FloatDistribution(0.6, 8.0, log=True),
    BANDWIDTH: FloatDistribution(1.0, 30.0, log=True), SHARE_FIRST: FloatDistribution(0.0, 0.9),
}  # fmt: skip
REPORTS = 5  # a trial
ATTRIBUTES = {  # that the search writes down of each trial
    "order": "1", "attempt": "1", "first_number": "1", "seed": "123456", "lease": "1", "seconds": "0.8",
    "sigma_a": "0.05", "sigma_p": "0.1", "sigma_p_first": "0.5", "bias_first": '"share 0.3"',
}  # fmt: skip
FINALISTS = tuple(f"{FAMILY} trial {number}" for number in range(3))
BASELINES = ("PyTorch default", "Xavier uniform", "He uniform", "SIREN", "VI3NR")


def record(engine: Engine, study_id: str, first: int, count: int) -> None:
    """Finished trials of one family, in Optuna's tables, numbered from ``first``."""
    draw = np.random.default_rng(first)
    places = draw.uniform(size=(count, len(AXES)))
    scores = 25 - 10 * np.square(places - 0.5).sum(axis=1) + draw.normal(scale=0.1, size=count)
    with engine.begin() as connection:
        ids = _trials(connection, _study(connection, optuna_name(study_id, FAMILY)), first, count)
        values, params, attributes, reports = [], [], [], []
        for trial_id, place, score in zip(ids, places, scores.tolist(), strict=True):
            values.append({"trial_id": trial_id, "objective": 0, "value": score, "value_type": "FINITE"})
            params += [
                {"trial_id": trial_id, "param_name": name, "param_value": _value(axis, share),
                 "distribution_json": distribution_to_json(axis)}
                for (name, axis), share in zip(AXES.items(), place.tolist(), strict=True)
            ]  # fmt: skip
            attributes += [{"trial_id": trial_id, "key": key, "value_json": word} for key, word in ATTRIBUTES.items()]
            reports += [
                {"trial_id": trial_id, "step": 40 * (n + 1), "intermediate_value": score - REPORTS + 1 + n,
                 "intermediate_value_type": "FINITE"}
                for n in range(REPORTS)
            ]  # fmt: skip
        for model, rows in (
            (models.TrialValueModel, values), (models.TrialParamModel, params),
            (models.TrialUserAttributeModel, attributes), (models.TrialIntermediateValueModel, reports),
        ):  # fmt: skip
            connection.execute(insert(model.__table__), rows)


def runs_of(study_id: str) -> list[Run]:
    """The confirmation of the finalists and the usual initialisations, each with its curve."""
    curve = tuple((step, 12 + 13 * step / STEPS) for step in range(20, STEPS + 1, 20))
    return [
        Run(
            study_id=study_id, family=FAMILY, arm=arm, kind="finalist" if arm in FINALISTS else "baseline",
            replicate=replicate, score=25.0, best_score=25.0, best_step=STEPS, diverged=False, seconds=2.0,
            config=_config(), curve=curve,
        )
        for arm in (*FINALISTS, *BASELINES)
        for replicate in range(SEEDS)
    ]  # fmt: skip


def study_result(blobs: BlobStore, side: int) -> StudyResult:
    """The answer; its pictures, of ``side`` pixels a side, are put among the blobs."""
    arms = tuple(_arm(name, number) for number, name in enumerate((*FINALISTS, *BASELINES)))
    gain = Comparison(BASELINES[0], Interval(1.0, 0.5, 1.5, SEEDS), "better", "It is better by 1 dB.")
    family = FamilyResult(FAMILY, 1e-3, arms[0], gain, arms, 10_000, 0.0777, "root")
    layers = tuple(LayerVariance(*[0.1] * 8) for _ in range(5))
    shown = [
        Exhibit(FAMILY, arm.name, arm.kind, 1, 1, _values(side, n), np.zeros(13_000, np.float32), layers)
        for n, arm in enumerate((arms[0], arms[3], arms[7]))
    ]
    return StudyResult(
        objective="fit", metric="PSNR over all points in dB, data range 2", unit="dB", steps=STEPS, search_steps=200,
        search_ended_by="trials", points=side * side, families=(family,), warnings=(),
        keepsake=blobs.put(pack(shown, ("cpu",))),
    )  # fmt: skip


def _study(connection: Connection, name: str) -> int:
    """Optuna's number of a study, which is made when it is not there."""
    table: Any = models.StudyModel.__table__
    found = connection.scalar(select(table.c.study_id).where(table.c.study_name == name))
    if found is None:
        found = connection.scalar(insert(table).values(study_name=name).returning(table.c.study_id))
    return int(found or 0)


def _trials(connection: Connection, study: int, first: int, count: int) -> list[int]:
    table: Any = models.TrialModel.__table__
    began = datetime(2026, 1, 1)
    rows = [
        {"number": n, "study_id": study, "state": "COMPLETE", "datetime_start": began,
         "datetime_complete": began + timedelta(seconds=1)}
        for n in range(first, first + count)
    ]  # fmt: skip
    return sorted(connection.scalars(insert(table).returning(table.c.trial_id), rows))


def _value(axis: FloatDistribution, share: float) -> float:
    if axis.log:
        return float(axis.low * (axis.high / axis.low) ** share)
    return axis.low + share * (axis.high - axis.low)


def _arm(name: str, number: int) -> Arm:
    finalist = name in FINALISTS
    return Arm(
        name=name, kind="finalist" if finalist else "baseline", family=FAMILY, sigma_a=0.05, sigma_p=0.1,
        sigma_p_first=0.5, bias_first="share 0.3", learning_rate=1e-3, score=Interval(25.0 - number, 24.0, 26.0, SEEDS),
        values=(24.9, 25.0, 25.0, 25.0, 25.1), diverged=0, trial=number if finalist else None, init_config=_config(),
    )  # fmt: skip


@cache
def _config() -> InitConfig:
    return vi3nr_config(activation(FAMILY), (2, 64, 64, 64, 64, 3), sigma_p=0.1)


def _values(side: int, seed: int) -> np.ndarray:
    """What a network may give back: smooth, and a little wrong."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    layers = [0.9 * np.sin(9 * rows + k) * np.cos(7 * columns - k) for k in range(3)]
    wrong = np.random.default_rng(seed).normal(scale=0.02, size=(side, side, 3))
    return np.asarray((np.stack(layers, axis=-1) + wrong).reshape(-1, 3), np.float32)
