"""How the C library hands memory back: a process of many threads grew for as long as it was asked.

glibc gives threads up to eight arenas a core and lets the size from which a block has pages of its own rise to 32 MB.
Pages, pictures and answers of some hundred kB were then cut out of a dozen arenas by whichever thread answered, small
things that stay came to lie between them, and what was free could not be handed back: docs/service.md has the figures.
"""

from __future__ import annotations

import ctypes

__all__ = ["hand_memory_back"]

ARENAS, MAPPED_BYTES = 2, 131_072  # the second is glibc's own to begin with; once set it stays
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # malloc.h


def hand_memory_back() -> bool:
    """Two arenas for all threads, and pages of their own for blocks of 128 kB and more; False where the C library is
    not glibc.

    For the beginning of a process. As MALLOC_ARENA_MAX=2 and MALLOC_MMAP_THRESHOLD_=131072 in the environment, but
    however the process is started.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(M_ARENA_MAX, ARENAS) and library.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES))
