"""What keys may do."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Scope"]


class Scope(StrEnum):
    """What a key may do. Each includes the ones before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"  # what belongs to other keys too, the dashboard and the metrics

    def includes(self, other: Scope) -> bool:
        """Whether this scope is enough where ``other`` is asked for."""
        order = list(Scope)
        return order.index(self) >= order.index(other)
