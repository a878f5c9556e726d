"""A dataset holds several signals: what one row said of its only one becomes the first of a list."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DATASETS = sa.table(
    "vi3nr_datasets",
    sa.column("id", sa.String), sa.column("name", sa.String), sa.column("points", sa.Integer),
    sa.column("shape", sa.JSON), sa.column("meta", sa.JSON), sa.column("blob_key", sa.String),
    sa.column("signals", sa.JSON),
)  # fmt: skip
OLD, NEW = ("shape", "meta", "blob_key"), "signals"


def upgrade() -> None:
    """Move shape, meta and blob key into ``signals``. Studies refer to the table, so SQLite must not make it anew."""
    op.add_column("vi3nr_datasets", sa.Column(NEW, sa.JSON(), nullable=False, server_default="[]"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(DATASETS)).all():
        only = {"name": row.name, "points": row.points, "shape": row.shape, "meta": row.meta, "blob_key": row.blob_key}
        connection.execute(sa.update(DATASETS).where(DATASETS.c.id == row.id).values(signals=[only]))
    for name in OLD:
        op.drop_column("vi3nr_datasets", name)


def downgrade() -> None:
    """Move the first signal back. Datasets of several cannot be told in the old words: their others are forgotten."""
    for name, kind, default in (("shape", sa.JSON(), "[]"), ("meta", sa.JSON(), "{}"), ("blob_key", sa.String(64), "")):
        op.add_column("vi3nr_datasets", sa.Column(name, kind, nullable=False, server_default=default))
    connection = op.get_bind()
    for row in connection.execute(sa.select(DATASETS)).all():
        first = row.signals[0]
        values = {name: first[name] for name in (*OLD, "points")}
        connection.execute(sa.update(DATASETS).where(DATASETS.c.id == row.id).values(**values))
    op.drop_column("vi3nr_datasets", NEW)
