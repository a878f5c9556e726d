"""Our tables. All begin with ``vi3nr_``: Optuna's own ``studies`` and ``trials`` live in the same database.

Times are seconds since 1970-01-01 UTC by the database's clock. JSON columns hold what ``service.records``
reads.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, mapped_column

from service.states import StudyState

__all__ = ["PREFIX", "Base", "DatasetRow", "IdempotencyRow", "KeyRow", "RunRow", "RunnerRow", "StudyRow", "WebhookRow"]

PREFIX = "vi3nr_"
ID_LENGTH = 32
Seconds = Float(53)
States = ", ".join(f"'{state.value}'" for state in StudyState)


class Base(DeclarativeBase):
    """Names every constraint, so that a migration can speak of it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, float: Seconds}  # noqa: RUF012 -- SQLAlchemy's way


def _owner() -> MappedColumn[str]:
    """The id of the key that made a row; empty where keys were off."""
    return mapped_column(String(ID_LENGTH), default="", server_default="")


class DatasetRow(Base):
    """One or more signals of one kind that studies fit. Each of ``signals`` has a ``blob_key`` in the blob store."""

    __tablename__ = "vi3nr_datasets"
    __table_args__ = (Index(None, "created", "id"), Index(None, "owner", "created", "id"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    owner: Mapped[str] = _owner()
    name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(32))
    content_hash: Mapped[str] = mapped_column(String(64), unique=True)  # of bytes, options and owner
    points: Mapped[int]  # of all signals together
    in_dim: Mapped[int]
    out_dim: Mapped[int]
    signals: Mapped[list[Any]] = mapped_column(JSON, server_default="[]")
    created: Mapped[float]


class StudyRow(Base):
    """A study: what was asked for, who works on it, how far it is, and the answer."""

    __tablename__ = "vi3nr_studies"
    __table_args__ = (
        CheckConstraint(f"state IN ({States})", name="state"),
        Index(None, "created", "id"),
        Index(None, "owner", "created", "id"),
        Index(None, "state", "created"),
        Index(None, "dataset_id"),
        Index(None, "fingerprint"),
        Index(None, "kinship"),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    owner: Mapped[str] = _owner()
    families: Mapped[str] = mapped_column(Text, default="", server_default="")  # each between two line ends
    dataset_id: Mapped[str] = mapped_column(ForeignKey("vi3nr_datasets.id"))
    state: Mapped[str] = mapped_column(String(16))
    request: Mapped[dict[str, Any]]
    plan: Mapped[dict[str, Any]]
    warnings: Mapped[list[Any]]
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None]
    lease_number: Mapped[int]
    lease_owner: Mapped[str | None] = mapped_column(String(255))
    lease_until: Mapped[float | None]
    given_back: Mapped[int] = mapped_column(default=0, server_default="0")  # so many of its leases ended in order
    # The first report after a claim: (time, member steps). The rate since then gives the time left.
    paced_from: Mapped[float | None]
    paced_steps: Mapped[int | None] = mapped_column(BigInteger)
    progressed: Mapped[float | None]
    created: Mapped[float]
    started: Mapped[float | None]
    finished: Mapped[float | None]
    # The same for the same request on the same data, and for studies whose trials can be compared; see service.kinship.
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    kinship: Mapped[str | None] = mapped_column(String(64))


class RunRow(Base):
    """One training of one arm beyond the search: continuation (replicate -1) or confirmation."""

    __tablename__ = "vi3nr_runs"
    __table_args__ = (UniqueConstraint("study_id", "family", "arm", "replicate"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("vi3nr_studies.id"))
    family: Mapped[str] = mapped_column(String(64))
    arm: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(16))
    replicate: Mapped[int]
    score: Mapped[float]
    best_score: Mapped[float]
    best_step: Mapped[int]
    diverged: Mapped[bool]
    seconds: Mapped[float]
    config: Mapped[dict[str, Any]]
    curve: Mapped[list[Any]]
    lease_number: Mapped[int]
    recorded: Mapped[float]


class KeyRow(Base):
    """An API key. The secret itself is nowhere: only its SHA-256, which suffices for 256 random bits."""

    __tablename__ = "vi3nr_keys"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    secret_hash: Mapped[str] = mapped_column(String(64))
    scope: Mapped[str] = mapped_column(String(16))
    # Null: the settings' own.
    max_queued: Mapped[int | None]
    max_studies: Mapped[int | None]
    per_minute: Mapped[int | None]
    created: Mapped[float]
    revoked: Mapped[float | None]


class IdempotencyRow(Base):
    """An Idempotency-Key that a study was asked for with, and the SHA-256 of the body."""

    __tablename__ = "vi3nr_idempotency"

    owner: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_hash: Mapped[str] = mapped_column(String(64))
    study_id: Mapped[str] = mapped_column(ForeignKey("vi3nr_studies.id"), index=True)
    created: Mapped[float]


class WebhookRow(Base):
    """Whom to tell when a study ends. ``next_attempt`` is null once that is done or given up."""

    __tablename__ = "vi3nr_webhooks"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("vi3nr_studies.id"), index=True)
    url: Mapped[str] = mapped_column(String(2048))
    secret: Mapped[str] = mapped_column(String(255))
    attempts: Mapped[int]
    next_attempt: Mapped[float | None] = mapped_column(Seconds, index=True)
    delivered: Mapped[float | None]
    error: Mapped[str | None]


class RunnerRow(Base):
    """A runner, when it was last seen, and its figures for /metrics."""

    __tablename__ = "vi3nr_runners"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    started: Mapped[float]
    seen: Mapped[float]
    figures: Mapped[dict[str, Any]]
