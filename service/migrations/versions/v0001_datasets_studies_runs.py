"""Datasets, studies and runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATES = "state IN ('queued', 'running', 'cancelling', 'cancelled', 'completed', 'failed')"


def upgrade() -> None:
    """Create the tables."""
    _datasets()
    _studies()
    _runs()


def downgrade() -> None:
    """Drop them and all that they hold."""
    op.drop_table("vi3nr_runs")
    op.drop_table("vi3nr_studies")
    op.drop_table("vi3nr_datasets")


def _datasets() -> None:
    op.create_table(
        "vi3nr_datasets",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("in_dim", sa.Integer(), nullable=False),
        sa.Column("out_dim", sa.Integer(), nullable=False),
        sa.Column("shape", sa.JSON(), nullable=False),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.Column("blob_key", sa.String(64), nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vi3nr_datasets"),
        sa.UniqueConstraint("content_hash", name="uq_vi3nr_datasets_content_hash"),
    )
    op.create_index("ix_vi3nr_datasets_created_id", "vi3nr_datasets", ["created", "id"])


def _studies() -> None:
    op.create_table(
        "vi3nr_studies",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("dataset_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("progress", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("lease_number", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(255), nullable=True),
        sa.Column("lease_until", sa.Float(53), nullable=True),
        sa.Column("paced_from", sa.Float(53), nullable=True),
        sa.Column("paced_steps", sa.BigInteger(), nullable=True),
        sa.Column("progressed", sa.Float(53), nullable=True),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("started", sa.Float(53), nullable=True),
        sa.Column("finished", sa.Float(53), nullable=True),
        sa.CheckConstraint(STATES, name=op.f("ck_vi3nr_studies_state")),
        sa.ForeignKeyConstraint(["dataset_id"], ["vi3nr_datasets.id"], name="fk_vi3nr_studies_dataset_id"),
        sa.PrimaryKeyConstraint("id", name="pk_vi3nr_studies"),
    )
    op.create_index("ix_vi3nr_studies_created_id", "vi3nr_studies", ["created", "id"])
    op.create_index("ix_vi3nr_studies_state_created", "vi3nr_studies", ["state", "created"])


def _runs() -> None:
    op.create_table(
        "vi3nr_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.String(32), nullable=False),
        sa.Column("family", sa.String(64), nullable=False),
        sa.Column("arm", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("replicate", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(53), nullable=False),
        sa.Column("best_score", sa.Float(53), nullable=False),
        sa.Column("best_step", sa.Integer(), nullable=False),
        sa.Column("diverged", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("curve", sa.JSON(), nullable=False),
        sa.Column("lease_number", sa.Integer(), nullable=False),
        sa.Column("recorded", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["vi3nr_studies.id"], name="fk_vi3nr_runs_study_id"),
        sa.PrimaryKeyConstraint("id", name="pk_vi3nr_runs"),
        sa.UniqueConstraint(
            "study_id",
            "family",
            "arm",
            "replicate",
            name="uq_vi3nr_runs_study_id_family_arm_replicate",
        ),
    )
