"""How the C library shares memory out among threads: a process of many threads grew for as long as it was asked.

glibc gives threads up to eight arenas a core. Pages, pictures and answers of some hundred kB were cut out of a dozen
arenas by whichever thread answered, small things that stay came to lie between them, and what was free in one arena was
of no use in another and could not be handed back: docs/service.md has the figures.
"""

from __future__ import annotations

import ctypes

__all__ = ["share_arenas"]

ARENAS = 2
M_ARENA_MAX = -8  # malloc.h


def share_arenas() -> bool:
    """All threads share two arenas from now on; False where the C library is not glibc.

    For the beginning of a process, before it has threads. As MALLOC_ARENA_MAX=2 in the environment, however the
    process is started.
    """
    library = ctypes.CDLL(None)
    return hasattr(library, "gnu_get_libc_version") and bool(library.mallopt(M_ARENA_MAX, ARENAS))
