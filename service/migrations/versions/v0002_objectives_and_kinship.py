"""Objectives, budgets and kinship: what older studies hold is written in the new words."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STUDIES = sa.table(
    "vi3nr_studies", sa.column("id", sa.String), sa.column("plan", sa.JSON), sa.column("result", sa.JSON)
)
METRIC = "PSNR over all points in dB, data range 2"


def upgrade() -> None:
    """Add the columns; rewrite plans and results. Older studies are nobody's kin: their trials are not compared."""
    with op.batch_alter_table("vi3nr_studies") as table:
        table.add_column(sa.Column("fingerprint", sa.String(64), nullable=True))
        table.add_column(sa.Column("kinship", sa.String(64), nullable=True))
    op.create_index("ix_vi3nr_studies_fingerprint", "vi3nr_studies", ["fingerprint"])
    op.create_index("ix_vi3nr_studies_kinship", "vi3nr_studies", ["kinship"])
    connection = op.get_bind()
    for row in connection.execute(sa.select(STUDIES)).all():
        rewritten = {"plan": newer_plan(row.plan)}
        if row.result is not None:
            rewritten["result"] = newer_result(row.result)
        connection.execute(sa.update(STUDIES).where(STUDIES.c.id == row.id).values(**rewritten))


def downgrade() -> None:
    """Drop the columns; plans and results stay as they are."""
    op.drop_index("ix_vi3nr_studies_kinship", "vi3nr_studies")
    op.drop_index("ix_vi3nr_studies_fingerprint", "vi3nr_studies")
    with op.batch_alter_table("vi3nr_studies") as table:
        table.drop_column("kinship")
        table.drop_column("fingerprint")


def newer_plan(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan of version 0001 in the words of 0002: no race, as it was then."""
    rest = {key: value for key, value in plan.items() if key not in ("trials", "objective")}
    return {**rest, "budget": {"trials": plan["trials"]}, "objective": {"name": plan["objective"]}, "race": False}


def newer_result(result: dict[str, Any]) -> dict[str, Any]:
    """A result of version 0001 in the words of 0002."""
    families = [_newer_family(family) for family in result["families"]]
    return {**result, "families": families, "unit": "dB", "search_ended_by": "trials", "metric": METRIC}


def _newer_family(family: dict[str, Any]) -> dict[str, Any]:
    rate, comparison = family["learning_rate"], family["comparison"]
    if comparison is not None:
        gain = {"gain": comparison["gain_db"]}
        comparison = {key: value for key, value in comparison.items() if key != "gain_db"} | gain
    return {
        **family,
        "comparison": comparison,
        "winner": {**family["winner"], "learning_rate": rate},
        "arms": [{**arm, "learning_rate": rate} for arm in family["arms"]],
    }
