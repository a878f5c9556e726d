"""With what the command line ends; `vi3nr --help` and docs/service.md tell them to people."""

from __future__ import annotations

__all__ = ["BAD_NEWS", "INTERRUPTED", "UNREACHABLE", "WRONG"]

BAD_NEWS = 1  # done, and the answer is bad news: a fault found, a study without an answer
WRONG = 2  # asked wrongly, or refused
UNREACHABLE = 3  # the service or the database cannot be reached, or failed
INTERRUPTED = 130  # by Ctrl-C
