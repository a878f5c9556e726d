"""Optuna's RDB storage as this project runs it: SQLite that several processes may use, and calls that try again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility, distribution_to_json
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Table, event, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from workers.connections import end_stalled_transactions, patience

__all__ = [
    "Fence",
    "FencedOffError",
    "StorageUnavailableError",
    "TrialStorage",
    "open_storage",
    "optuna_tables",
    "persistently",
]

BUSY_TIMEOUT = 30.0  # seconds that SQLite waits for another writer
DELAYS = (0.05, 0.2, 0.8, 2.0, 5.0)  # seconds between tries; a failover of the database takes about that long
# The tables that are gathered for, and what makes a row of a trial unique.
KEYS = {"trial_params": "param_name", "trial_user_attributes": "key", "trial_intermediate_values": "step"}

T = TypeVar("T")
# Whether the lease that a study is worked on under still holds. Asked with a connection, inside the transaction that is
# about to write: no other runner can take the study until that has ended.
Fence = Callable[[Connection], bool]


class FencedOffError(Exception):
    """A write to a study that another runner holds by now, or that has ended: nothing was written."""


class StorageUnavailableError(Exception):
    """The database refused several times in a row: nothing of a study is wrong, the runner cannot go on."""


class TrialStorage(RDBStorage):
    """Optuna's storage that gathers what is written about running trials and writes it in one transaction.

    A transaction for each attribute, parameter and report of a trial made thirty of them a trial. What is gathered is
    written by ``flush``, before anything is read, and before a trial ends: as Optuna's rules for storages demand. What
    was gathered for a trial that somebody else has ended by then is dropped: its record stands.

    Optuna reads every running trial again before each proposal and each verdict of the pruner. Of those only the ones
    are read whole about which something was written here since; of the others the state, which another runner may
    have changed. Nobody else writes about a trial that runs here: with a fence nothing is written about a study once
    its lease is lost.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._gathered: dict[tuple[str, int, Any], dict[str, Any]] = {}  # (table, trial, key) -> the row
        self._unfinished: dict[int, FrozenTrial] = {}  # by trial id, as read since the last write
        self._fences: dict[int, Fence] = {}  # by Optuna's id of a study
        self._study_of: dict[int, int] = {}  # trial -> study, of those that are fenced off
        self._fence: Fence | None = None  # of the write that is being made
        super().__init__(url, **options)
        event.listen(self.scoped_session, "after_begin", self._ask_fence)

    def fence_off(self, study_id: int, fence: Fence | None) -> None:
        """From now on ask this before every write to a study (named by Optuna's id). None of its trials has been made
        or read here before. Without a fence nothing is asked.
        """
        if fence is not None:
            self._fences[study_id] = fence

    def forget(self, study_id: int) -> None:
        """Hold nothing of a study that is worked on here no more; what was gathered about it is dropped."""
        self._fences.pop(study_id, None)
        gone = {trial_id for trial_id, of in self._study_of.items() if of == study_id}
        self._gathered = {key: row for key, row in self._gathered.items() if key[1] not in gone}
        for trial_id in gone:
            del self._study_of[trial_id]
            self._unfinished.pop(trial_id, None)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write an attribute of a study."""
        with self._fenced(study_id):
            super().set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write an attribute of a study that is Optuna's own."""
        with self._fenced(study_id):
            super().set_study_system_attr(study_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Write an attribute of a trial that is Optuna's own, at once: Optuna does so rarely."""
        self._unfinished.pop(trial_id, None)
        with self._fenced(self._study_of.get(trial_id)):
            super().set_trial_system_attr(trial_id, key, value)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        with self._fenced(study_id):
            made = super()._create_new_trial(study_id, template_trial)
        self._noted(study_id, [made])
        return made

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
        self._unfinished.pop(trial_id, None)
        with self._fenced(self._study_of.get(trial_id)):
            return super().set_trial_state_values(trial_id, state, values)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The trial, with what was gathered."""
        self.flush()
        return super().get_trial(trial_id)

    def flush(self) -> None:
        """Write what was gathered, but for studies whose lease is lost.

        Raises StorageInternalError if the database refuses; it then stays gathered.
        """
        if not self._gathered:
            return
        ids = sorted({trial_id for _, trial_id, _ in self._gathered})
        trials = models.TrialModel.__table__
        running = select(trials.c.trial_id).where(
            trials.c.trial_id.in_(ids), trials.c.state.in_([TrialState.RUNNING, TrialState.WAITING])
        )
        try:
            with self.engine.begin() as connection:
                studies = {self._study_of.get(trial_id) for trial_id in ids}
                lost = {study_id for study_id in studies if not self._may_write(study_id, connection)}
                alive = {t for t in connection.scalars(running.with_for_update()) if self._study_of.get(t) not in lost}
                for table in KEYS:
                    rows = [row for (name, trial_id, _), row in self._gathered.items() if name == table]
                    rows = [row for row in rows if row["trial_id"] in alive]
                    if rows:
                        connection.execute(self._upsert(models.BaseModel.metadata.tables[table]), rows)
        except SQLAlchemyError as error:
            raise StorageInternalError(f"what was gathered about trials {ids} could not be written") from error
        self._gathered.clear()
        for trial_id in ids:
            self._unfinished.pop(trial_id, None)

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        self.flush()
        if states is not None or not included_trial_ids:
            return self._noted(
                study_id, super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
            )
        table = models.TrialModel.__table__
        wanted = or_(table.c.trial_id.in_(included_trial_ids), table.c.trial_id > trial_id_greater_than)
        try:
            with self.engine.connect() as connection:
                rows = connection.execute(
                    select(table.c.trial_id, table.c.state).where(table.c.study_id == study_id, wanted)
                ).all()
        except SQLAlchemyError as error:
            raise StorageInternalError(f"the states of study {study_id}'s trials could not be read") from error
        known = {key: self._unfinished[key] for key, state in rows if self._is_as_read(key, state)}
        changed = {key for key, _ in rows} - known.keys()
        for key in changed:
            self._unfinished.pop(key, None)
        if changed:
            read = self._noted(study_id, super()._get_trials(study_id, None, changed, max(key for key, _ in rows)))
            known |= {trial._trial_id: trial for trial in read}
            self._unfinished |= {trial._trial_id: trial for trial in read if not trial.state.is_finished()}
        return [known[key] for key in sorted(known)]

    def _noted(self, study_id: int, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        if study_id in self._fences:
            self._study_of |= {trial._trial_id: study_id for trial in trials}
        return trials

    def _is_as_read(self, trial_id: int, state: TrialState) -> bool:
        read = self._unfinished.get(trial_id)
        return read is not None and read.state == state

    @contextmanager
    def _fenced(self, study_id: int | None) -> Iterator[None]:
        """Transactions that begin inside ask the study's fence first."""
        self._fence = None if study_id is None else self._fences.get(study_id)
        try:
            yield
        finally:
            self._fence = None

    def _ask_fence(self, _session: Any, _transaction: Any, connection: Connection) -> None:
        if self._fence is not None and not self._fence(connection):
            raise FencedOffError("another runner holds the study by now, or it has ended")

    def _may_write(self, study_id: int | None, connection: Connection) -> bool:
        fence = None if study_id is None else self._fences.get(study_id)
        return fence is None or fence(connection)

    def _upsert(self, table: Table) -> Any:
        insert = (postgresql if self.engine.name == "postgresql" else sqlite).insert(table)
        keys = ["trial_id", KEYS[table.name]]
        columns = [column.name for column in table.c if column.name not in keys and not column.primary_key]
        values = {name: insert.excluded[name] for name in columns}
        return insert.on_conflict_do_update(index_elements=keys, set_=values)


def open_storage(url: str, make: Callable[..., TrialStorage] = TrialStorage) -> TrialStorage:
    """The storage behind ``url`` (an SQLAlchemy URL), its tables created where they are missing; ``make`` builds it
    from the URL and Optuna's options.

    SQLite runs in WAL mode with ``synchronous=NORMAL`` and a 30 s busy timeout (six processes: 4.7 s instead of 21 s).
    There is no heartbeat: it is not for ask and tell; the engine's lease does its work.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not url.startswith("sqlite"):
        storage = make(url, engine_kwargs={"pool_pre_ping": True, "connect_args": patience(url)})
        end_stalled_transactions(storage.engine)
        storage.engine.dispose()  # so that connections made before are replaced
        return storage
    storage = make(url, engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT}})
    event.listen(storage.engine, "connect", _tune_sqlite)
    storage.engine.dispose()  # so that connections made before the listener are replaced
    return storage


def optuna_tables() -> tuple[str, ...]:
    """The names of Optuna's tables."""
    return (*models.BaseModel.metadata.tables, "alembic_version")


def persistently(
    call: Callable[[], T],
    delays: tuple[float, ...] = DELAYS,
    refusal: type[Exception] = StorageInternalError,
) -> T:
    """``call()``, tried again after each of ``delays`` seconds while the database refuses, which raises ``refusal``.

    The call must be safe to repeat. Raises StorageUnavailableError when the last try failed too.
    """
    for delay in delays:
        try:
            return call()
        except refusal:
            time.sleep(delay)
    try:
        return call()
    except refusal as error:
        raise StorageUnavailableError(f"the database refused {len(delays) + 1} times: {error}") from error


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
