"""API keys and what belongs to them; idempotency keys, webhooks, and the runners' own figures."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STUDIES = sa.table(
    "vi3nr_studies", sa.column("id", sa.String), sa.column("plan", sa.JSON), sa.column("families", sa.Text)
)
OWNED = ("vi3nr_datasets", "vi3nr_studies")


def upgrade() -> None:
    """Add the tables and columns. What is there belongs to no key: admin keys see it."""
    for name in OWNED:
        op.add_column(name, sa.Column("owner", sa.String(32), server_default="", nullable=False))
        op.create_index(f"ix_{name}_owner_created_id", name, ["owner", "created", "id"])
    op.add_column("vi3nr_studies", sa.Column("families", sa.Text(), server_default="", nullable=False))
    op.create_index("ix_vi3nr_studies_dataset_id", "vi3nr_studies", ["dataset_id"])
    connection = op.get_bind()
    for row in connection.execute(sa.select(STUDIES.c.id, STUDIES.c.plan)).all():
        words = families_of(row.plan)
        connection.execute(sa.update(STUDIES).where(STUDIES.c.id == row.id).values(families=words))
    _keys()
    _idempotency()
    _webhooks()
    _runners()


def downgrade() -> None:
    """Drop them; who owned what is forgotten."""
    for name in ("vi3nr_runners", "vi3nr_webhooks", "vi3nr_idempotency", "vi3nr_keys"):
        op.drop_table(name)
    op.drop_index("ix_vi3nr_studies_dataset_id", "vi3nr_studies")
    op.drop_column("vi3nr_studies", "families")
    for name in OWNED:
        op.drop_index(f"ix_{name}_owner_created_id", name)
        op.drop_column(name, "owner")


def families_of(plan: dict[str, Any]) -> str:
    """A plan's families, each between two line ends, so that LIKE finds a whole name."""
    return "".join(f"\n{family['family']}\n" for family in plan["families"])


def _keys() -> None:
    op.create_table(
        "vi3nr_keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("max_queued", sa.Integer(), nullable=True),
        sa.Column("max_studies", sa.Integer(), nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("revoked", sa.Float(53), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_vi3nr_keys"),
    )


def _idempotency() -> None:
    op.create_table(
        "vi3nr_idempotency",
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("body_hash", sa.String(64), nullable=False),
        sa.Column("study_id", sa.String(32), nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["vi3nr_studies.id"], name="fk_vi3nr_idempotency_study_id"),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_vi3nr_idempotency"),
    )
    op.create_index("ix_vi3nr_idempotency_study_id", "vi3nr_idempotency", ["study_id"])


def _webhooks() -> None:
    op.create_table(
        "vi3nr_webhooks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.String(32), nullable=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("secret", sa.String(255), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt", sa.Float(53), nullable=True),
        sa.Column("delivered", sa.Float(53), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["vi3nr_studies.id"], name="fk_vi3nr_webhooks_study_id"),
        sa.PrimaryKeyConstraint("id", name="pk_vi3nr_webhooks"),
    )
    op.create_index("ix_vi3nr_webhooks_study_id", "vi3nr_webhooks", ["study_id"])
    op.create_index("ix_vi3nr_webhooks_next_attempt", "vi3nr_webhooks", ["next_attempt"])


def _runners() -> None:
    op.create_table(
        "vi3nr_runners",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("started", sa.Float(53), nullable=False),
        sa.Column("seen", sa.Float(53), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_vi3nr_runners"),
    )
