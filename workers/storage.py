"""Optuna's RDB storage as this project runs it: SQLite that several processes may use, and calls that try again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Sequence
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility, distribution_to_json
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Table, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

__all__ = ["StorageUnavailableError", "TrialStorage", "open_storage", "optuna_tables", "persistently"]

BUSY_TIMEOUT = 30.0  # seconds that SQLite waits for another writer
DELAYS = (0.05, 0.2, 0.8, 2.0, 5.0)  # seconds between tries; a failover of the database takes about that long
# The tables that are gathered for, and what makes a row of a trial unique.
KEYS = {"trial_params": "param_name", "trial_user_attributes": "key", "trial_intermediate_values": "step"}

T = TypeVar("T")


class StorageUnavailableError(Exception):
    """The database refused several times in a row: nothing of a study is wrong, the runner cannot go on."""


class TrialStorage(RDBStorage):
    """Optuna's storage that gathers what is written about running trials and writes it in one transaction.

    A transaction for each attribute, parameter and report of a trial made thirty of them a trial. What is gathered is
    written by ``flush``, before anything is read, and before a trial ends: as Optuna's rules for storages demand. What
    was gathered for a trial that somebody else has ended by then is dropped: its record stands.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._gathered: dict[tuple[str, int, Any], dict[str, Any]] = {}  # (table, trial, key) -> the row
        super().__init__(url, **options)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Gather an attribute."""
        row = {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        self._gathered["trial_user_attributes", trial_id, key] = row

    def _set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        if previous_distribution is not None:
            check_distribution_compatibility(previous_distribution, distribution)
        row = {"trial_id": trial_id, "param_name": param_name, "param_value": param_value_internal}
        row["distribution_json"] = distribution_to_json(distribution)
        self._gathered["trial_params", trial_id, param_name] = row

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Gather a report."""
        value, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(intermediate_value)
        row = {"trial_id": trial_id, "step": step, "intermediate_value": value, "intermediate_value_type": kind}
        self._gathered["trial_intermediate_values", trial_id, step] = row

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Write what was gathered, then the state."""
        self.flush()
        return super().set_trial_state_values(trial_id, state, values)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The trial, with what was gathered."""
        self.flush()
        return super().get_trial(trial_id)

    def flush(self) -> None:
        """Write what was gathered. Raises StorageInternalError if the database refuses; it then stays gathered."""
        if not self._gathered:
            return
        ids = sorted({trial_id for _, trial_id, _ in self._gathered})
        trials = models.TrialModel.__table__
        running = select(trials.c.trial_id).where(
            trials.c.trial_id.in_(ids), trials.c.state.in_([TrialState.RUNNING, TrialState.WAITING])
        )
        try:
            with self.engine.begin() as connection:
                alive = set(connection.scalars(running.with_for_update()))
                for table in KEYS:
                    rows = [row for (name, trial_id, _), row in self._gathered.items() if name == table]
                    rows = [row for row in rows if row["trial_id"] in alive]
                    if rows:
                        connection.execute(self._upsert(models.BaseModel.metadata.tables[table]), rows)
        except SQLAlchemyError as error:
            raise StorageInternalError(f"what was gathered about trials {ids} could not be written") from error
        self._gathered.clear()

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        self.flush()
        return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)

    def _upsert(self, table: Table) -> Any:
        insert = (postgresql if self.engine.name == "postgresql" else sqlite).insert(table)
        keys = ["trial_id", KEYS[table.name]]
        columns = [column.name for column in table.c if column.name not in keys and not column.primary_key]
        values = {name: insert.excluded[name] for name in columns}
        return insert.on_conflict_do_update(index_elements=keys, set_=values)


def open_storage(url: str) -> TrialStorage:
    """The storage behind ``url`` (an SQLAlchemy URL), its tables created where they are missing.

    SQLite runs in WAL mode with ``synchronous=NORMAL`` and a 30 s busy timeout (six processes: 4.7 s instead of 21 s).
    There is no heartbeat: it is not for ask and tell; the engine's lease does its work.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not url.startswith("sqlite"):
        return TrialStorage(url, engine_kwargs={"pool_pre_ping": True})
    storage = TrialStorage(url, engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT}})
    event.listen(storage.engine, "connect", _tune_sqlite)
    storage.engine.dispose()  # so that connections made before the listener are replaced
    return storage


def optuna_tables() -> tuple[str, ...]:
    """The names of Optuna's tables."""
    return (*models.BaseModel.metadata.tables, "alembic_version")


def persistently(call: Callable[[], T], delays: tuple[float, ...] = DELAYS) -> T:
    """``call()``, tried again after each of ``delays`` seconds while the database refuses.

    The call must be safe to repeat. Raises StorageUnavailableError when the last try failed too.
    """
    for delay in delays:
        try:
            return call()
        except StorageInternalError:
            time.sleep(delay)
    try:
        return call()
    except StorageInternalError as error:
        raise StorageUnavailableError(f"the trial database refused {len(delays) + 1} times: {error}") from error


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
