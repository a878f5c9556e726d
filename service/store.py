"""The store: every read and write of our tables, one transaction a method; nobody else commits.

The SQL itself is in ``store_datasets``, ``store_studies`` and ``store_leases``; trials are read from Optuna's
tables in ``trial_records``. A method may be called from any thread.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service import store_asks, store_datasets, store_deletes, store_leases, store_studies, trial_records
from service.cursors import position
from service.database import current_version, mismatch, writing
from service.filters import DatasetFilter, StudyFilter
from service.records import ClaimedStudy, Dataset, Page, StoredSignal, Study, Title
from service.store_asks import Request, Terms
from service.transactions import transact
from service.trial_records import Trial
from vi3nr.signals import Signal
from workers.events import Run
from workers.plan import StudyPlan
from workers.response_data import AxisRange, Observation
from workers.result import ProgressNote, StudyResult

__all__ = ["Store", "new_id"]

T = TypeVar("T")


def new_id() -> str:
    """An id for a dataset or study: 12 hexadecimal digits, short enough to read in the dashboard."""
    return secrets.token_hex(6)


class Store:
    """All that is stored, over one engine of ``service.database.make_engine``.

    Methods that take a ``lease_number`` raise ``LeaseLost`` if the runner holds the study no more (``renew``
    says so instead), and write nothing then.
    """

    def __init__(self, engine: Engine) -> None:
        self._reader = engine
        self._writer = writing(engine)

    # Datasets

    def add_dataset(
        self,
        *,
        name: str,
        content_hash: str,
        signal: Signal,
        blob_key: str,
        meta: Mapping[str, Any],
        more: Sequence[StoredSignal] = (),
        owner: str = "",
    ) -> Dataset:
        """Store a dataset; the one that the same content made before, if there is one.

        Args:
            name: what its owner calls it, or its first signal; shown, never used as a path.
            content_hash: SHA-256 of the upload's bytes and options.
            signal: what the bytes became.
            blob_key: where ``service.blobs`` holds ``signal.to_bytes()``.
            meta: JSON data about how the upload was read.
            more: further signals of the same kind and dimensions.
            owner: the id of the key that it belongs to; each owner has a dataset of its own.

        """
        first = StoredSignal(name, blob_key, signal.shape, len(signal.values), meta)
        fields = {
            "owner": owner,
            "name": f"{name[:230]} and {len(more)} more" if more else name,
            "kind": signal.kind,
            "content_hash": _owned(content_hash, owner),
            "points": sum(stored.points for stored in (first, *more)),
            "in_dim": signal.coordinates.shape[1],
            "out_dim": signal.values.shape[1],
            "signals": [asdict(stored) for stored in (first, *more)],
        }
        known = self.dataset_by_content(content_hash, owner)
        if known is not None:
            return known
        try:
            return self._write(lambda session: store_datasets.add(session, new_id(), fields))
        except IntegrityError:  # somebody stored the same content since we looked
            known = self.dataset_by_content(content_hash, owner)
            if known is None:
                raise
            return known

    def dataset(self, dataset_id: str) -> Dataset | None:
        """A dataset, or None."""
        return self._read(lambda session: store_datasets.by_id(session, dataset_id))

    def dataset_by_content(self, content_hash: str, owner: str = "") -> Dataset | None:
        """The dataset that this content made for this owner, or None."""
        return self._read(lambda session: store_datasets.by_content(session, _owned(content_hash, owner)))

    def count_datasets(self, owner: str) -> int:
        """How many datasets a key has."""
        return self._read(lambda session: store_datasets.count(session, owner))

    def datasets(
        self, limit: int = 50, cursor: str | None = None, wanted: DatasetFilter = DatasetFilter()
    ) -> Page[Dataset]:
        """Datasets, newest first. Raises BadCursorError."""
        after = position(cursor)
        return self._read(lambda session: store_datasets.page(session, limit, after, wanted))

    # Studies, as clients see them

    def add_study(
        self,
        *,
        plan: StudyPlan,
        dataset_id: str,
        request: Mapping[str, Any],
        warnings: Sequence[str] = (),
        fingerprint: str | None = None,
        kinship: str | None = None,
        terms: Terms = Terms(),
        reuse: bool = False,
    ) -> Study:
        """Queue a study under ``plan.study_id`` (see ``new_id``). ``request`` is the client's, shown back to
        it; by the two marks (``service.kinship``) it is found again.

        Raises QuotaError, KeyReusedError and UnknownDatasetError; the study that an Idempotency-Key has made is given
        instead of another, and with ``reuse`` the one that is there by the same fingerprint.
        """
        asked = Request(plan, dataset_id, request, warnings, (fingerprint, kinship), reuse)
        return self._write(lambda session: store_asks.ask(session, asked, terms))

    def replayed_study(self, terms: Terms) -> Study | None:
        """The study that an Idempotency-Key has made. Raises KeyReusedError."""
        return self._read(lambda session: store_asks.replayed(session, terms))

    def join_study(self, study_id: str, terms: Terms) -> bool:
        """Note the Idempotency-Key and the webhook of a request that is answered with a study that was there; False if
        that was deleted since. Raises QuotaError and KeyReusedError.
        """
        return self._write(lambda session: store_asks.join(session, study_id, terms))

    def same_study(self, fingerprint: str, owner: str = "") -> Study | None:
        """The newest study of the same request and owner that is queued, running or completed."""
        return self._read(lambda session: store_studies.same(session, fingerprint, owner))

    def kin(self, kinship: str, owner: str = "", limit: int = 20) -> list[Study]:
        """Completed studies of an owner whose trials can be compared, newest first."""
        return self._read(lambda session: store_studies.kin(session, kinship, owner, limit))

    def study(self, study_id: str) -> Study | None:
        """A study, or None."""
        return self._read(lambda session: store_studies.by_id(session, study_id))

    def result(self, study_id: str) -> StudyResult | None:
        """The answer of a completed study; None for any other."""
        return self._read(lambda session: store_studies.result(session, study_id))

    def studies(self, limit: int = 50, cursor: str | None = None, wanted: StudyFilter = StudyFilter()) -> Page[Study]:
        """Studies, newest first. Raises BadCursorError."""
        after = position(cursor)
        return self._read(lambda session: store_studies.page(session, limit, after, wanted))

    def titles(self) -> dict[str, Title]:
        """What every study is called and where it stands, by its id."""
        return self._read(store_studies.titles)

    def trials(self, study: Study, limit: int = 100, cursor: str | None = None) -> Page[Trial]:
        """A study's trials as Optuna recorded them, oldest first. Raises BadCursorError."""
        return self._read(lambda session: trial_records.page(session, study, limit, cursor))

    def observed(self, study: Study, family: str) -> tuple[tuple[AxisRange, ...], tuple[Observation, ...]]:
        """The searched axes of one family of a study, and its finished trials."""
        return self._read(lambda session: trial_records.observed(session, study, family))

    def request_cancel(self, study_id: str) -> Study | None:
        """Ask that a study end; the study as it stands then, None if there is none. Asking twice changes
        nothing.
        """
        return self._write(lambda session: store_studies.cancel(session, study_id))

    def delete_study(self, study_id: str) -> Literal["deleted", "unfinished", "needed", "unknown"]:
        """Delete a study that has ended or still waits, with its runs and trials. One that a runner holds stays, and
        one that another, which has not ended, starts from.
        """
        return self._write(lambda session: store_deletes.study(session, study_id))

    def delete_dataset(self, dataset_id: str) -> Literal["deleted", "used", "unknown"]:
        """Delete a dataset that no study refers to. Its blobs are the caller's to forget."""
        return self._write(lambda session: store_deletes.dataset(session, dataset_id))

    def forget_signals(self, blob_keys: Collection[str], forget: Callable[[str], None]) -> None:
        """Call ``forget`` with each of these blobs that no dataset names. Who adds a dataset meanwhile waits, and
        has to look afterwards whether its blobs are there.
        """

        def work(session: Session) -> None:
            for key in store_deletes.unused_signals(session, blob_keys):
                forget(key)

        self._write(work)

    def forget_keepsake(self, blob_key: str, forget: Callable[[str], None]) -> None:
        """Call ``forget`` with this blob if no study's answer names it."""
        if not self._read(lambda session: store_deletes.keepsake_used(session, blob_key)):
            forget(blob_key)

    # Studies, as the runner that holds the lease works on them

    def claim(
        self, owner: str, lease_seconds: float, *, only: str | None = None, but: Collection[str] = ()
    ) -> ClaimedStudy | None:
        """Take the study that has waited longest, or one whose runner has let its lease run out;
        with ``only`` that study or none, and none of ``but``.
        """
        return self._write(lambda session: store_leases.claim(session, owner, lease_seconds, only, but))

    def renew(self, study_id: str, lease_number: int, lease_seconds: float) -> Literal["ok", "cancelling", "lost"]:
        """Hold on to a study for that long from now; what its row says: go on, stop, or drop it."""
        return self._write(lambda session: store_leases.renew(session, study_id, lease_number, lease_seconds))

    def fence(self, study_id: str, lease_number: int) -> Callable[[Connection], bool]:
        """For the trial storage, which lies in the same database: whether the lease holds, as its transaction sees
        it.
        """
        return store_leases.fence(study_id, lease_number)

    def release(self, study_id: str, lease_number: int) -> None:
        """Give a study back at an orderly shutdown: it is queued again."""
        self._write(lambda session: store_leases.release(session, study_id, lease_number))

    def record_run(self, study_id: str, lease_number: int, run: Run) -> bool:
        """Record a run; False if (family, arm, replicate) stood already, which then stays as it was."""
        return self._write(lambda session: store_leases.record_run(session, study_id, lease_number, run))

    def runs(self, study_id: str) -> list[Run]:
        """Every recorded run of a study, oldest first."""
        return self._read(lambda session: store_leases.runs(session, study_id))

    def record_progress(self, study_id: str, lease_number: int, note: ProgressNote) -> None:
        """Say how far a study is."""
        self._write(lambda session: store_leases.record_progress(session, study_id, lease_number, note))

    def complete(self, study_id: str, lease_number: int, result: StudyResult) -> None:
        """End a study with its answer."""
        self._write(lambda session: store_leases.complete(session, study_id, lease_number, result))

    def fail(self, study_id: str, lease_number: int, error: str) -> None:
        """End a study that cannot go on, with a sentence."""
        self._write(lambda session: store_leases.fail(session, study_id, lease_number, error))

    def cancelled(self, study_id: str, lease_number: int) -> None:
        """End a study that its client asked to end."""
        self._write(lambda session: store_leases.cancelled(session, study_id, lease_number))

    # Health

    def unready(self) -> str | None:
        """Why the store cannot be used, as a sentence; None if it can. Raises what the driver raises if it is
        gone.
        """
        with self._reader.connect() as connection:
            return mismatch(current_version(connection))

    def study_counts(self) -> dict[str, int]:
        """Studies by state."""
        return self._read(store_studies.counts)

    def trial_counts(self) -> dict[str, int]:
        """Trials by state, of all studies."""
        return self._read(trial_records.counts)

    def _read(self, work: Callable[[Session], T]) -> T:
        return transact(self._reader, work)

    def _write(self, work: Callable[[Session], T]) -> T:
        return transact(self._writer, work)


def _owned(content_hash: str, owner: str) -> str:
    """A content's hash among one owner's datasets."""
    return hashlib.sha256(f"{owner} {content_hash}".encode()).hexdigest() if owner else content_hash
