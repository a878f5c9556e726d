"""Progress of a study on a terminal: a bar with what is done, the best so far and the time left. In a log: a line at
each change of phase, and otherwise every ten seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from service.render import progress_text
from workers.result import ProgressNote

__all__ = ["Show", "shown_progress"]

LOG_SECONDS = 10.0
Show = Callable[[ProgressNote | None, float | None], None]


@contextmanager
def shown_progress(console: Console, waiting: str = "waiting for a runner") -> Iterator[Show]:
    """While the block runs, call what it gives with a study's note and the estimated seconds left."""
    if console.is_terminal:
        with _bar(console, waiting) as show:
            yield show
    else:
        yield _lines(console, waiting)


@contextmanager
def _bar(console: Console, waiting: str) -> Iterator[Show]:
    columns = (BarColumn(bar_width=20), TaskProgressColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(waiting, total=None)

        def show(note: ProgressNote | None, seconds_left: float | None) -> None:
            if note is not None:
                total, done = max(1, note.member_steps_total), note.member_steps_done
                bar.update(task, description=progress_text(note, seconds_left), total=total, completed=done)

        yield show


def _lines(console: Console, waiting: str) -> Show:
    began, told, phase = time.monotonic(), float("-inf"), None

    def show(note: ProgressNote | None, seconds_left: float | None) -> None:
        nonlocal told, phase
        now = time.monotonic()
        new_phase = waiting if note is None else note.phase
        if new_phase == phase and now - told < LOG_SECONDS:
            return
        told, phase = now, new_phase
        text = waiting if note is None else progress_text(note, seconds_left)
        console.print(f"{now - began:4.0f} s  {text}", highlight=False, markup=False, soft_wrap=True)

    return show
