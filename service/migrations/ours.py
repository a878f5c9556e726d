"""Which tables are ours: Optuna keeps its own, and its own Alembic version, in the same database."""

from __future__ import annotations

from typing import Any

from service.models import PREFIX

__all__ = ["is_ours"]


def is_ours(_thing: Any, name: str | None, type_: str, _reflected: bool, _compare_to: Any) -> bool:
    """Alembic's ``include_object``: our tables begin with ``vi3nr_``; what belongs to a table goes with
    it.
    """
    return type_ != "table" or (name or "").startswith(PREFIX)
