"""How far a sweep is, for people: a bar with an estimate on a terminal or in a notebook, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_EVERY: Final = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is.

    Parameters
    ----------
    cells : int
        All of them.
    before : int
        Those that earlier sweeps of the name had done.
    done : int
        Those that are done now, `before` among them.
    failed : int
        Those that failed as often as they may.
    retried : int
        Attempts that failed and were followed by another.
    seconds_left : float or None
        The estimate: what is left takes as long as what this sweep did; None before its first run has ended.
    """

    cells: int
    before: int
    done: int
    failed: int
    retried: int
    seconds_left: float | None


def text(progress: Progress) -> str:
    """Say it in a line.

    Examples
    --------
    >>> text(Progress(40, 20, 30, 1, 2, 95.0))
    '30 of 40 runs done, 1 failed, 2 attempts repeated, about 1 min 35 s left'
    """
    said = f"{progress.done} of {progress.cells} runs done"
    if progress.failed:
        said += f", {progress.failed} failed"
    if progress.retried:
        said += f", {progress.retried} attempts repeated"
    if progress.seconds_left:
        said += f", about {duration(progress.seconds_left)} left"
    return said


def duration(seconds: float) -> str:
    """Write a time for people.

    Examples
    --------
    >>> duration(9.2), duration(95), duration(7300)
    ('9 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def shown(wanted: bool | Callable[[Progress], object] | None) -> Iterator[Callable[[Progress], object]]:
    """Give what is told of each step.

    Parameters
    ----------
    wanted : bool, callable or None
        A callable is told itself; True shows a bar, or lines; None only where somebody looks: on a terminal, or in a
        notebook.
    """
    if callable(wanted):
        yield wanted
        return
    if wanted is False:
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    looks = console.is_terminal or console.is_jupyter
    if not looks:
        yield _lines() if wanted else lambda progress: None
        return
    columns = (TextColumn("sweep"), BarColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(progress: Progress) -> None:
            completed = progress.done + progress.failed
            bar.update(task, total=progress.cells, completed=completed, description=text(progress))

        yield show


def _lines() -> Callable[[Progress], object]:
    """Return what writes a line now and then."""
    said, at = "", 0.0

    def show(progress: Progress) -> None:
        nonlocal said, at
        now, line = time.monotonic(), text(progress)
        last = progress.done + progress.failed == progress.cells
        if line != said and (last or not said or now - at >= _EVERY):
            said, at = line, now
            sys.stderr.write(f"sweep: {line}\n")

    return show
