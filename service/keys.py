"""API keys: ``vi3nr_ID_SECRET``. The secret has 256 random bits and is shown once; its SHA-256 is kept.

A slow hash protects words that people choose, of which there are few. Of 256 random bits there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from service.database import clock, writing
from service.models import KeyRow
from service.scopes import Scope
from service.transactions import transact

__all__ = ["Key", "KeyRing", "Scope"]

TOKEN = re.compile(r"vi3nr_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
SECRET_BYTES = 32


@dataclass(frozen=True)
class Key:
    """A key without its secret. Limits that are None are the settings' own; times are seconds since 1970 UTC."""

    id: str
    name: str
    scope: Scope
    max_queued: int | None
    max_studies: int | None
    per_minute: int | None
    created: float
    revoked: float | None

    @property
    def prefix(self) -> str:
        """The beginning of the token, by which its owner knows it again."""
        return f"vi3nr_{self.id}"


class KeyRing:
    """The keys that there are, over one engine of ``service.database.make_engine``."""

    def __init__(self, engine: Engine) -> None:
        self._reader, self._writer = engine, writing(engine)

    def create(
        self,
        name: str,
        scope: Scope,
        *,
        max_queued: int | None = None,
        max_studies: int | None = None,
        per_minute: int | None = None,
    ) -> tuple[Key, str]:
        """A new key, and its token: whoever has it is its owner, and it is never shown again."""
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(SECRET_BYTES)

        def work(session: Session) -> Key:
            row = KeyRow(
                id=key_id, name=name, secret_hash=_hash(secret), scope=scope.value, max_queued=max_queued,
                max_studies=max_studies, per_minute=per_minute, created=session.scalar(select(clock())),
            )  # fmt: skip
            session.add(row)
            session.flush()
            return _key(row)

        return transact(self._writer, work), f"vi3nr_{key_id}_{secret}"

    def list(self) -> list[Key]:
        """Every key, revoked ones too, oldest first."""
        query = select(KeyRow).order_by(KeyRow.created, KeyRow.id)
        return transact(self._reader, lambda session: [_key(row) for row in session.scalars(query)])

    def revoke(self, key_id: str) -> bool:
        """End a key for good; False if there is none that counts. What it made stays."""
        ended = update(KeyRow).where(KeyRow.id == key_id, KeyRow.revoked.is_(None)).values(revoked=clock())
        found = ended.returning(KeyRow.id)
        return transact(self._writer, lambda session: session.scalar(found) is not None)

    def find(self, token: str) -> Key | None:
        """The key of a token; None for a wrong or a revoked one."""
        parts = TOKEN.fullmatch(token)
        if parts is None:
            return None
        row = transact(self._reader, lambda session: session.get(KeyRow, parts[1]))
        if row is None or not secrets.compare_digest(row.secret_hash, _hash(parts[2])):
            return None
        return None if row.revoked is not None else _key(row)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: KeyRow) -> Key:
    return Key(
        id=row.id, name=row.name, scope=Scope(row.scope), max_queued=row.max_queued, max_studies=row.max_studies,
        per_minute=row.per_minute, created=row.created, revoked=row.revoked,
    )  # fmt: skip
