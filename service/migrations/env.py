"""How Alembic sees our database: only our tables, inside the transaction that ``service.database.upgrade``
opened.
"""

from __future__ import annotations

from alembic import context

from service.database import VERSION_TABLE
from service.migrations.ours import is_ours
from service.models import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_object=is_ours,
    compare_type=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
