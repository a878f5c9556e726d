"""How often a study was given back in order: those claims do not count against it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. What was given back before is not known."""
    op.add_column("vi3nr_studies", sa.Column("given_back", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("vi3nr_studies", "given_back")
