"""A PostgreSQL role that can read what the dashboard shows and nothing else: the dashboard's own code can write."""

from __future__ import annotations

import re

from psycopg import sql
from sqlalchemy import Engine, text

from service.models import DatasetRow, KeyRow, StudyRow
from workers.storage import optuna_tables

__all__ = ["make_reader"]

TOLD = tuple(row.__tablename__ for row in (KeyRow, StudyRow, DatasetRow))
ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def make_reader(engine: Engine, role: str, password: str) -> None:
    """Make the role, or give it this password, and let it read Optuna's tables, the studies, the datasets and the API
    keys' hashes; it may nothing else.

    Args:
        engine: of the database's owner, who may make roles.
        role: its name: small letters, digits and underscores.
        password: for its logins.

    Raises:
        ValueError: the database is not a PostgreSQL, the role's name will not do, or it is the owner itself.
    """
    if engine.dialect.name != "postgresql":
        raise ValueError(f"a reading role needs PostgreSQL, the database is {engine.dialect.name}")
    if not ROLE.fullmatch(role) or role == engine.url.username:
        raise ValueError(f"reader must be a role of its own, in small letters, digits and underscores, got {role!r}")
    name, word = sql.Identifier(role), sql.Literal(password)
    tables = sql.SQL(", ").join(sql.Identifier("public", table) for table in (*optuna_tables(), *TOLD))
    with engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first()
        statements = [sql.SQL("CREATE ROLE {}").format(name)] if known is None else []
        statements += [
            sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(name, word),
            sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(name),
            sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(name),
            sql.SQL("GRANT SELECT ON {} TO {}").format(tables, name),
        ]
        for statement in statements:
            driver.execute(statement)
